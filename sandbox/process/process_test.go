// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"os/exec"
	"testing"
)

func TestAProcessIsAliveUntilItEnds(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := Identify(cmd.Process.Pid)
	if err != nil || !id.Alive() {
		t.Fatalf("%+v alive: %v, %v", id, id.Alive(), err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if id.Alive() {
		t.Error("alive after its end")
	}
}

func TestAnotherProcessWithTheSameNumberIsNotIt(t *testing.T) {
	id, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []ID{{id.PID, id.Start + "1", id.Boot}, {id.PID, id.Start, "another boot"}} {
		if other.Alive() {
			t.Errorf("%+v is taken for %+v", other, id)
		}
	}
}
