// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/controller"
)

// list is an answer of the feed, as loose as JSON is.
type list struct {
	fields map[string]any
}

func parseList(t *testing.T, raw []byte) list {
	var l list
	if err := json.Unmarshal(raw, &l.fields); err != nil {
		t.Errorf("the feed does not answer JSON: %v", err)
	}
	return l
}

func (l list) items() []any {
	items, _ := l.fields["items"].([]any)
	return items
}

func (l list) with(t *testing.T, items []any) []byte {
	l.fields["items"] = items
	raw, err := json.Marshal(l.fields)
	if err != nil {
		t.Error(err)
	}
	return raw
}

// copyItem is a deep copy of an item under another name, with its spec changed.
func copyItem(t *testing.T, item any, name string, spec map[string]any) any {
	raw, err := json.Marshal(item)
	if err != nil {
		t.Error(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Error(err)
	}
	out["metadata"].(map[string]any)["name"] = name
	of := out["spec"].(map[string]any)
	of["name"] = name
	maps.Copy(of, spec)
	return out
}

func port(fields map[string]any) map[string]any {
	p := map[string]any{"name": "http", "protocol": "TCP", "port": 80, "readyBackends": 1}
	maps.Copy(p, fields)
	return map[string]any{"ports": []any{p}}
}

// manyPorts are n TCP ports.
func manyPorts(n int) []any {
	var out []any
	for i := range n {
		out = append(out, map[string]any{"name": fmt.Sprintf("p-%d", i), "protocol": "TCP", "port": i + 1, "readyBackends": 1})
	}
	return out
}

// hostileItems are advertisements that must not be acted on, and why.
func hostileItems() map[string]struct {
	spec   map[string]any
	reason string
} {
	type item = struct {
		spec   map[string]any
		reason string
	}
	return map[string]item{
		"into-kube-system": {map[string]any{"namespace": "kube-system"}, v1alpha1.RefusedNamespace},
		"into-mc-wan":      {map[string]any{"namespace": v1alpha1.Namespace}, v1alpha1.RefusedNamespace},
		"bad-name":         {map[string]any{"name": "../../etc"}, v1alpha1.RefusedName},
		"of-another":       {map[string]any{"clusterID": "cluster-3"}, v1alpha1.RefusedCluster},
		"of-ourselves":     {map[string]any{"clusterID": "cluster-1"}, v1alpha1.RefusedCluster},
		"heavy":            {port(map[string]any{"readyBackends": uint32(1<<32 - 1)}), v1alpha1.RefusedUndecodable},
		"heavy-enough":     {port(map[string]any{"readyBackends": 1 << 30}), v1alpha1.RefusedBounds},
		"no-port":          {port(map[string]any{"port": 70000}), v1alpha1.RefusedPort},
		"wrong-type":       {map[string]any{"ports": "many"}, v1alpha1.RefusedUndecodable},
		"too-new":          {map[string]any{"minReader": 99}, v1alpha1.RefusedVersion},
		"before-all":       {map[string]any{"exportedAt": "0001-01-01T00:00:00Z"}, v1alpha1.RefusedBounds},
		"all-ports":        {map[string]any{"ports": manyPorts(200)}, v1alpha1.RefusedBounds},
		"ours-by-label":    {map[string]any{"exportedLabels": map[string]any{v1alpha1.LabelPart: "fleet"}}, v1alpha1.RefusedBounds},
	}
}

// TestHostilePeer: a peer that was joined in good faith says what it must not. Each such thing is refused, with a reason on
// its Peer, and all the rest goes on.
func TestHostilePeer(t *testing.T) {
	f := joined(t, 3, func(o *controller.Options) { o.FeedLimits.MaxLegPorts = 100 })
	one, two, three := f.members[0], f.members[1], f.members[2]
	two.service("good", 1)
	two.export("good", "")
	three.service("other", 1)
	three.export("other", "")
	one.imported("good", two.id)
	one.imported("other", three.id)

	hostile := hostileItems()
	f.gateways.lie(one.id, two.id, func(path string, raw []byte) []byte {
		answer := parseList(t, raw)
		switch items := answer.items(); {
		case strings.HasSuffix(path, "/clusteradvertisements") && len(items) > 0:
			items[0].(map[string]any)["spec"].(map[string]any)["advertisements"] = len(hostile) + 1
			return answer.with(t, items)
		case strings.HasSuffix(path, "/serviceadvertisements") && len(items) > 0:
			for name, h := range hostile {
				items = append(items, copyItem(t, items[0], name, h.spec))
			}
			return answer.with(t, items)
		}
		return raw
	})
	one.peerIs(two.id, v1alpha1.ConditionAdvertisementsAccepted, metav1.ConditionFalse, v1alpha1.ReasonSomeRefused)
	one.eventually(soon, "each is refused for its reason", func() error {
		peer := &v1alpha1.Peer{}
		if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: two.id}, peer); err != nil {
			return err
		}
		got, want := map[string]int{}, map[string]int{}
		for _, r := range peer.Status.Advertisements.Refusals {
			got[r.Reason]++
		}
		for _, h := range hostile {
			want[h.reason]++
		}
		if diff := cmp.Diff(want, got); diff != "" || peer.Status.Advertisements.Accepted != 1 {
			return fmt.Errorf("%d accepted, refusals (-want +got):\n%s%v", peer.Status.Advertisements.Accepted, diff, peer.Status.Advertisements.Refusals)
		}
		return nil
	})
	one.theRestWorks(t, hostile)

	// The way to a peer is its own to say, but not any way: the last good card stays.
	for _, address := range []string{"127.0.0.1", "10.101.0.1", "169.254.169.254"} {
		f.gateways.lie(one.id, two.id, func(path string, raw []byte) []byte {
			answer := parseList(t, raw)
			if items := answer.items(); strings.HasSuffix(path, "/clusteradvertisements") && len(items) > 0 {
				spec := items[0].(map[string]any)["spec"].(map[string]any)
				spec["addresses"], spec["generation"] = []any{address}, 1<<20
				return answer.with(t, items)
			}
			return raw
		})
		one.peerIs(two.id, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnreadable)
		if hops, _, err := one.hops("default", two.id); err != nil || len(hops) == 0 || hops[0] != two.gatewayAddress()+":31110" {
			t.Errorf("%s: hops %v: %v", address, hops, err)
		}
	}

	// Too much.
	for what, much := range map[string]func(items []any) []any{
		"100,000 advertisements": func(items []any) []any {
			out := make([]any, 100_000)
			for i := range out {
				out[i] = items[0]
			}
			return out
		},
		"megabytes": func(items []any) []any {
			return append(items, copyItem(t, items[0], "huge", map[string]any{"exportedAnnotations": map[string]any{"a": strings.Repeat("x", 32<<20)}}))
		},
	} {
		var told []byte
		f.gateways.lie(one.id, two.id, func(path string, raw []byte) []byte {
			if !strings.HasSuffix(path, "/serviceadvertisements") {
				return raw
			}
			if answer := parseList(t, raw); told == nil {
				told = answer.with(t, much(answer.items()))
			}
			return told
		})
		one.peerIs(two.id, v1alpha1.ConditionFeedReady, metav1.ConditionFalse, v1alpha1.ReasonUnreadable)
		t.Log(what)
		one.theRestWorks(t, nil)
	}
	three.service("late", 1)
	three.export("late", "")
	one.eventually(2*soon, "what is new of others comes", func() error { return one.isImported(&mcsv1beta1.ServiceImport{}, "late", three.id) })

	f.gateways.lie(one.id, two.id, nil)
	one.peerIs(two.id, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	one.peerIs(two.id, v1alpha1.ConditionAdvertisementsAccepted, metav1.ConditionTrue, v1alpha1.ReasonAllAccepted)
}

// theRestWorks: the good imports stand and stay, and of the hostile ones nothing does.
func (m *member) theRestWorks(t *testing.T, hostile map[string]struct {
	spec   map[string]any
	reason string
}) {
	t.Helper()
	m.always(time.Second/2, "the rest works", func() error {
		for name, cluster := range map[string]string{"good": "cluster-2", "other": "cluster-3"} {
			if err := m.isImported(&mcsv1beta1.ServiceImport{}, name, cluster); err != nil {
				return err
			}
		}
		for name := range hostile {
			for _, namespace := range []string{m.fleet.namespace, "kube-system", v1alpha1.Namespace} {
				if err := m.gone(&mcsv1beta1.ServiceImport{}, namespace, name); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
