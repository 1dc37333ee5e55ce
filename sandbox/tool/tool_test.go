// SPDX-License-Identifier: Apache-2.0

package tool

import (
	"strings"
	"testing"
)

func TestAFailureQuotesTheLastLine(t *testing.T) {
	var log strings.Builder
	err := Run(t.Context(), &log, "/bin/sh", "-c", "echo out; echo first >&2; echo why >&2; exit 3")
	if err == nil || err.Error() != "sh: exit status 3: why" {
		t.Errorf("error %v", err)
	}
	if want := "\nout\nfirst\nwhy\n"; !strings.HasPrefix(log.String(), "+ /bin/sh -c") || !strings.HasSuffix(log.String(), want) {
		t.Errorf("log is not the command and %q:\n%s", want, log.String())
	}
}
