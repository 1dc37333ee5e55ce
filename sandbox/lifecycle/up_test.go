// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/state"
)

func TestWhatIsNotAskedForStaysAsItWas(t *testing.T) {
	was := state.Record{Name: "a", Slot: 3, Clusters: 3, Istio: true, Addon: false, Replicas: 2, GOGC: 50}
	got, err := Want{Addon: new(true)}.Merge(was)
	if err != nil {
		t.Fatal(err)
	}
	want := was
	want.Addon = true
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBe(t *testing.T) {
	was := Defaults("a", time.Unix(0, 0))
	for name, c := range map[string]struct {
		want Want
		says string
	}{
		"fewer clusters":      {Want{Clusters: new(1)}, "mcwan-sandbox down --name a"},
		"too many clusters":   {Want{Clusters: new(99)}, "clusters 99"},
		"no replicas":         {Want{Replicas: new(0)}, "replicas 0"},
		"no collections":      {Want{GOGC: new(5)}, "gogc 5"},
		"add-on without mesh": {Want{Istio: new(false)}, "--no-addon"},
	} {
		if _, err := c.want.Merge(was); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", name, err, c.says)
		}
	}
}

func TestLogsAreFoundByComponent(t *testing.T) {
	dir := t.TempDir()
	s := &Sandbox{Dir: dir, Clusters: []*cluster.Cluster{{Dir: dir}}}
	s.Clusters[0].Name = "cluster-1"
	s.WAN = (&Manager{Store: state.Store{Root: dir}}).assemble(&state.Record{Name: "a"}, s.Clusters[0].Artifacts, nil).WAN
	kubernetes := s.Clusters[0].Log(cluster.KubernetesLog)
	if err := withLog(kubernetes, func(log io.Writer) error {
		_, err := log.Write([]byte("x"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cluster-1/kubernetes", "cluster-1/kubelet", "cluster-1/etcd"} {
		if file, err := s.LogFile(name); err != nil || file != kubernetes {
			t.Errorf("%s: %s, %v", name, file, err)
		}
	}
	for _, name := range []string{"cluster-2/kubelet", "kubelet", "cluster-1/nonsense"} {
		if _, err := s.LogFile(name); err == nil || !strings.Contains(err.Error(), "cluster-1/kubernetes") {
			t.Errorf("%s: error %v does not list what there is", name, err)
		}
	}
}
