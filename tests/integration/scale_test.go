// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/controller"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// TestScale imports as many services as MCWAN_TEST_SCALE says, each from 3 of 20 clusters, and says what that takes. It
// is a measurement: run it alone.
func TestScale(t *testing.T) {
	services, err := strconv.Atoi(os.Getenv("MCWAN_TEST_SCALE"))
	if err != nil {
		t.Skip("MCWAN_TEST_SCALE is not set")
	}
	const peers, exporters = 20, 3
	f := newFleet(t, 1, func(o *controller.Options) { o.PeerSyncTimeout = time.Millisecond })
	one := f.members[0]
	one.down()
	for i := range peers {
		one.create(farPeer(i))
	}
	parallel(services, func(i int) {
		for k := range exporters {
			one.create(farAdvertisement(f.namespace, fmt.Sprintf("svc-%d", i), (i+k*7)%peers))
		}
	})

	start := time.Now()
	one.up()
	one.eventually(5*time.Minute, "everything is imported", func() error {
		return one.countImports(services)
	})
	t.Logf("%d services of %d clusters: all written after %.1f s, %d writing requests", services, peers, time.Since(start).Seconds(), len(one.running.writes.all()))
	one.settled()

	one.down()
	before := one.versions()
	start = time.Now()
	one.up()
	one.eventually(time.Minute, "the peers have been looked at", func() error { return one.metric("mcwan_imports", float64(services)) })
	one.settled()
	if diff := difference(before, one.versions()); diff != "" {
		t.Errorf("a restart wrote: %s", diff)
	}
	if lines := steady(one.running.writes.all()); len(lines) > 0 {
		t.Errorf("%d writing requests after a restart, such as %s", len(lines), lines[0])
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	t.Logf("restart: quiet after %.1f s; heap of the whole test %d MiB", time.Since(start).Seconds(), memory.HeapInuse>>20)
}

func parallel(n int, do func(i int)) {
	const workers = 8
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				do(i)
			}
		})
	}
	wg.Wait()
}

func farPeer(i int) *v1alpha1.Peer {
	id := fmt.Sprintf("far-%d", i)
	return &v1alpha1.Peer{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: id},
		Spec: v1alpha1.PeerSpec{
			ClusterID:  id,
			Identities: v1alpha1.Identities{Egress: "spiffe://" + id + "/ns/mc-wan/sa/mcw-egress", Ingress: "spiffe://" + id + "/ns/mc-wan/sa/mcw-ingress"},
			Bootstrap: v1alpha1.Bootstrap{
				Addresses: []string{fmt.Sprintf("10.30.%d.5", i)},
				Policies:  []v1alpha1.OfferedPolicy{{Name: "default", Tunnel: "internet", Port: 31110}, {Name: "high", Tunnel: "business", Port: 31111}},
			},
		},
	}
}

func farAdvertisement(namespace, name string, peer int) *v1alpha1.ServiceAdvertisement {
	id := fmt.Sprintf("far-%d", peer)
	return &v1alpha1.ServiceAdvertisement{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.Namespace, Name: translate.AdvertisementName(id, namespace, name),
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ValueManagedBy, v1alpha1.LabelPart: v1alpha1.PartAdvertisement, v1alpha1.LabelSourceCluster: id,
				v1alpha1.LabelServiceNamespace: namespace, v1alpha1.LabelServiceName: name,
			},
		},
		Spec: v1alpha1.ServiceAdvertisementSpec{
			ClusterID: id, Namespace: namespace, Name: name, ExportedAt: metav1.Unix(1700000000, 0), Type: "ClusterSetIP", WANPolicy: "high",
			SessionAffinity: corev1.ServiceAffinityNone, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Ports: []v1alpha1.AdvertisedPort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080, ReadyBackends: 2}},
		},
	}
}

func (m *member) countImports(want int) error {
	var list mcsv1beta1.ServiceImportList
	if err := m.List(m.fleet.t.Context(), &list, client.InNamespace(m.fleet.namespace)); err != nil && !apierrors.IsTooManyRequests(err) {
		return err
	}
	ready := 0
	for i := range list.Items {
		if meta.IsStatusConditionTrue(list.Items[i].Status.Conditions, string(mcsv1beta1.ServiceImportConditionReady)) {
			ready++
		}
	}
	if ready != want {
		return fmt.Errorf("%d are ready, want %d", ready, want)
	}
	return nil
}

// metric compares the metric that has all of the labels, by name and value in turn.
func (m *member) metric(name string, want float64, labels ...string) error {
	families, err := m.running.metrics.Gather()
	if err != nil {
		return err
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			if !hasLabels(metric, labels) {
				continue
			}
			if got := metric.GetGauge().GetValue() + metric.GetCounter().GetValue(); got != want {
				return fmt.Errorf("%s %v is %v, want %v", name, labels, got, want)
			}
			return nil
		}
	}
	return fmt.Errorf("no metric %s %v", name, labels)
}

func hasLabels(metric *dto.Metric, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		if !slices.ContainsFunc(metric.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == labels[i] && l.GetValue() == labels[i+1] }) {
			return false
		}
	}
	return true
}
