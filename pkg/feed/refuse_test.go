// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func refusalsOf(w *world) map[string]string {
	out := map[string]string{}
	for _, r := range w.sink.last(there).Counts.Refusals {
		out[r.Name] = r.Reason
	}
	return out
}

// One by one: what is wrong is refused by name, the rest works.
func TestRefusedOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.export("kube-system/kube-dns")
		w.export("shop/stolen", func(s *v1alpha1.ServiceAdvertisementSpec) { s.ClusterID = "c3" })
		w.export("shop/future", func(s *v1alpha1.ServiceAdvertisementSpec) { s.MinReader = v1alpha1.ReaderVersion + 1 })
		w.export("shop/loud", func(s *v1alpha1.ServiceAdvertisementSpec) { s.Ports[0].Port = 70000 })
		w.export("shop/crowd", func(s *v1alpha1.ServiceAdvertisementSpec) {
			for i := range v1alpha1.MaxEndpoints + 1 {
				s.Endpoints = append(s.Endpoints, v1alpha1.AdvertisedEndpoint{Hostname: fmt.Sprintf("db-%d", i)})
			}
		})
		w.export("shop/twins", func(s *v1alpha1.ServiceAdvertisementSpec) {
			s.Endpoints = []v1alpha1.AdvertisedEndpoint{{Hostname: "db-0"}, {Hostname: "db-0"}}
		})
		w.export("shop/dotted", func(s *v1alpha1.ServiceAdvertisementSpec) {
			s.Endpoints = []v1alpha1.AdvertisedEndpoint{{Hostname: "payment.secure"}}
		})
		w.api.put(advertisements, there, "wrong-type", map[string]any{"clusterID": there, "namespace": "shop", "name": "x", "ports": []any{map[string]any{"port": "many"}}})
		w.api.put(advertisements, there, "overflow", map[string]any{"clusterID": there, "namespace": "shop", "name": "y", "ports": []any{map[string]any{"port": 1, "protocol": "TCP", "readyBackends": uint32(1<<32 - 1)}}})
		w.api.put(advertisements, there, "no-spec", nil)
		w.api.put(advertisements, there, "second-payment", advertisement(there, "secure", "payment"))
		w.card(2, 12)
		w.start()
		w.wantNames("secure/payment")
		w.wantReason(v1alpha1.ReasonSynced, "")
		want := map[string]string{
			"kube-system/kube-dns": v1alpha1.RefusedNamespace, "shop/stolen": v1alpha1.RefusedCluster, "shop/future": v1alpha1.RefusedVersion,
			"shop/crowd": v1alpha1.RefusedBounds, "shop/twins": v1alpha1.RefusedName, "shop/dotted": v1alpha1.RefusedName,
			"shop/loud": v1alpha1.RefusedPort, "wrong-type": v1alpha1.RefusedUndecodable, "overflow": v1alpha1.RefusedUndecodable,
			"no-spec": v1alpha1.RefusedUndecodable, "secure/payment": v1alpha1.RefusedDuplicate,
		}
		if got := refusalsOf(w); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("refusals %v\nwant %v", got, want)
		}
		if c := w.sink.last(there).Counts; c.Accepted != 1 || c.Refused != 11 {
			t.Errorf("counts %+v", c)
		}
	})
}

// What was good once and is no longer stays in use as it was.
func TestLastGoodStays(t *testing.T) {
	rows := map[string]any{
		"too new": func() any {
			s := advertisement(there, "secure", "payment")
			s.MinReader = 99
			s.Ports[0].Port = 1
			return s
		}(),
		"wrong type": map[string]any{"clusterID": 7},
		"bad port":   func() any { s := advertisement(there, "secure", "payment"); s.Ports[0].Port = 0; return s }(),
		"stolen":     advertisement("c3", "secure", "payment"),
		"a string":   "spec",
	}
	for name, spec := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "secure/payment", "shop/cart")
				w.start()
				w.api.put(advertisements, there, named(there, "secure", "payment"), spec)
				after(10 * time.Minute)
				w.wantNames("secure/payment", "shop/cart")
				if c := w.sink.last(there).Counts; c.Accepted != 2 || c.Refused != 1 {
					t.Errorf("counts %+v", c)
				}
				if got := w.sink.copies[named(there, "secure", "payment")].Spec.Ports[0].Port; got != 8080 {
					t.Errorf("port %d is in use, want the last good 8080", got)
				}
				w.stop() // nor does a restart forget it
				w.start()
				after(10 * time.Minute)
				w.wantNames("secure/payment", "shop/cart")
			})
		})
	}
}

// Which namespaces a peer may import into is the operator's word: it holds at once, also for a peer that is silent.
func TestNamespaceIsClosed(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("silent=%v", silent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "secure/payment", "shop/cart")
				w.start()
				if silent {
					w.between(blackHole)
					w.wan.cut()
					after(time.Minute)
				}
				closed := peerSpec(there)
				closed.Namespaces = []string{"shop"}
				w.readers.SetPeers([]v1alpha1.PeerSpec{closed})
				after(time.Second)
				w.wantNames("shop/cart")
				w.readers.SetPeers([]v1alpha1.PeerSpec{peerSpec(there)})
				after(time.Second)
				if !silent {
					w.wantNames("secure/payment", "shop/cart")
				}
			})
		})
	}
}

// The feed touches its own copies only.
func TestForeignObjectsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart")
		manual := v1alpha1.ServiceAdvertisement{Spec: advertisement(there, "secure", "payment")}
		manual.Name = named(there, "secure", "payment")
		manual.Labels = map[string]string{v1alpha1.LabelSourceCluster: there, v1alpha1.LabelManagedBy: v1alpha1.ValueManagedBy, v1alpha1.LabelManual: "true"}
		manual.Spec.Ports[0].Port = 1234
		other := v1alpha1.ServiceAdvertisement{Spec: advertisement("c3", "shop", "stock")}
		other.Name = "of-c3"
		other.Labels = map[string]string{v1alpha1.LabelSourceCluster: "c3", v1alpha1.LabelManagedBy: v1alpha1.ValueManagedBy}
		w.sink.copies[manual.Name], w.sink.copies[other.Name] = &manual, &other
		w.start()
		after(10 * time.Minute)
		w.wantNames("secure/payment", "shop/cart", "shop/stock")
		if got := w.sink.copies[manual.Name].Spec.Ports[0].Port; got != 1234 {
			t.Errorf("the hand-written advertisement has been changed: port %d", got)
		}
		if got := refusalsOf(w)["secure/payment"]; got != v1alpha1.RefusedConflict {
			t.Errorf("refusal %q, want %q", got, v1alpha1.RefusedConflict)
		}
		w.wantReason(v1alpha1.ReasonSynced, "")
		w.sink.set(func(s *memorySink) { delete(s.copies, manual.Name) })
		after(6 * time.Minute) // the resync
		if got := w.sink.last(there).Counts; got.Accepted != 2 || got.Refused != 0 {
			t.Errorf("counts %+v after the name was free", got)
		}
	})
}

// Copies that somebody else deleted or changed come back, at once when told.
func TestCopiesAreHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart")
		w.start()
		w.sink.set(func(s *memorySink) {
			delete(s.copies, named(there, "shop", "cart"))
			s.copies[named(there, "secure", "payment")].Spec.Ports[0].Port = 1
		})
		w.readers.Recheck(there)
		after(time.Second)
		w.wantNames("secure/payment", "shop/cart")
		if got := w.sink.copies[named(there, "secure", "payment")].Spec.Ports[0].Port; got != 8080 {
			t.Errorf("port %d", got)
		}
	})
}

func TestOwnAPIServerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment", "shop/cart", "shop/stock")
		invalid := apierrors.NewInvalid(schema.GroupKind{Kind: "ServiceAdvertisement"}, "x", field.ErrorList{field.Required(field.NewPath("spec"), "")})
		w.sink.fail = func(name string) error {
			switch name {
			case named(there, "shop", "cart"):
				return invalid
			case named(there, "shop", "stock"):
				return errors.New("etcdserver: request timed out")
			}
			return nil
		}
		w.start()
		w.wantNames("secure/payment")
		w.wantReason(v1alpha1.ReasonPending, "cannot all be written")
		if w.sink.last(there).SyncedOnce {
			t.Error("a peer of which not all is written down has not been synced")
		}
		w.sink.set(func(s *memorySink) {
			s.fail = func(name string) error {
				if name == named(there, "shop", "cart") {
					return invalid
				}
				return nil
			}
		})
		after(20 * time.Second)
		w.wantNames("secure/payment", "shop/stock")
		w.wantReason(v1alpha1.ReasonSynced, "")
		if got := refusalsOf(w)["shop/cart"]; got != v1alpha1.RefusedBounds {
			t.Errorf("refusal %q", got)
		}
	})
}

func TestCardOfAnotherUID(t *testing.T) {
	rebuilt := func(c *v1alpha1.ClusterAdvertisementSpec) { c.ClusterUID = "uid-new" }
	t.Run("pinned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "secure/payment")
			w.start()
			pinned := peerSpec(there)
			pinned.ClusterUID = "uid-" + there
			w.readers.SetPeers([]v1alpha1.PeerSpec{pinned})
			w.card(1, 1, rebuilt)
			w.unexport("secure/payment")
			after(time.Hour)
			w.wantReason(v1alpha1.ReasonUIDMismatch, "apply its card again")
			w.wantNames("secure/payment")
			if got := w.sink.cards[there].Spec.ClusterUID; got != "uid-"+there {
				t.Errorf("the card of %s is in use", got)
			}
			pinned.ClusterUID = "uid-new"
			w.readers.SetPeers([]v1alpha1.PeerSpec{pinned})
			w.card(2, 0, rebuilt)
			after(time.Second)
			w.wantReason(v1alpha1.ReasonSynced, "")
		})
	})
	t.Run("not pinned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "secure/payment")
			w.card(7, 1)
			w.start()
			w.card(1, 1, rebuilt)
			after(time.Second)
			w.wantReason(v1alpha1.ReasonSynced, "")
			w.wantNotice(v1alpha1.NoticeUIDChanged, true)
			if got := w.sink.cards[there].Spec; got.ClusterUID != "uid-new" || got.Generation != 1 {
				t.Errorf("card %+v", got)
			}
			pinned := peerSpec(there)
			pinned.ClusterUID = "uid-new"
			w.readers.SetPeers([]v1alpha1.PeerSpec{pinned})
			after(time.Second)
			w.wantNotice(v1alpha1.NoticeUIDChanged, false)
		})
	})
}

// Of one cluster uid the highest generation wins, wherever it came from.
func TestLowerGenerationIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.card(5, 1)
		w.start()
		w.sink.set(func(s *memorySink) { // an announcement
			s.cards[there].Spec.Generation = 6
			s.cards[there].Spec.Addresses = []string{"10.2.0.9"}
		})
		w.export("shop/cart")
		after(time.Second)
		w.wantNotice(v1alpha1.NoticeStaleCard, false)
		if got := w.sink.cards[there].Spec; got.Generation != 6 || got.Addresses[0] != "10.2.0.9" {
			t.Errorf("card %+v: the announced one has been replaced by an older one", got)
		}
		w.card(4, 2) // restored from a backup
		after(time.Minute)
		w.wantNotice(v1alpha1.NoticeStaleCard, true)
		w.wantNames("secure/payment", "shop/cart")
		if got := w.sink.last(there).Card; got.Generation != 6 {
			t.Errorf("card %+v in use", got)
		}
		w.card(7, 2)
		after(time.Second)
		w.wantNotice(v1alpha1.NoticeStaleCard, false)
		if got := w.sink.cards[there].Spec.Generation; got != 7 {
			t.Errorf("generation %d", got)
		}
	})
}

// Many and large, in lists and in events: the peer is unreadable, memory stays bounded, other peers are not concerned.
func TestHostileAmounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.options.Limits.MaxAdvertisements = 50
		w.start()
		for i := range 60 {
			w.export(fmt.Sprintf("shop/s%d", i))
		}
		w.card(2, 61)
		after(10 * time.Second)
		w.wantReason(v1alpha1.ReasonUnreadable, "more than 50 advertisements")
		after(10 * time.Minute)
		w.wantReason(v1alpha1.ReasonUnreadable, "more than 50 advertisements")
		if n := len(w.sink.names()); n > 50 {
			t.Errorf("%d copies", n)
		}
		for i := range 30 {
			w.export(fmt.Sprintf("shop/s%d", i), draining)
			w.unexport(fmt.Sprintf("shop/s%d", i))
		}
		w.card(3, 31)
		after(3 * time.Minute)
		w.wantReason(v1alpha1.ReasonSynced, "")
		if n := len(w.sink.names()); n != 31 {
			t.Errorf("%d copies, want 31", n)
		}
	})
}

func TestHostilePages(t *testing.T) {
	head := `{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"ServiceAdvertisementList","metadata":{"resourceVersion":"9"},"items":[`
	rows := map[string]string{
		"many tiny items": head + strings.Repeat("{},", 1<<20) + "{}]}",
		"many nulls":      head + strings.Repeat("null,", 1<<20) + "null]}",
		"deep nesting":    head + strings.Repeat("[", 3<<20),
	}
	for name, body := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "secure/payment")
				w.options.Limits.MaxResponseBytes, w.options.Limits.MaxBytesPerMinute = 17<<20, 40<<20
				w.start()
				w.between(says(200, "application/json", body))
				w.wan.cut()
				var before, now runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				after(30 * time.Second)
				w.wantReason(v1alpha1.ReasonUnreadable, "")
				w.wantNames("secure/payment")
				runtime.GC()
				runtime.ReadMemStats(&now)
				if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
					t.Errorf("%d MiB more on the heap", grown>>20)
				}
			})
		})
	}
}

// A namespace or name from a peer in a message is short and printable.
func TestHostileNamesInMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		s := advertisement(there, "x\n\x1b[31m"+strings.Repeat("é", 500), "y")
		w.api.put(advertisements, there, "hostile", s)
		w.card(2, 2)
		w.start()
		refusals := w.sink.last(there).Counts.Refusals
		if len(refusals) != 1 || len(refusals[0].Name) > 600 || strings.ContainsAny(refusals[0].Name, "\n\x1b") {
			t.Errorf("refusals %q", refusals)
		}
	})
}

func TestRefusalsAreBoundedAndSorted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		for i := range 30 {
			w.export(fmt.Sprintf("kube-system/s%02d", i))
		}
		w.card(2, 31)
		w.start()
		c := w.sink.last(there).Counts
		if c.Refused != 30 || len(c.Refusals) != 20 || c.Refusals[0].Name != "kube-system/s00" || c.Refusals[19].Name != "kube-system/s19" {
			t.Errorf("counts %+v", c)
		}
	})
}

// A peer that is no longer joined is left alone: nothing of it is read, nothing of it is deleted here.
func TestPeerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "secure/payment")
		w.start()
		w.readers.SetPeers(nil)
		asked := w.requests()
		w.export("shop/cart")
		w.card(2, 2)
		after(time.Hour)
		w.wantNames("secure/payment")
		if now := w.requests(); now != asked {
			t.Errorf("%d requests to a cluster that left", now-asked)
		}
		w.readers.SetPeers([]v1alpha1.PeerSpec{peerSpec(there)})
		after(time.Second)
		w.wantNames("secure/payment", "shop/cart")
	})
}

// A copy is written as it was advertised, and carries the labels by which it is found.
func TestCopyIsComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		full := func(s *v1alpha1.ServiceAdvertisementSpec) {
			deadline := metav1.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
			s.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
			s.ExportedLabels = map[string]string{"app.kubernetes.io/name": "payment"}
			s.WANPolicy, s.Draining, s.DrainDeadline = "high", true, &deadline
		}
		w.export("secure/payment", full)
		w.card(2, 1)
		w.start()
		got := w.sink.copies[named(there, "secure", "payment")]
		want := advertisement(there, "secure", "payment")
		full(&want)
		if fmt.Sprint(got.Spec) != fmt.Sprint(want) {
			t.Errorf("spec %+v\nwant %+v", got.Spec, want)
		}
		labels := map[string]string{
			v1alpha1.LabelManagedBy: "mc-wan", v1alpha1.LabelPart: "advertisement", v1alpha1.LabelSourceCluster: there,
			v1alpha1.LabelServiceNamespace: "secure", v1alpha1.LabelServiceName: "payment",
		}
		if fmt.Sprint(got.Labels) != fmt.Sprint(labels) || got.Namespace != "mc-wan" {
			t.Errorf("labels %v in %s", got.Labels, got.Namespace)
		}
	})
}
