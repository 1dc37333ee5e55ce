// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/l7mp/mc-wan/sandbox/cluster"
)

// inotifyPerCluster is about how many inotify instances a cluster takes: kubelet, containerd, CoreDNS, istiod and the
// proxies have one or more each (28 counted with Istio, mc-wan and clients).
const inotifyPerCluster = 32

// inotifyLimit is the file of the limit, which holds for all of root's processes together (inotify(7)).
const inotifyLimit = "/proc/sys/fs/inotify/max_user_instances"

// checkInotify says beforehand that the clusters which do not run yet would not find enough inotify instances: their
// pods would fail one by one, with messages that lead nowhere ("too many open files").
func checkInotify(clusters []*cluster.Cluster) error {
	missing := 0
	for _, c := range clusters {
		if !c.Running() {
			missing++
		}
	}
	text, err := os.ReadFile(inotifyLimit)
	if err != nil {
		return fmt.Errorf("limit of inotify instances: %w", err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("limit of inotify instances, %s: %w", inotifyLimit, err)
	}
	return inotifySuffices(limit, inotifyUsed("/proc"), missing)
}

func inotifySuffices(limit, used, clusters int) error {
	if need := used + inotifyPerCluster*clusters; need > limit {
		return fmt.Errorf("%d more clusters need about %d inotify instances, and %d of %d are in use; allow more: sysctl -w fs.inotify.max_user_instances=%d",
			clusters, inotifyPerCluster*clusters, used, limit, max(1024, 2*need))
	}
	return nil
}

// inotifyUsed counts the inotify instances of all processes.
func inotifyUsed(proc string) int {
	// The pattern is constant and well-formed, so there is no error.
	files, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	n := 0
	for _, f := range files {
		if to, err := os.Readlink(f); err == nil && to == "anon_inode:inotify" {
			n++
		}
	}
	return n
}
