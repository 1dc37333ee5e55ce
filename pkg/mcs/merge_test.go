// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
)

func at(seconds int64) metav1.Time { return metav1.NewTime(time.Unix(1_700_000_000+seconds, 0).UTC()) }

func tcp(name string, port int32) v1alpha1.AdvertisedPort {
	return v1alpha1.AdvertisedPort{Name: name, Protocol: corev1.ProtocolTCP, Port: port, ReadyBackends: 1}
}

// exportOf is a plain export of a cluster, changed by the edits.
func exportOf(cluster string, age int64, edits ...func(*export)) export {
	e := export{ClusterID: cluster, Namespace: "secure", Name: "payment", ExportedAt: at(age), Type: "ClusterSetIP",
		Ports: []v1alpha1.AdvertisedPort{tcp("http", 8080)}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}}
	for _, edit := range edits {
		edit(&e)
	}
	return e
}

func ports(ps ...v1alpha1.AdvertisedPort) func(*export) { return func(e *export) { e.Ports = ps } }

func reasonsOf(m Merged) string {
	var out []string
	for _, c := range m.Conflicts {
		out = append(out, string(c.Reason))
	}
	return strings.Join(out, ",")
}

// seen is a merged port as a client sees it: name, number, and who gets its traffic.
func seen(m Merged) []string {
	out := []string{}
	for _, p := range m.Ports {
		out = append(out, portLabel(p.Name, portNumber{p.Protocol, p.Port})+" at "+strings.Join(p.Clusters, "+"))
	}
	return out
}

func TestPrecedence(t *testing.T) {
	headless := func(e *export) { e.Type = "Headless" }
	for name, tc := range map[string]struct {
		exports []export
		want    mcsv1beta1.ServiceImportType
	}{
		"the oldest wins, wherever it stands":       {[]export{exportOf("a", 2), exportOf("z", 1, headless)}, mcsv1beta1.Headless},
		"of equally old ones the lower id wins":     {[]export{exportOf("b", 1, headless), exportOf("a", 1)}, mcsv1beta1.ClusterSetIP},
		"parts of a second do not count":            {[]export{exportOf("b", 1, headless), exportOf("a", 1, func(e *export) { e.ExportedAt.Time = e.ExportedAt.Add(900 * time.Millisecond) })}, mcsv1beta1.ClusterSetIP},
		"of two exports of one cluster one counts":  {[]export{exportOf("a", 2, headless), exportOf("a", 1)}, mcsv1beta1.ClusterSetIP},
		"the oldest that is valid":                  {[]export{exportOf("a", 1, func(e *export) { e.Type = "ExternalName" }), exportOf("b", 2, headless)}, mcsv1beta1.Headless},
		"draining changes nothing until it is gone": {[]export{exportOf("a", 1, func(e *export) { e.Draining = true }), exportOf("b", 2, headless)}, mcsv1beta1.ClusterSetIP},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Merge(tc.exports).Type; got != tc.want {
				t.Errorf("type = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestNobodyExports(t *testing.T) {
	m := Merge(nil)
	if m.Exported() || m.ExportedBy("a") || len(m.Ports) != 0 || len(m.Conflicts) != 0 {
		t.Errorf("merge of nothing = %+v", m)
	}
	if m.ServicePorts() == nil {
		t.Error("spec.ports of a ServiceImport is not nullable")
	}
}

func TestPorts(t *testing.T) {
	udp := v1alpha1.AdvertisedPort{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53}
	sctp := v1alpha1.AdvertisedPort{Name: "sctp", Protocol: corev1.ProtocolSCTP, Port: 142}
	for name, tc := range map[string]struct {
		exports []export
		want    []string
		reasons string
		message string
	}{
		"same ports in another order": {
			[]export{exportOf("a", 1, ports(tcp("http", 80), udp)), exportOf("b", 2, ports(udp, tcp("http", 80)))},
			[]string{`TCP/80 "http" at a+b`, `UDP/53 "dns" at a+b`}, "", "",
		},
		"a further port of the younger": {
			[]export{exportOf("a", 1, ports(tcp("http", 80))), exportOf("b", 2, ports(tcp("http", 80), sctp))},
			[]string{`TCP/80 "http" at a+b`, `SCTP/142 "sctp" at b`}, "PortConflict",
			`Conflicting ports. Using the union of all ports and, where a name or a number is taken twice, the port from oldest service export in "a". 1/2 clusters disagree. Only "b" has port SCTP/142 "sctp".`,
		},
		"a further port of the oldest": {
			[]export{exportOf("b", 2, ports(tcp("http", 80))), exportOf("a", 1, ports(sctp, tcp("http", 80)))},
			[]string{`SCTP/142 "sctp" at a`, `TCP/80 "http" at a+b`}, "PortConflict", "",
		},
		"a name taken by another number": {
			[]export{exportOf("a", 1, ports(tcp("http", 80))), exportOf("b", 2, ports(tcp("http", 81)))},
			[]string{`TCP/80 "http" at a`}, "PortConflict",
			`Conflicting ports. Using the union of all ports and, where a name or a number is taken twice, the port from oldest service export in "a". 1/2 clusters disagree. Only "a" has port TCP/80 "http". Port TCP/81 "http" of "b" is not exposed.`,
		},
		"a number taken by another name": {
			[]export{exportOf("a", 1, ports(tcp("http", 80))), exportOf("b", 2, ports(tcp("web", 80)))},
			[]string{`TCP/80 "http" at a`}, "PortConflict", "",
		},
		"the empty name is a name": {
			[]export{exportOf("a", 1, ports(tcp("", 80))), exportOf("b", 2, ports(tcp("", 81)))},
			[]string{`TCP/80 (unnamed) at a`}, "PortConflict", "",
		},
		"unnamed and named stand side by side": {
			[]export{exportOf("a", 1, ports(tcp("", 80))), exportOf("b", 2, ports(tcp("admin", 81)))},
			[]string{`TCP/80 (unnamed) at a`, `TCP/81 "admin" at b`}, "PortConflict", "",
		},
		"one number, two protocols": {
			[]export{exportOf("a", 1, ports(tcp("dns-tcp", 53))), exportOf("b", 2, ports(udp))},
			[]string{`TCP/53 "dns-tcp" at a`, `UDP/53 "dns" at b`}, "PortConflict", "",
		},
		"a port that is not exposed takes no name": {
			[]export{exportOf("a", 1, ports(tcp("a", 80))), exportOf("b", 2, ports(tcp("b", 80))), exportOf("c", 3, ports(tcp("b", 90)))},
			[]string{`TCP/80 "a" at a`, `TCP/90 "b" at c`}, "PortConflict", "",
		},
		"the name decides before the number": {
			[]export{exportOf("a", 1, ports(tcp("x", 1), tcp("y", 2))), exportOf("b", 2, ports(tcp("x", 2), tcp("y", 1)))},
			[]string{`TCP/1 "x" at a`, `TCP/2 "y" at a`}, "PortConflict", "",
		},
		"an application protocol is a difference but no other port": {
			[]export{exportOf("a", 1, ports(tcp("http", 80))), exportOf("b", 2, func(e *export) {
				e.Ports = []v1alpha1.AdvertisedPort{tcp("http", 80)}
				e.Ports[0].AppProtocol = new("http")
			})},
			[]string{`TCP/80 "http" at a+b`}, "PortConflict",
			`Conflicting ports. Using the union of all ports and, where a name or a number is taken twice, the port from oldest service export in "a". 1/2 clusters disagree.`,
		},
		"an empty application protocol is none": {
			[]export{exportOf("a", 1, ports(tcp("http", 80))), exportOf("b", 2, func(e *export) {
				e.Ports = []v1alpha1.AdvertisedPort{tcp("http", 80)}
				e.Ports[0].AppProtocol = new("")
			})},
			[]string{`TCP/80 "http" at a+b`}, "", "",
		},
		"no protocol is TCP": {
			[]export{exportOf("a", 1, ports(tcp("http", 80))), exportOf("b", 2, ports(v1alpha1.AdvertisedPort{Name: "http", Port: 80}))},
			[]string{`TCP/80 "http" at a+b`}, "", "",
		},
		"headless without ports": {[]export{exportOf("a", 1, ports(), func(e *export) { e.Type = "Headless" })}, []string{}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := Merge(tc.exports)
			if diff := cmp.Diff(tc.want, seen(m)); diff != "" {
				t.Errorf("ports (-want +got):\n%s", diff)
			}
			if got := reasonsOf(m); got != tc.reasons {
				t.Errorf("reasons = %q, want %q", got, tc.reasons)
			}
			if tc.message != "" && m.Conflicts[0].Message != tc.message {
				t.Errorf("message:\n got %s\nwant %s", m.Conflicts[0].Message, tc.message)
			}
		})
	}
}

func TestAppProtocolOfTheOldest(t *testing.T) {
	a, b := exportOf("a", 1), exportOf("b", 2)
	a.Ports[0].AppProtocol, b.Ports[0].AppProtocol = new("kubernetes.io/h2c"), new("http")
	if got := Merge([]export{b, a}).Ports[0].AppProtocol; got == nil || *got != "kubernetes.io/h2c" {
		t.Errorf("appProtocol = %v, want the oldest's", got)
	}
}

func TestGlobalProperties(t *testing.T) {
	seconds := func(n int32) *corev1.SessionAffinityConfig {
		return &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &n}}
	}
	clientIP := func(c *corev1.SessionAffinityConfig) func(*export) {
		return func(e *export) { e.SessionAffinity, e.SessionAffinityConfig = corev1.ServiceAffinityClientIP, c }
	}
	internal := func(p corev1.ServiceInternalTrafficPolicy) func(*export) {
		return func(e *export) { e.InternalTrafficPolicy = &p }
	}
	distribution := func(d string) func(*export) { return func(e *export) { e.TrafficDistribution = &d } }
	labels := func(l map[string]string) func(*export) { return func(e *export) { e.ExportedLabels = l } }
	annotations := func(l map[string]string) func(*export) { return func(e *export) { e.ExportedAnnotations = l } }
	for name, tc := range map[string]struct {
		oldest, younger func(*export)
		conflict        string // reason and message; empty = none
		check           func(Merged) any
		want            any
	}{
		"type": {func(e *export) { e.Type = "Headless" }, func(*export) {},
			`TypeConflict Conflicting type. Using "Headless" from oldest service export in "z". 1/3 clusters disagree.`,
			func(m Merged) any { return m.Type }, mcsv1beta1.Headless},
		"no affinity is None": {func(e *export) { e.SessionAffinity = "" }, func(e *export) { e.SessionAffinity = corev1.ServiceAffinityNone }, "",
			func(m Merged) any { return m.SessionAffinity }, corev1.ServiceAffinityNone},
		"affinity": {clientIP(seconds(60)), func(*export) {},
			`SessionAffinityConflict Conflicting session affinity. Using "ClientIP" from oldest service export in "z". 1/3 clusters disagree.`,
			func(m Merged) any { return *m.SessionAffinityConfig.ClientIP.TimeoutSeconds }, int32(60)},
		"affinity of the younger": {func(*export) {}, clientIP(seconds(60)),
			`SessionAffinityConflict Conflicting session affinity. Using "None" from oldest service export in "z". 1/3 clusters disagree.`,
			func(m Merged) any { return m.SessionAffinityConfig }, (*corev1.SessionAffinityConfig)(nil)},
		"affinity config": {clientIP(seconds(60)), clientIP(seconds(61)),
			`SessionAffinityConfigConflict Conflicting session affinity config. Using a timeout of 60 seconds from oldest service export in "z". 1/3 clusters disagree.`,
			func(m Merged) any { return *m.SessionAffinityConfig.ClientIP.TimeoutSeconds }, int32(60)},
		"affinity config said or by default": {clientIP(seconds(10800)), clientIP(nil), "",
			func(m Merged) any { return m.SessionAffinity }, corev1.ServiceAffinityClientIP},
		"internal traffic policy": {internal(corev1.ServiceInternalTrafficPolicyLocal), internal(corev1.ServiceInternalTrafficPolicyCluster),
			`InternalTrafficPolicyConflict Conflicting internal traffic policy. Using "Local" from oldest service export in "z". 1/3 clusters disagree.`,
			func(m Merged) any { return *m.InternalTrafficPolicy }, corev1.ServiceInternalTrafficPolicyLocal},
		"internal traffic policy said or by default": {internal(corev1.ServiceInternalTrafficPolicyCluster), func(*export) {}, "",
			func(m Merged) any { return *m.InternalTrafficPolicy }, corev1.ServiceInternalTrafficPolicyCluster},
		"traffic distribution": {distribution("PreferClose"), func(*export) {},
			`TrafficDistributionConflict Conflicting traffic distribution. Using "PreferClose" from oldest service export in "z". 1/3 clusters disagree.`,
			func(m Merged) any { return *m.TrafficDistribution }, "PreferClose"},
		"traffic distribution of the younger": {func(*export) {}, distribution("PreferSameNode"),
			`TrafficDistributionConflict Conflicting traffic distribution. Using none from oldest service export in "z". 1/3 clusters disagree.`,
			func(m Merged) any { return m.TrafficDistribution }, (*string)(nil)},
		"labels are not merged": {labels(map[string]string{"a": "1"}), labels(map[string]string{"a": "1", "b": "2"}),
			`LabelsConflict Conflicting exported labels. Using those from oldest service export in "z". 1/3 clusters disagree.`,
			func(m Merged) any { return m.Labels }, map[string]string{"a": "1"}},
		"empty labels are none": {labels(map[string]string{}), labels(nil), "",
			func(m Merged) any { return len(m.Labels) }, 0},
		"annotations are not merged": {annotations(nil), annotations(map[string]string{"b": "2"}),
			`AnnotationsConflict Conflicting exported annotations. Using those from oldest service export in "z". 1/3 clusters disagree.`,
			func(m Merged) any { return m.Annotations }, map[string]string(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			exports := []export{exportOf("a", 9, tc.younger), exportOf("z", 1, tc.oldest), exportOf("k", 5, tc.oldest)}
			m := Merge(exports)
			got := ""
			for _, c := range m.Conflicts {
				got += string(c.Reason) + " " + c.Message
			}
			if got != tc.conflict {
				t.Errorf("conflict:\n got %s\nwant %s", got, tc.conflict)
			}
			if diff := cmp.Diff(tc.want, tc.check(m)); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFamilies(t *testing.T) {
	const v4, v6 = corev1.IPv4Protocol, corev1.IPv6Protocol
	families := func(f ...corev1.IPFamily) func(*export) { return func(e *export) { e.IPFamilies = f } }
	headless := func(e *export) { e.Type = "Headless" }
	for name, tc := range map[string]struct {
		exports []export
		want    []corev1.IPFamily
		reasons string
	}{
		"gateways bridge families":         {[]export{exportOf("a", 1, families(v6)), exportOf("b", 2, families(v4))}, []corev1.IPFamily{v6, v4}, ""},
		"headless, alike in another order": {[]export{exportOf("a", 1, headless, families(v6, v4)), exportOf("b", 2, headless, families(v4, v6))}, []corev1.IPFamily{v6, v4}, ""},
		"headless, one has a family more":  {[]export{exportOf("a", 1, headless, families(v4, v6)), exportOf("b", 2, headless, families(v6))}, []corev1.IPFamily{v6}, "IPFamilyConflict"},
		"headless, nothing in common":      {[]export{exportOf("a", 1, headless, families(v4)), exportOf("b", 2, headless, families(v6))}, []corev1.IPFamily{v4}, "IPFamilyConflict"},
		"who says nothing has no opinion":  {[]export{exportOf("a", 1, headless, families()), exportOf("b", 2, headless, families(v6))}, []corev1.IPFamily{v6}, ""},
		"nobody says anything":             {[]export{exportOf("a", 1, families())}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := Merge(tc.exports)
			if diff := cmp.Diff(tc.want, m.IPFamilies); diff != "" {
				t.Errorf("families (-want +got):\n%s", diff)
			}
			if got := reasonsOf(m); got != tc.reasons {
				t.Errorf("reasons = %q, want %q", got, tc.reasons)
			}
		})
	}
}

func TestPolicyConflictIsNoConflict(t *testing.T) {
	named := func(p string) func(*export) { return func(e *export) { e.WANPolicy = p } }
	m := Merge([]export{exportOf("b", 2, named("low")), exportOf("a", 1, named("high")), exportOf("c", 3)})
	if m.WANPolicy != "high" || len(m.Conflicts) != 0 {
		t.Errorf("policy = %q, conflicts = %v", m.WANPolicy, m.Conflicts)
	}
	want := &Conflict{Reason: v1alpha1.ReasonPolicyConflict,
		Message: `Conflicting WAN policy. Using "high" from oldest service export in "a". 2/3 clusters disagree.`}
	if diff := cmp.Diff(want, m.PolicyConflict); diff != "" {
		t.Errorf("policy conflict (-want +got):\n%s", diff)
	}
	m = Merge([]export{exportOf("b", 2, named("low")), exportOf("a", 1)})
	if m.WANPolicy != "" || !strings.Contains(m.PolicyConflict.Message, "Using the default policy from") {
		t.Errorf("policy = %q, %v", m.WANPolicy, m.PolicyConflict)
	}
	if m = Merge([]export{exportOf("b", 2), exportOf("a", 1)}); m.PolicyConflict != nil {
		t.Errorf("agreeing exporters conflict: %v", m.PolicyConflict)
	}
}

// A request that is repeated may go to another cluster, so all of them have to bear it.
func TestOnlyWhatAllCallIdempotentIs(t *testing.T) {
	methods := func(m ...string) func(*export) { return func(e *export) { e.IdempotentMethods = m } }
	for name, tc := range map[string]struct {
		exports []export
		want    []string
	}{
		"one":      {[]export{exportOf("a", 1, methods("PUT", "DELETE"))}, []string{"DELETE", "PUT"}},
		"both":     {[]export{exportOf("a", 1, methods("DELETE", "PUT")), exportOf("b", 2, methods("PUT"))}, []string{"PUT"}},
		"not all":  {[]export{exportOf("a", 1, methods("PUT")), exportOf("b", 2)}, nil},
		"unknown":  {[]export{exportOf("a", 1, methods("PATCH", "PUT"))}, []string{"PUT"}},
		"the last": {[]export{exportOf("a", 1), exportOf("b", 2, methods("PUT"))}, nil},
	} {
		m := Merge(tc.exports)
		if !slices.Equal(m.Idempotent, tc.want) || len(m.Conflicts) != 0 || m.PolicyConflict != nil {
			t.Errorf("%s: %v, %v, %v", name, m.Idempotent, m.Conflicts, m.PolicyConflict)
		}
	}
}

// The oldest export that has rules says them; one without has nothing against them.
func TestRulesOfOwners(t *testing.T) {
	says := func(path string) func(*export) {
		return func(e *export) { e.Rules = rulesFor(path) }
	}
	of := func(m Merged) string {
		if m.Rules == nil {
			return ""
		}
		return *m.Rules.HTTP.Rules[0].Matches[0].Path.Value
	}
	m := Merge([]export{exportOf("b", 2, says("/b")), exportOf("a", 1), exportOf("c", 3, says("/c"))})
	want := &Conflict{Reason: mcwanv1alpha1.ReasonRulesConflict,
		Message: `Conflicting L7 rules. Using those from oldest service export in "b". 1/2 clusters disagree.`}
	if diff := cmp.Diff(want, m.RulesConflict); diff != "" || of(m) != "/b" || len(m.Conflicts) != 0 {
		t.Errorf("%s, %v, conflict (-want +got):\n%s", of(m), m.Conflicts, diff)
	}
	if m = Merge([]export{exportOf("b", 2, says("/b")), exportOf("a", 1, says("/b"))}); of(m) != "/b" || m.RulesConflict != nil {
		t.Errorf("agreeing owners: %s, %v", of(m), m.RulesConflict)
	}
	if m = Merge([]export{exportOf("a", 1)}); m.Rules != nil || m.RulesConflict != nil {
		t.Errorf("nobody says anything: %v, %v", m.Rules, m.RulesConflict)
	}
}

func TestAllReasonsAreTold(t *testing.T) {
	m := Merge([]export{exportOf("a", 1, func(e *export) { e.Type = "Headless" }), exportOf("b", 2, func(e *export) {
		e.Ports = []v1alpha1.AdvertisedPort{tcp("x", 1)}
		e.SessionAffinity = corev1.ServiceAffinityClientIP
		e.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
		e.TrafficDistribution = new("PreferClose")
		e.ExportedLabels = map[string]string{"a": "b"}
		e.ExportedAnnotations = map[string]string{"a": "b"}
		e.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
	})})
	want := "TypeConflict,PortConflict,SessionAffinityConflict,InternalTrafficPolicyConflict,TrafficDistributionConflict," +
		"LabelsConflict,AnnotationsConflict,IPFamilyConflict"
	if got := reasonsOf(m); got != want {
		t.Errorf("reasons = %s\n   want %s", got, want)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	var many []v1alpha1.AdvertisedPort
	for i := range int32(250) {
		many = append(many, tcp(strings.Repeat("n", 60)+string('a'+i%26)+string('a'+i/26), i+1))
	}
	exports := []export{exportOf("a", 1, ports(many...))}
	for i := range 100 {
		exports = append(exports, exportOf(strings.Repeat("c", 60)+string(rune('a'+i%26))+string(rune('a'+i/26)), 2))
	}
	m := Merge(exports)
	if n := len(m.Conflicts[0].Message); n > 4096 {
		t.Errorf("message has %d bytes", n)
	}
	if !strings.HasSuffix(m.Conflicts[0].Message, "And 243 more such ports.") {
		t.Errorf("message ends with %q", m.Conflicts[0].Message[len(m.Conflicts[0].Message)-60:])
	}
}
