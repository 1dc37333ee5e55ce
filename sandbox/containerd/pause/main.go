// SPDX-License-Identifier: Apache-2.0

// Command pause is what a pod's sandbox container runs: it holds the pod's namespaces open, reaps the orphans of pods
// that share one pid namespace, and ends at once on SIGTERM (a process that is pid 1 has no default signal actions).
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		reap()
	}
}

// reap collects every child that has ended: one SIGCHLD may stand for several of them.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if pid <= 0 || err != nil {
			return
		}
	}
}
