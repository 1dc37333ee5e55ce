// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/l7mp/mc-wan/sandbox/cluster"
)

// LogFile finds a log by name: "wan", or "CLUSTER/LOG" as Logs lists them. The names of Kubernetes' components mean
// the one process that they are.
func (s *Sandbox) LogFile(name string) (string, error) {
	logs := s.Logs()
	for _, l := range logs {
		if l.Name == name {
			return l.File, nil
		}
	}
	if dir, component := path.Split(name); slices.Contains(cluster.Components(), component) {
		return s.LogFile(dir + cluster.KubernetesLog)
	}
	return "", fmt.Errorf("no log %q; there are %s", name, strings.Join(logNames(logs), ", "))
}

// LogInfo is one log of a sandbox.
type LogInfo struct {
	Name  string    `json:"name"`
	File  string    `json:"file"`
	Bytes int64     `json:"bytes"`
	Time  time.Time `json:"time"`
}

// Logs lists the logs that there are.
func (s *Sandbox) Logs() []LogInfo {
	var logs []LogInfo
	add := func(name, file string) {
		if info, err := os.Stat(file); err == nil {
			logs = append(logs, LogInfo{Name: name, File: file, Bytes: info.Size(), Time: info.ModTime()})
		}
	}
	for _, c := range s.Clusters {
		for _, name := range append(cluster.LogNames(), ToolsLog) {
			add(c.Name+"/"+name, c.Log(name))
		}
	}
	add("wan", s.WAN.Log())
	return logs
}

func logNames(logs []LogInfo) []string {
	names := make([]string, 0, len(logs))
	for _, l := range logs {
		names = append(names, l.Name)
	}
	return names
}
