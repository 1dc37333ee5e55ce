// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDaemonsInheritNoFiles(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// As a file is that a shell or flock opened for this program.
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
		t.Fatal(err)
	}
	held := func() bool {
		return exec.Command("sh", "-c", `for f in /proc/self/fd/*; do [ "$(readlink "$f")" = "$0" ] && exit 0; done; exit 1`, f.Name()).Run() == nil
	}
	if !held() {
		t.Fatal("a child does not inherit the file: the test shows nothing")
	}
	keepFilesFromDaemons()
	if held() {
		t.Error("a child holds the file")
	}
}
