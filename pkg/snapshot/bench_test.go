// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// fleet is a cluster that has joined peers clusters, which export each of services services exporters times, over 4 policies.
func fleet(peers, services, exporters int) *Files {
	f := newFiles()
	f.self = translate.Cluster{ID: "own", UID: "own", TrustDomain: "own", Identities: v1alpha1.Identities{
		Egress: translate.Identity("own", "mcw-egress"), Ingress: translate.Identity("own", "mcw-ingress")}}
	var offered []v1alpha1.OfferedPolicy
	for i := range int32(4) {
		ms := 50 * (i + 1)
		p := v1alpha1.WANPolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("policy-%d", i)}}
		p.Spec = v1alpha1.WANPolicySpec{Tunnel: p.Name, Port: 31111 + i, SLA: &v1alpha1.SLA{LatencyMs: &ms}, Default: i == 0}
		f.policies = append(f.policies, p)
		offered = append(offered, v1alpha1.OfferedPolicy{Name: p.Name, Tunnel: p.Name, Port: p.Spec.Port})
	}
	for i := range peers {
		id := fmt.Sprintf("cluster-%d", i)
		f.peers = append(f.peers, v1alpha1.Peer{ObjectMeta: metav1.ObjectMeta{Name: id}, Spec: v1alpha1.PeerSpec{
			ClusterID:  id,
			Identities: v1alpha1.Identities{Egress: translate.Identity(id, "mcw-egress"), Ingress: translate.Identity(id, "mcw-ingress")},
			Bootstrap:  v1alpha1.Bootstrap{Addresses: []string{fmt.Sprintf("10.200.%d.1", i), fmt.Sprintf("10.200.%d.2", i)}, Policies: offered},
		}})
	}
	for s := range services {
		for e := range exporters {
			f.advertise(s, (s*7+e)%peers)
		}
	}
	return f
}

func (f *Files) advertise(service, peer int) {
	id, name := fmt.Sprintf("cluster-%d", peer), fmt.Sprintf("service-%d", service)
	k := key("secure", name)
	f.advertisements[k] = append(f.advertisements[k], v1alpha1.ServiceAdvertisement{
		ObjectMeta: metav1.ObjectMeta{Name: name + id, Labels: map[string]string{v1alpha1.LabelSourceCluster: id}},
		Spec: v1alpha1.ServiceAdvertisementSpec{
			ClusterID: id, Namespace: "secure", Name: name, Type: "ClusterSetIP", WANPolicy: fmt.Sprintf("policy-%d", service%4),
			ExportedAt: metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
			Ports:      []v1alpha1.AdvertisedPort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080, ReadyBackends: int32(1 + peer)}},
		},
	})
}

// BenchmarkRender is what a restarted controller computes, without reading and writing.
func BenchmarkRender(b *testing.B) {
	for _, size := range []struct{ peers, services, exporters int }{{2, 100, 1}, {10, 100, 10}, {20, 1000, 3}, {100, 1000, 100}} {
		b.Run(fmt.Sprintf("%dpeers_%dservices_%dexporters", size.peers, size.services, size.exporters), func(b *testing.B) {
			f := fleet(size.peers, size.services, size.exporters)
			b.ReportAllocs()
			objects := 0
			for b.Loop() {
				objects = len(Render(f))
			}
			b.ReportMetric(float64(objects), "objects")
		})
	}
}

// BenchmarkOneImport is what one event costs.
func BenchmarkOneImport(b *testing.B) {
	f := fleet(20, 1000, 3)
	k := key("secure", "service-7")
	f.table, _ = LegPorts(f.table, Merged(f, k), k)
	b.ReportAllocs()
	for b.Loop() {
		translate.Leg(ImportInput(f, k))
	}
}
