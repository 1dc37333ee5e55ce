// SPDX-License-Identifier: Apache-2.0

//go:build sandbox

package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

// traces lists everything on the machine that belongs to a sandbox: what carries its name or its folder. It looks
// where the kernel keeps things, not where mcwan-sandbox says it put them.
func traces(t *testing.T, name, stateDir string) []string {
	t.Helper()
	var found []string
	for _, look := range []func(t *testing.T, name, dir string) []string{processes, mounts, namespaces, links, groups, files} {
		found = append(found, look(t, name, filepath.Join(stateDir, name))...)
	}
	return found
}

// processes finds processes by control group and arguments.
func processes(t *testing.T, name, dir string) []string {
	return processesWhere(t, func(groups, args string) bool {
		return strings.Contains(groups, "mcwan-sandbox/"+name+"/") || strings.Contains(args, dir)
	})
}

// processesOf lists the processes of a cluster by control group: those of its pods, and those that run them.
func processesOf(t *testing.T, name, cluster string) []string {
	t.Helper()
	return processesWhere(t, func(groups, _ string) bool {
		return strings.Contains(groups, "mcwan-sandbox/"+name+"/"+cluster+"/") || strings.Contains(groups, "mcwan-sandbox/"+name+"/systems/"+cluster+"/")
	})
}

// processesWhere lists processes by their control groups, each with a slash at its end, and their arguments.
func processesWhere(t *testing.T, match func(groups, args string) bool) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		groups, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cgroup"))
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if match(strings.ReplaceAll(string(groups), "\n", "/\n"), string(args)) {
			found = append(found, fmt.Sprintf("process %d %q", pid, bytes.ReplaceAll(args, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// programOf finds a program that process 1 of a cluster runs.
func (s *sandbox) programOf(cluster, program string) int {
	s.t.Helper()
	for _, p := range processesOf(s.t, s.name, cluster) {
		var pid int
		if _, err := fmt.Sscanf(p, "process %d", &pid); err != nil {
			s.t.Fatal(err)
		}
		if strings.Contains(p, "/"+program+" ") {
			return pid
		}
	}
	s.t.Fatalf("%s of %s does not run %s", cluster, s.name, program)
	return 0
}

// mounts looks into the mount table of every process, because a mount namespace of its own hides mounts from this one.
func mounts(t *testing.T, name, dir string) []string {
	tables, err := filepath.Glob("/proc/[0-9]*/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, table := range tables {
		data, _ := os.ReadFile(table)
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, dir) || strings.Contains(line, "/netns/"+name+".") {
				found = append(found, fmt.Sprintf("mount %s: %s", table, line))
			}
		}
	}
	return found
}

func namespaces(t *testing.T, name, _ string) []string {
	found, err := filepath.Glob("/run/netns/" + name + ".*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// links finds the machine's ends of the management links by their alias, and their routes with them.
func links(t *testing.T, name, _ string) []string {
	all, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, l := range all {
		if !strings.HasPrefix(l.Attrs().Alias, "mcwan-sandbox "+name+".") {
			continue
		}
		found = append(found, "link "+l.Attrs().Name)
		routes, err := netlink.RouteList(l, netlink.FAMILY_ALL)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range routes {
			found = append(found, "route "+r.String())
		}
	}
	return found
}

func groups(t *testing.T, name, _ string) []string {
	var found []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // groups come and go
		}
		if e.IsDir() && strings.HasSuffix(path, "/mcwan-sandbox/"+name) {
			found = append(found, "control group "+path)
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func files(t *testing.T, _, dir string) []string {
	found, err := filepath.Glob(dir)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// machine is what of the whole machine a sandbox must not change: kernel settings and the machine's own addresses.
func machine(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"/proc/sys/vm/*", "/proc/sys/kernel/panic*", "/proc/sys/net/ipv4/conf/default/*", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/default/*", "/proc/sys/net/ipv6/conf/all/*", "/proc/sys/net/netfilter/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			if strings.HasSuffix(p, "nf_conntrack_count") { // traffic of everybody else
				continue
			}
			data, err := os.ReadFile(p)
			if err == nil {
				all = append(all, fmt.Sprintf("%s = %s", p, bytes.TrimSpace(data)))
			}
		}
	}
	slices.Sort(all)
	return all
}

// expectNoTraces waits a little, because the kernel takes network namespaces apart in the background.
func expectNoTraces(t *testing.T, name, stateDir string) {
	t.Helper()
	var left []string
	if !within(10*time.Second, func() bool { left = traces(t, name, stateDir); return len(left) == 0 }) {
		t.Errorf("left of %s:\n%s", name, strings.Join(left, "\n"))
	}
}

func expectSame(t *testing.T, what string, before, after []string) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("%s changed:\n%s", what, diff)
	}
}
