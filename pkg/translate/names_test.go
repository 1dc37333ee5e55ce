// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// longest is the longest DNS label.
var longest = strings.Repeat("x", validation.DNS1123LabelMaxLength)

func TestNamesFit(t *testing.T) {
	for _, part := range []string{"a", "payment", longest[:62], longest, strings.Repeat("x-", 31) + "x"} {
		w := WireKey{Namespace: part, Name: part, Port: 65535}
		endpoint := EndpointKey{Cluster: part, Hostname: part}
		of := WireKey{Namespace: part, Name: part, Port: 65535, Endpoint: endpoint}
		for what, name := range map[string]string{
			"advertisement": AdvertisementName(part, part, part),
			"derived":       DerivedServiceName(part, part),
			"service entry": ServiceEntryName(part),
			"slice":         EndpointSliceName(part, part, "IPv6"),
			"leg":           LegName(part, part, 65535),
			"path":          PathName(PathKey{Policy: part, Exporter: part, Backup: part}),
			"ordered path":  PathName(PathKey{Policy: part, Exporter: part, Backup: part, Failover: "Ordered:" + part}),
			"tcp path":      PathName(PathKey{Policy: part, TCP: w}),
			"export":        ExportName(w),
			"endpoint":      EndpointServiceName(part, part, endpoint),
			"endpoint se":   EndpointServiceEntryName(part, endpoint),
			"endpoint leg":  EndpointLegName(part, part, 65535, endpoint),
			"endpoint path": PathName(PathKey{Policy: part, TCP: of}),
			"endpoint in":   ExportName(of),
			"backend":       BackendServiceName(part, part, endpoint),
			"backend slice": BackendSliceName(BackendServiceName(part, part, endpoint), discoveryv1.AddressTypeIPv6, 99),
			"export gw":     ExportGatewayName(part, part),
			"policy gw":     PolicyGatewayName(part),
			"feed leg":      FeedLegName(part),
		} {
			if errs := validation.IsDNS1035Label(name); len(errs) > 0 {
				t.Errorf("%s of %q is %q: %v", what, part, name, errs)
			}
		}
		for what, host := range map[string]string{
			"wire name": WireName(w),
			"wire sni":  WireSNI(of),
			"endpoint":  WireName(of),
			"path host": PathHost(PathKey{Policy: part, TCP: w}),
			"host":      ClusterSetHost(part, part),
			"local":     LocalHost(part, part),
		} {
			if errs := validation.IsDNS1123Subdomain(host); len(errs) > 0 {
				t.Errorf("%s of %q is %q: %v", what, part, host, errs)
			}
		}
	}
}

func TestNamesDiffer(t *testing.T) {
	cut := longest[:62]
	for _, pair := range [][2]string{
		{DerivedServiceName("a-b", "c"), DerivedServiceName("a", "b-c")},
		{AdvertisementName("a", "b", "c"), AdvertisementName("b", "a", "c")},
		{LegName("ns", "a-1", 2), LegName("ns", "a", 12)},
		{LegName(longest, longest, 1), LegName(longest, longest, 2)},
		{ServiceEntryName(longest), ServiceEntryName(cut + "y")},
		{PolicyGatewayName(longest), PolicyGatewayName(cut + "y")},
		{PathName(PathKey{Policy: "p", Exporter: "a", Backup: "b"}), PathName(PathKey{Policy: "p", Exporter: "b", Backup: "a"})},
		{PathName(PathKey{Policy: "p", Exporter: "a"}), PathName(PathKey{Policy: "p", Backup: "a"})},
		{PathName(PathKey{Policy: "p", Exporter: "a"}), PathName(PathKey{Policy: "p", Exporter: "a", Failover: "Strict"})},
		{PathName(PathKey{Policy: "p", Exporter: "a", Failover: "Ordered:b,c"}), PathName(PathKey{Policy: "p", Exporter: "a", Failover: "Ordered:c,b"})},
		{PathName(PathKey{Policy: "p", Exporter: "a", Backup: "none"}), PathName(PathKey{Policy: "p", Exporter: "a"})},
		{EndpointServiceName("a", "b", EndpointKey{"c", "d"}), EndpointServiceName("a", "b", EndpointKey{"d", "c"})},
		{EndpointLegName("ns", "a", 1, EndpointKey{"c", "web-1"}), EndpointLegName("ns", "a", 1, EndpointKey{"c-1", "web"})},
		{ExportName(WireKey{Namespace: "ns", Name: "a", Port: 1, Endpoint: EndpointKey{"c", "web-0"}}), ExportName(WireKey{Namespace: "ns", Name: "a", Port: 1})},
		{ExportName(WireKey{Namespace: "ns", Name: "a", Port: 1}), ExportGatewayName("ns", "a")},
	} {
		if pair[0] == pair[1] {
			t.Errorf("two things are named %q", pair[0])
		}
	}
}

// Names stand in clusters: a change of the scheme would write everything anew, and feeds would copy everything anew.
func TestNamesStay(t *testing.T) {
	for _, pair := range [][2]string{
		{AdvertisementName("cluster-2", "secure", "payment"), "adv-HASH"},
		{DerivedServiceName("secure", "payment"), "derived-uh72u8h5s9k3r5or"},
		{ServiceEntryName("payment"), "mcw-payment"},
		{LegName("secure", "payment", 8080), "egress-payment-secure-8080-HASH"},
		{PathName(PathKey{Policy: "high", Exporter: "c2", Backup: "c3"}), "path-high-c2-c3-HASH"},
		{PathName(PathKey{Policy: "high", Exporter: "c2", Failover: "Ordered:low,backup"}), "path-high-c2-ordered-HASH"},
		{PathName(PathKey{Policy: "high", TCP: WireKey{Namespace: "secure", Name: "db", Port: 5432}}), "path-tcp-db-secure-5432-high-HASH"},
		{ExportName(WireKey{Namespace: "secure", Name: "payment", Port: 8080}), "ingress-payment-secure-8080-HASH"},
		{PolicyGatewayName("sd-wan-priority-high"), "wan-sd-wan-priority-high"},
		{FeedPrefix("cluster-2"), "/peers/cluster-2/"},
		{WireName(WireKey{Namespace: "secure", Name: "payment", Port: 8080}), "p8080.payment.secure.svc.clusterset.local"},
		{WireName(WireKey{Namespace: "secure", Name: "db", Port: 5432, Endpoint: EndpointKey{"c2", "db-0"}}), "p5432.db-0.db.secure.svc.clusterset.local"},
		{WireSNI(WireKey{Namespace: "secure", Name: "db", Port: 5432}), "p5432.db.secure.tcp.clusterset.local"},
		{EndpointHost("db", "secure", EndpointKey{"c2", "db-0"}), "db-0.c2.db.secure.svc.clusterset.local"},
		{EndpointServiceName("secure", "db", EndpointKey{"c2", "db-0"}), "derived-HASH"},
		{EndpointLegName("secure", "db", 5432, EndpointKey{"c2", "db-0"}), "egress-db-secure-5432-db-0-c2-HASH"},
		{Identity("td-1", "mcw-egress"), "spiffe://td-1/ns/mc-wan/sa/mcw-egress"},
		{TrustDomainOf("spiffe://td-1/ns/mc-wan/sa/mcw-egress"), "td-1"},
		{TrustDomainOf("td-1/ns/mc-wan/sa/mcw-egress"), ""},
	} {
		want, ok := strings.CutSuffix(pair[1], "HASH")
		if !ok && pair[0] != want || ok && (!strings.HasPrefix(pair[0], want) || len(pair[0]) != len(want)+hashLen) {
			t.Errorf("got %q, want %q", pair[0], pair[1])
		}
	}
}
