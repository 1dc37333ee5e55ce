// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/l7mp/mc-wan/pkg/cli"
)

const docsIntro = `# mcwanctl

The texts of ` + "`mcwanctl help`" + `. This page is written by ` + "`make golden`" + ` and compared by the tests.

Results go to standard output; messages and errors go to standard error. Exit codes: 0 done, 1 a check failed or a state was
not found or not reached, 2 usage error.

Completion: ` + "`source <(mcwanctl completion bash)`" + ` (or zsh, fish, powershell) completes commands and flags, and from the
cluster contexts, services, exports, policies and peers.
`

// commands are those of mcwanctl, in the order of docs/cli.md.
var commands = []string{
	"export", "unexport", "import", "unimport", "status", "explain", "tunnels", "drain", "undrain", "join", "leave", "card", "render", "version",
}

// The help of every command is in docs/cli.md, word for word.
func TestHelpIsDocumented(t *testing.T) {
	const file = "../../docs/cli.md"
	var got bytes.Buffer
	got.WriteString(docsIntro)
	for _, command := range append([]string{""}, commands...) {
		args := append(strings.Fields(command), "--help")
		var out, errs bytes.Buffer
		code := cli.Run(t.Context(), args, env(fleet{}, &out, &errs))
		if code != cli.ExitOK || errs.Len() > 0 {
			t.Fatalf("mcwanctl %s: exit code %d, stderr %q", strings.Join(args, " "), code, errs.String())
		}
		if command != "" && !strings.Contains(out.String(), "Examples:") {
			t.Errorf("mcwanctl %s has no examples", command)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
				t.Errorf("mcwanctl %s: a line of %d columns, more than 100: %s", strings.Join(args, " "), n, line)
			}
		}
		fmt.Fprintf(&got, "\n## %s\n\n```\n%s```\n", strings.TrimSpace("mcwanctl "+command), out.String())
	}
	want, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	golden(t, file, want, got.Bytes())
}
