package main

import (
	"slices"
	"testing"
)

func TestParseArgs(t *testing.T) {
	got := parseArgs("# written by the sandbox\n--a=1\n\n  --controllers=*,-tokencleaner  \n--name=two words\r\n--last")
	want := []string{"--a=1", "--controllers=*,-tokencleaner", "--name=two words", "--last"}
	if !slices.Equal(got, want) {
		t.Errorf("parseArgs: got %q, want %q", got, want)
	}
}

func TestParseArgsEmpty(t *testing.T) {
	if got := parseArgs("\n# nothing\n"); len(got) != 0 {
		t.Errorf("parseArgs: got %q, want none", got)
	}
}
