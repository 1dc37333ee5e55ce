// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"strings"
	"testing"

	"github.com/l7mp/mc-wan/pkg/cli"
)

// Arguments are services, peers and contexts: a command that says nothing of its own has the shell suggest files.
func TestArgumentsAreNotCompletedByFiles(t *testing.T) {
	t.Parallel()
	clusters := loadFleet(t, "joined")
	for _, command := range commands {
		code, stdout, _ := runWith(t, clusters, "__complete", command, "")
		if code != cli.ExitOK || !strings.HasSuffix("\n"+stdout, "\n:4\n") { // ShellCompDirectiveNoFileComp
			t.Errorf("%s: exit code %d, stdout:\n%s", command, code, stdout)
		}
	}
}
