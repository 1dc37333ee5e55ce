// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"os"
	"regexp"
	"testing"
)

// TestDocumentedDefaults: the chart leaves these to the controller, so its documentation says the controller's defaults.
func TestDocumentedDefaults(t *testing.T) {
	t.Parallel()
	defaults := DefaultOptions()
	for _, tc := range []struct{ file, pattern, want string }{
		{"docs/chart.md", `controller\.peerSyncTimeout.*empty is (\w+)`, defaults.PeerSyncTimeout.String()},
		{"docs/chart.md", `controller\.drainDeadline.*empty is (\w+)`, defaults.DrainDeadline.String()},
		{"docs/chart.md", `--withdraw-after=(\w+)`, defaults.WithdrawAfter.String()},
		{"docs/chart.md", `--leave-linger=(\w+)`, defaults.LeaveLinger.String()},
		{"manifests/charts/mc-wan/values.yaml", `Empty is (\w+)\.\n  peerSyncTimeout:`, defaults.PeerSyncTimeout.String()},
		{"manifests/charts/mc-wan/values.yaml", `Empty is (\w+)\.\n  drainDeadline:`, defaults.DrainDeadline.String()},
	} {
		text, err := os.ReadFile("../../" + tc.file)
		if err != nil {
			t.Fatal(err)
		}
		if match := regexp.MustCompile(tc.pattern).FindSubmatch(text); match == nil || string(match[1]) != tc.want {
			t.Errorf("%s does not say %s where %s is", tc.file, tc.want, tc.pattern)
		}
	}
}
