// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// joined is a Peer with what else its spec says.
func joined(id, rest string) string {
	return `apiVersion: mcw.l7mp.io/v1alpha1
kind: Peer
metadata: {name: ` + id + `, namespace: mc-wan}
spec:
  clusterID: ` + id + `
  identities: {egress: "spiffe://td-` + id + `/ns/mc-wan/sa/mcw-egress", ingress: "spiffe://td-` + id + `/ns/mc-wan/sa/mcw-ingress"}
  bootstrap: {addresses: [10.2.0.1], policies: [{name: high, port: 31111}]}
` + rest + "\n---\n"
}

// advertised is an advertisement of secure/payment with the given labels.
func advertised(id, labels, rest string) string {
	return `apiVersion: mcw.l7mp.io/v1alpha1
kind: ServiceAdvertisement
metadata: {name: adv-` + id + `, namespace: mc-wan, labels: {` + labels + `}}
spec:
  clusterID: ` + id + `
  namespace: secure
  name: payment
  exportedAt: "2026-01-01T00:00:00Z"
  type: ClusterSetIP
  ports: [{name: http, protocol: TCP, port: 8080, readyBackends: 1}, {name: tcp-db, protocol: TCP, port: 5432, readyBackends: 3}]
` + rest + "\n---\n"
}

func from(id string) string { return "mcw.l7mp.io/source-cluster: " + id }

func TestExportsThatCount(t *testing.T) {
	const manual = `, mcw.l7mp.io/manual: "true"`
	for _, tc := range []struct {
		name string
		text string
		want string
	}{
		{"own and peers'", advertised("c1", from("c1"), "") + joined("c2", "") + advertised("c2", from("c2"), ""), "c1 c2"},
		{"of nobody that is joined", advertised("c3", from("c3"), ""), ""},
		{"that lies about its source", joined("c2", "") + advertised("c1", from("c2"), "") + advertised("c2", "x: z", ""), ""},
		{"of a peer that is refused", strings.Replace(joined("c2", ""), "10.2.0.1", "127.0.0.1", 1) + advertised("c2", from("c2"), ""), ""},
		{"of a peer that may not import here", joined("c2", "  namespaces: [public]") + advertised("c2", from("c2"), ""), ""},
		{"of a peer that may import nowhere", joined("c2", "  namespaces: []") + advertised("c2", from("c2"), ""), ""},
		{"of a peer that may import everywhere", joined("c2", "  namespaces: ['*']") + advertised("c2", from("c2"), ""), "c2"},
		{"by hand", advertised("c9", from("c9")+manual, ""), "c9"},
		{"by hand under a joined or the own id", joined("c2", "") + advertised("c2", from("c2")+manual, "") + advertised("c1", from("c1")+manual, ""), ""},
		{"each cluster once", advertised("c1", from("c1"), "") + advertised("c1", from("c1"), ""), "c1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, e := range Exports(mustRead(t, file(tc.text)), secure("payment")) {
				got = append(got, e.ClusterID)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestMayImport(t *testing.T) {
	for _, ns := range []string{"kube-system", "kube-x", "istio-system", "mc-wan"} {
		if MayImport([]string{"*", ns}, ns) {
			t.Errorf("%s is closed to all", ns)
		}
	}
	if !MayImport(nil, "secure") || !MayImport([]string{"secure"}, "secure") || MayImport([]string{"a"}, "secure") || MayImport([]string{}, "secure") {
		t.Error("the list decides on the rest")
	}
}

func TestCardsAreBelievedAsFarAsTheyMayBe(t *testing.T) {
	read := strings.ReplaceAll(`apiVersion: mcw.l7mp.io/v1alpha1
kind: ClusterAdvertisement
metadata: {name: "@", namespace: mc-wan, labels: {mcw.l7mp.io/source-cluster: "@"}}
spec:
  clusterID: "@"
  clusterUID: "u-@"
  generation: 1
  identities: {egress: "spiffe://evil/ns/a/sa/b", ingress: "spiffe://evil/ns/a/sa/b"}
  addresses: [10.2.0.9]
  policies: [{name: high, port: 31999}]
  advertisements: 0
---
`, "@", "c2")
	stranger := strings.ReplaceAll(read, "c2", "c3")
	cards := Cards(mustRead(t, file(joined("c2", "")+read+stranger)))
	if len(cards) != 1 || cards[0].Addresses[0] != "10.2.0.9" || cards[0].Identities.Ingress != "spiffe://td-c2/ns/mc-wan/sa/mcw-ingress" {
		t.Errorf("the peer's card with the pinned identities, and nobody else's: %+v", cards)
	}
	if cards := Cards(mustRead(t, file(joined("c2", "")))); len(cards) != 1 || cards[0].Addresses[0] != "10.2.0.1" {
		t.Errorf("until there is a card, the bootstrap data: %+v", cards)
	}
}

func merged(numbers ...int32) mcs.Merged {
	m := mcs.Merged{Type: mcsv1beta1.ClusterSetIP, Clusters: []string{"c2"}}
	for _, n := range numbers {
		protocol := corev1.ProtocolTCP
		if n < 0 {
			n, protocol = -n, corev1.ProtocolUDP
		}
		m.Ports = append(m.Ports, mcs.MergedPort{ServicePort: mcsv1beta1.ServicePort{Port: n, Protocol: protocol}, Clusters: m.Clusters})
	}
	return m
}

func TestLegPorts(t *testing.T) {
	first, got := LegPorts(ports.New(), merged(8080, 10000, -53), secure("payment"))
	if len(got) != 2 || len(first.Keys()) != 2 {
		t.Fatalf("TCP ports have legs, others have none: %v", got)
	}
	seen := ports.SetOf(10000)
	for _, p := range got {
		for _, n := range []int32{p.Plain, p.MTLS} {
			if seen.Has(n) {
				t.Errorf("%d is there twice, or is a port of the service: %v", n, got)
			}
			seen[n] = struct{}{}
		}
	}
	again, same := LegPorts(first, merged(8080, 10000, -53), secure("payment"))
	if !again.Equal(first) || same[8080] != got[8080] {
		t.Error("a second look changes nothing")
	}
	other, _ := LegPorts(first, merged(80), secure("other"))
	fewer, kept := LegPorts(other, merged(8080), secure("payment"))
	if len(fewer.Keys()) != 2 || kept[8080] != got[8080] {
		t.Errorf("what is gone is released, the rest and others' stay: %v", fewer.Keys())
	}
	headless := merged(8080)
	headless.Type = mcsv1beta1.Headless
	if none, got := LegPorts(other, headless, secure("payment")); len(got) != 0 || len(none.Keys()) != 1 {
		t.Errorf("headless services have no legs: %v", got)
	}
}

func TestImportInput(t *testing.T) {
	f := mustRead(t, file(joined("c2", "")+advertised("c2", from("c2"), "")+`apiVersion: v1
kind: Service
metadata: {name: `+translate.DerivedServiceName("secure", "payment")+`, namespace: mc-wan}
spec: {clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7, "fd00::7"]}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: payment, namespace: secure}
spec: {type: ClusterSetIP, ips: [10.96.0.9], ports: []}
`))
	f.table, _ = LegPorts(f.table, Merged(f, secure("payment")), secure("payment"))
	in := ImportInput(f, secure("payment"))
	if !slices.Equal(in.VIPs, []string{"10.96.0.7", "fd00::7"}) || !slices.Equal(in.Wanted, []string{"10.96.0.9"}) || len(in.Ports) != 2 {
		t.Errorf("got %+v", in)
	}
}

func TestPathInputOfTCP(t *testing.T) {
	f := mustRead(t, file(joined("c2", "")+advertised("c2", from("c2"), "")+advertised("c1", from("c1"), "")))
	key := translate.PathKey{Policy: "high", TCP: translate.WireKey{Namespace: "secure", Name: "payment", Port: 5432}}
	in := PathInput(f, key)
	want := []translate.Exporter{{ClusterID: "c1", Ready: 3}, {ClusterID: "c2", Ready: 3}}
	if !slices.Equal(in.Exporters, want) {
		t.Errorf("got %v, want %v", in.Exporters, want)
	}
	if key.TCP.Port = 1; len(PathInput(f, key).Exporters) != 0 {
		t.Error("nobody exports another port")
	}
	if in := PathInput(f, translate.PathKey{Policy: "high", Exporter: "c2"}); len(in.Exporters) != 0 || len(in.Cards) != 1 {
		t.Errorf("a shared path knows cards only: %+v", in)
	}
}

func TestExportInput(t *testing.T) {
	f := mustRead(t, file(joined("c2", "")+advertised("c2", from("c2"), "")))
	if _, ok := ExportInput(f, secure("payment")); ok {
		t.Error("a peer's advertisement is not our export")
	}
	f = mustRead(t, file(advertised("c1", from("c1"), "")))
	if in, ok := ExportInput(f, secure("payment")); !ok || in.Advertisement.Name != "payment" {
		t.Errorf("got %+v", in)
	}
	if _, ok := ExportInput(f, types.NamespacedName{Namespace: "x", Name: "payment"}); ok {
		t.Error("another namespace's is not")
	}
}

func TestCardHasTheReadyGateways(t *testing.T) {
	const gateways = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: mcw-ingress-1, namespace: mc-wan, labels: {kubernetes.io/service-name: mcw-ingress}}
addressType: IPv4
endpoints:
- {addresses: [10.1.0.2]}
- {addresses: [10.1.0.1], conditions: {ready: true}}
- {addresses: [10.1.0.3], conditions: {ready: false}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: mcw-ingress-2, namespace: mc-wan, labels: {kubernetes.io/service-name: mcw-ingress}}
addressType: FQDN
endpoints: [{addresses: [gateway.example.com]}]
---
`
	const balancer = `apiVersion: v1
kind: Service
metadata: {name: mcw-ingress, namespace: mc-wan}
spec: {type: LoadBalancer}
status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}
`
	for text, want := range map[string][]string{
		gateways:            {"10.1.0.1", "10.1.0.2"},
		gateways + balancer: {"192.0.2.1"},
		balancer:            nil,
	} {
		if got := CardInput(mustRead(t, file(text)), nil).Addresses; !slices.Equal(got, want) {
			t.Errorf("peers are told %v, want %v", got, want)
		}
	}
}
