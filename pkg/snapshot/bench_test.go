// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

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

// manifest is the fleet as kubectl prints it: a List in JSON, or in YAML documents.
func (f *Files) manifest(b *testing.B, asJSON bool) []byte {
	var docs [][]byte
	add := func(kind string, obj any) {
		raw, err := json.Marshal(obj)
		if err != nil {
			b.Fatal(err)
		}
		raw = append([]byte(`{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"`+kind+`",`), raw[1:]...)
		if !asJSON {
			if raw, err = yaml.JSONToYAML(raw); err != nil {
				b.Fatal(err)
			}
		}
		docs = append(docs, raw)
	}
	for i := range f.policies {
		add("WANPolicy", &f.policies[i])
	}
	for i := range f.peers {
		add("Peer", &f.peers[i])
	}
	for _, k := range f.serviceNames() {
		for i := range f.advertisements[k] {
			add("ServiceAdvertisement", &f.advertisements[k][i])
		}
	}
	if !asJSON {
		return bytes.Join(docs, []byte("---\n"))
	}
	return slices.Concat([]byte(`{"apiVersion":"v1","kind":"List","items":[`), bytes.Join(docs, []byte(",")), []byte(`]}`))
}

// BenchmarkRenderFiles is what `mcwanctl render` does: from bytes to bytes.
func BenchmarkRenderFiles(b *testing.B) {
	for _, size := range []struct{ clusters, exports int }{{10, 100}, {30, 300}, {100, 1000}} {
		for _, form := range []string{"json", "yaml"} {
			b.Run(fmt.Sprintf("%dclusters_%dexports_%s", size.clusters, size.exports, form), func(b *testing.B) {
				data := fleet(size.clusters, size.exports, size.clusters).manifest(b, form == "json")
				b.ReportAllocs()
				for b.Loop() {
					f, err := Read(Options{ClusterID: "own", DummyServices: true}, File{Name: "fleet", Data: data})
					if err != nil {
						b.Fatal(err)
					}
					if _, err := Marshal(Render(f)); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(data))/(1<<20), "MiB-read")
			})
		}
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
