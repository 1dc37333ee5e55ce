// SPDX-License-Identifier: Apache-2.0

package sdwan

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/l7mp/mc-wan/sandbox/cgroup"
	"github.com/l7mp/mc-wan/sandbox/network"
	"github.com/l7mp/mc-wan/sandbox/wan"
)

func TestEveryClusterIsASiteWithItsPods(t *testing.T) {
	s := New("/state/mcw", "mcwan-sandbox/mcw", &cgroup.Tree{})
	var members []Member
	for _, c := range (network.Plan{Name: "mcw"}).Clusters(2) {
		members = append(members, Member{Cluster: c, Kubeconfig: "/state/mcw/" + c.Name + "/pki/admin.conf"})
	}
	got := s.config(members)
	if got.WAN.ControlSocket != "/state/mcw/wan/control.sock" || len(got.WAN.Sites) != 2 || len(got.Kubeconfigs) != 2 {
		t.Fatalf("%+v", got)
	}
	site := got.WAN.Sites[1]
	if site.Name != "cluster-2" || site.NetnsPath != "/run/netns/mcw.cluster-2" || site.Device != "wan0" || fmt.Sprint(site.PodCIDRs) != "[10.64.2.0/24 fd6d:6377:0:2::/64]" {
		t.Errorf("%+v", site)
	}
	if k := got.Kubeconfigs["cluster-2"]; k != "/state/mcw/cluster-2/pki/admin.conf" {
		t.Error(k)
	}
}

// The TUN device that package network makes has the flags that package wan asks for.
func TestDeviceFlagsAgree(t *testing.T) {
	if wan.DeviceFlags != network.TUNFlags {
		t.Errorf("wan asks for %#x, network makes %#x", wan.DeviceFlags, network.TUNFlags)
	}
}

func TestProblemsAreThoseOfTheLastRun(t *testing.T) {
	s := New(t.TempDir(), "g", &cgroup.Tree{})
	if p, err := s.Problems(); err != nil || len(p) != 0 {
		t.Errorf("before any run: %v, %v", p, err)
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := `{"policies": [], "plan": {"classes": {"31111": "business"}, "problems": ["odd"]}}`
	if err := os.WriteFile(filepath.Join(s.Dir, "classes.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Problems(); err != nil || len(p) != 1 || p[0] != "odd" {
		t.Errorf("%v, %v", p, err)
	}
	last, err := readSorted(s.sortedFile())
	if err != nil || last.Plan.Classes[31111] != "business" {
		t.Errorf("%+v, %v", last, err)
	}
}
