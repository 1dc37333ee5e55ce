// SPDX-License-Identifier: Apache-2.0

package failover

import "testing"

func TestCPUTime(t *testing.T) {
	before, err := parseCPU("cpu  100 0 50 800 50 0 0 0 10 0\ncpu0 1 2 3\n")
	if err != nil || before != (cpuTime{idle: 850, all: 1000}) {
		t.Fatalf("%+v, %v", before, err)
	}
	after, err := parseCPU("cpu  160 0 90 880 70 0 0 0 10 0\n")
	if err != nil || after.idleSince(before) != 0.5 {
		t.Errorf("%+v, %v: %v idle", after, err, after.idleSince(before))
	}
	for _, text := range []string{"", "intr 1 2 3 4 5 6", "cpu a b c d e f"} {
		if _, err := parseCPU(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
