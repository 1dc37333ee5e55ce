// SPDX-License-Identifier: Apache-2.0

package flagfile

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	got := Parse("# written by the sandbox\n--a=1\n\n  --controllers=*,-tokencleaner  \n--name=two words\r\n--last")
	want := []string{"--a=1", "--controllers=*,-tokencleaner", "--name=two words", "--last"}
	if !slices.Equal(got, want) {
		t.Errorf("Parse: got %q, want %q", got, want)
	}
}

func TestParseEmpty(t *testing.T) {
	if got := Parse("\n# nothing\n"); len(got) != 0 {
		t.Errorf("Parse: got %q, want none", got)
	}
}
