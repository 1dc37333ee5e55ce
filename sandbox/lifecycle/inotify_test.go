// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInotifySuffices(t *testing.T) {
	if err := inotifySuffices(128, 20, 3); err != nil {
		t.Error(err)
	}
	if err := inotifySuffices(128, 128, 0); err != nil {
		t.Errorf("nothing more is needed: %v", err)
	}
	err := inotifySuffices(128, 60, 3)
	if err == nil || !strings.Contains(err.Error(), "sysctl -w fs.inotify.max_user_instances=1024") {
		t.Errorf("error %v, want one that says how to raise the limit", err)
	}
}

func TestInotifyUsedCountsEveryProcess(t *testing.T) {
	proc := t.TempDir()
	for file, to := range map[string]string{"1/fd/3": "anon_inode:inotify", "1/fd/4": "/dev/null", "22/fd/7": "anon_inode:inotify", "self/fd/3": "anon_inode:inotify"} {
		path := filepath.Join(proc, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	if n := inotifyUsed(proc); n != 2 {
		t.Errorf("%d instances, want 2", n)
	}
}
