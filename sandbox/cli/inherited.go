// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// keepFilesFromDaemons sees to it that no process of a sandbox holds a file that the caller of this program had open. A
// sandbox outlives the command that started it: with `flock FILE mcwan-sandbox up` it would hold the lock as long as it
// lives. Where /proc cannot be read nothing is lost but that.
func keepFilesFromDaemons() {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, f := range open {
		if n, err := strconv.Atoi(f.Name()); err == nil && n > 2 {
			unix.CloseOnExec(n)
		}
	}
}
