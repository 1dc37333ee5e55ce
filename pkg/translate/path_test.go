// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

// policy makes a WANPolicy; latency 0 is no SLA.
func policy(name string, latency int32, failover ...string) v1alpha1.WANPolicy {
	p := v1alpha1.WANPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.WANPolicySpec{Tunnel: "t-" + name}}
	if latency > 0 {
		p.Spec.SLA = &v1alpha1.SLA{LatencyMs: &latency}
	}
	if len(failover) > 0 {
		p.Spec.Failover = &v1alpha1.Failover{Mode: v1alpha1.FailoverMode(failover[0]), To: failover[1:]}
	}
	return p
}

// card makes a card with a port for each policy, 31001 for the first.
func card(id string, addresses []string, policies ...string) v1alpha1.ClusterAdvertisementSpec {
	c := v1alpha1.ClusterAdvertisementSpec{
		ClusterID: id, Addresses: addresses,
		Identities: v1alpha1.Identities{Egress: Identity("td-"+id, "mcw-egress"), Ingress: Identity("td-"+id, "mcw-ingress")},
	}
	for i, p := range policies {
		c.Policies = append(c.Policies, v1alpha1.OfferedPolicy{Name: p, Tunnel: "t-" + p, Port: 31001 + int32(i)})
	}
	return c
}

// order writes hops as "rank:policy@cluster/address".
func order(hops []Hop) string {
	var out []string
	for _, h := range hops {
		out = append(out, fmt.Sprintf("%d:%s@%s/%s", h.Rank, h.Policy, h.Cluster, h.Address))
	}
	return strings.Join(out, " ")
}

func TestRank(t *testing.T) {
	three := []v1alpha1.WANPolicy{policy("low", 300), policy("high", 100), policy("none", 0)}
	c2, c3 := []string{"10.2.0.1"}, []string{"10.3.0.1"}
	all := []string{"high", "low", "none"}
	both := []v1alpha1.ClusterAdvertisementSpec{card("c2", c2, all...), card("c3", c3, all...)}
	for _, tc := range []struct {
		name     string
		key      PathKey
		policies []v1alpha1.WANPolicy
		cards    []v1alpha1.ClusterAdvertisementSpec
		tcp      []string
		want     string
	}{{
		name: "automatic: two tunnels of the exporter, two of the backup, then the rest",
		key:  PathKey{Policy: "high", Exporter: "c2", Backup: "c3"}, policies: three, cards: both,
		want: "0:high@c2/10.2.0.1 1:low@c2/10.2.0.1 2:high@c3/10.3.0.1 3:low@c3/10.3.0.1 4:none@c2/10.2.0.1 5:none@c3/10.3.0.1",
	}, {
		name: "automatic takes the best SLA first, and none last",
		key:  PathKey{Policy: "none", Exporter: "c2"}, policies: three, cards: both,
		want: "0:none@c2/10.2.0.1 1:high@c2/10.2.0.1 2:low@c2/10.2.0.1",
	}, {
		name:     "strict never leaves its tunnel",
		key:      PathKey{Policy: "high", Exporter: "c2", Backup: "c3"},
		policies: []v1alpha1.WANPolicy{policy("high", 100, "Strict"), policy("low", 300)}, cards: both,
		want: "0:high@c2/10.2.0.1 1:high@c3/10.3.0.1",
	}, {
		name:     "ordered takes what is listed, in that order, and no other",
		key:      PathKey{Policy: "high", Exporter: "c2"},
		policies: []v1alpha1.WANPolicy{policy("high", 100, "Ordered", "none"), policy("low", 300), policy("none", 0)}, cards: both,
		want: "0:high@c2/10.2.0.1 1:none@c2/10.2.0.1",
	}, {
		name: "what a card does not offer is skipped",
		key:  PathKey{Policy: "high", Exporter: "c2", Backup: "c3"}, policies: three,
		cards: []v1alpha1.ClusterAdvertisementSpec{card("c2", c2, "high", "none"), card("c3", c3, "low")},
		want:  "0:high@c2/10.2.0.1 1:none@c2/10.2.0.1 2:low@c3/10.3.0.1",
	}, {
		name: "gateway addresses of one hop share a rank",
		key:  PathKey{Policy: "high", Exporter: "c2"}, policies: three[:2],
		cards: []v1alpha1.ClusterAdvertisementSpec{card("c2", []string{"10.2.0.9", "10.2.0.1"}, "high", "low")},
		want:  "0:high@c2/10.2.0.1 0:high@c2/10.2.0.9 1:low@c2/10.2.0.1 1:low@c2/10.2.0.9",
	}, {
		name: "a policy that is unknown here goes by the exporter's card",
		key:  PathKey{Policy: "theirs", Exporter: "c2"}, policies: three[:1],
		cards: []v1alpha1.ClusterAdvertisementSpec{card("c2", c2, "theirs", "low")},
		want:  "0:theirs@c2/10.2.0.1 1:low@c2/10.2.0.1",
	}, {
		name: "a cluster without a card has no hops",
		key:  PathKey{Policy: "high", Exporter: "c9"}, policies: three, cards: both, want: "",
	}, {
		name: "all exporters of a TCP port share a rank",
		key:  PathKey{Policy: "high", TCP: WireKey{Namespace: "ns", Name: "db", Port: 5432}}, policies: three[:2], cards: both, tcp: []string{"c2", "c3"},
		want: "0:high@c2/10.2.0.1 0:high@c3/10.3.0.1 1:low@c2/10.2.0.1 1:low@c3/10.3.0.1",
	}} {
		t.Run(tc.name, func(t *testing.T) {
			if got := order(Rank(tc.key, tc.policies, tc.cards, tc.tcp...)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// Another policy over the tunnel that has just died is no way out.
func TestOtherTunnelsFirst(t *testing.T) {
	on := func(tunnel string, p v1alpha1.WANPolicy) v1alpha1.WANPolicy {
		p.Spec.Tunnel = tunnel
		return p
	}
	policies := []v1alpha1.WANPolicy{
		on("business", policy("voice", 50)), on("business", policy("high", 100)), on("lte", policy("backup", 0)), on("default", policy("low", 300)),
	}
	for name, want := range map[string][]string{
		"high":    {"high", "low", "backup", "voice"},
		"low":     {"low", "voice", "high", "backup"},
		"unknown": {"unknown", "voice", "high", "low", "backup"},
	} {
		if got := tunnels(PathKey{Policy: name}, policies); !slices.Equal(got, want) {
			t.Errorf("%s fails over in the order %v, want %v", name, got, want)
		}
	}
}

func TestWarm(t *testing.T) {
	warm := func(mode v1alpha1.FailoverMode, to ...string) v1alpha1.WANPolicy {
		p := policy("high", 100)
		p.Spec.Failover, p.Spec.Standby = &v1alpha1.Failover{Mode: mode, To: to}, v1alpha1.StandbyWarm
		return p
	}
	low, shared := policy("low", 300), PathKey{Policy: "high", Exporter: "c2"}
	for _, tc := range []struct {
		name     string
		key      PathKey
		policies []v1alpha1.WANPolicy
		want     bool
	}{
		{"unsaid", shared, []v1alpha1.WANPolicy{policy("high", 100), low}, false},
		{"asked for", shared, []v1alpha1.WANPolicy{warm(""), low}, true},
		{"asked for, in order", shared, []v1alpha1.WANPolicy{warm(v1alpha1.FailoverOrdered, "low"), low}, true},
		{"asked for by another policy", PathKey{Policy: "low", Exporter: "c2"}, []v1alpha1.WANPolicy{warm(""), low}, false},
		{"no other tunnel", shared, []v1alpha1.WANPolicy{warm("")}, false},
		{"the export allows no other tunnel", PathKey{Policy: "high", Exporter: "c2", Failover: "Strict"}, []v1alpha1.WANPolicy{warm(""), low}, false},
		{"a policy that is not known here", PathKey{Policy: "theirs", Exporter: "c2"}, []v1alpha1.WANPolicy{low}, false},
		{"the own cluster", PathKey{Policy: "high", Exporter: "c1"}, []v1alpha1.WANPolicy{warm(""), low}, false},
		{"a TCP leg", PathKey{Policy: "high", TCP: WireKey{Name: "db", Namespace: "secure", Port: 5432}}, []v1alpha1.WANPolicy{warm(""), low}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Warm("c1", tc.key, tc.policies); got != tc.want {
				t.Errorf("warm is %v", got)
			}
		})
	}
}

func TestBestFirstIsTotal(t *testing.T) {
	ms, loss := int32(50), 0.5
	jitter := policy("jitter", 100)
	jitter.Spec.SLA.JitterMs = &ms
	lossy := policy("loss", 100)
	lossy.Spec.SLA.JitterMs, lossy.Spec.SLA.LossPercent = &ms, &loss
	onlyLoss := policy("only-loss", 0)
	onlyLoss.Spec.SLA = &v1alpha1.SLA{LossPercent: &loss}
	in := []v1alpha1.WANPolicy{policy("b", 0), policy("slow", 500), policy("a", 0), onlyLoss, policy("plain", 100), jitter, lossy}
	var got []string
	for _, p := range bestFirst(in) {
		got = append(got, p.Name)
	}
	if want := []string{"loss", "jitter", "plain", "slow", "only-loss", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// applied is the priority that istiod gives an endpoint (applyFailoverPriorityPerLocality): the distance from the end of
// the first label it lacks.
func applied(labels map[string]string, priorities []string) int {
	for i, p := range priorities {
		name, value, _ := strings.Cut(p, "=")
		if labels[name] != value {
			return len(priorities) - i
		}
	}
	return 0
}

func TestRankLabelsMakePriorities(t *testing.T) {
	for n := 1; n <= 12; n++ {
		for k := range n {
			if got := applied(rankLabels(k, n), failoverPriority(n)); got != k {
				t.Errorf("hop %d of %d gets priority %d", k, n, got)
			}
		}
		seen := map[string]bool{}
		for _, p := range failoverPriority(n) {
			name, value, _ := strings.Cut(p, "=")
			if seen[name] || strings.Contains(value, "=") {
				t.Errorf("failoverPriority of %d reads badly: %v", n, failoverPriority(n))
			}
			seen[name] = true
		}
	}
}

func pathOf(t *testing.T, in PathInput) (*networkingv1.ServiceEntry, *networkingv1.DestinationRule) {
	t.Helper()
	objects := Path(in)
	se, ok1 := objects[0].(*networkingv1.ServiceEntry)
	dr, ok2 := objects[1].(*networkingv1.DestinationRule)
	_, ok3 := objects[2].(*networkingv1.VirtualService)
	if len(objects) != 3 || !ok1 || !ok2 || !ok3 {
		t.Fatalf("a path is a ServiceEntry, a DestinationRule and its mention, got %v", objects)
	}
	return se, dr
}

// What happens to hops is a change of endpoints alone: the DestinationRule must not move, or Envoy would replace the
// cluster with all its connections.
func TestHealthAndAddressesLeaveTheDestinationRuleAlone(t *testing.T) {
	in := PathInput{
		Key:      PathKey{Policy: "high", Exporter: "c2", Backup: "c3"},
		Policies: []v1alpha1.WANPolicy{policy("high", 100), policy("low", 300)},
		Cards: []v1alpha1.ClusterAdvertisementSpec{
			card("c2", []string{"10.2.0.1"}, "high", "low"), card("c3", []string{"10.3.0.1"}, "high", "low"),
		},
	}
	_, nominal := pathOf(t, in)
	dead := HopKey{Cluster: "c2", Policy: "high", Address: "10.2.0.1", Port: 31001}

	in.Health = map[HopKey]v1alpha1.HopState{dead: v1alpha1.HopDead}
	se, dr := pathOf(t, in)
	if len(se.Spec.Endpoints) != 3 || se.Spec.Endpoints[0].Ports["h2"] != 31002 {
		t.Errorf("the dead hop should be gone: %v", se.Spec.Endpoints)
	}
	if got := applied(se.Spec.Endpoints[0].Labels, failoverPriority(4)); got != 0 {
		t.Errorf("the next tunnel of the same cluster takes its place, it has rank %d", got)
	}
	same(t, nominal, dr)

	in.Cards[1].Addresses = nil
	se, dr = pathOf(t, in)
	if len(se.Spec.Endpoints) != 1 {
		t.Errorf("a cluster without gateways has no endpoints: %v", se.Spec.Endpoints)
	}
	same(t, nominal, dr)

	in.Health[HopKey{Cluster: "c2", Policy: "low", Address: "10.2.0.1", Port: 31002}] = v1alpha1.HopDead
	if se, _ = pathOf(t, in); len(se.Spec.Endpoints) != 2 {
		t.Errorf("when all hops are dead, all stay: %v", se.Spec.Endpoints)
	}
}

func same(t *testing.T, want, got *networkingv1.DestinationRule) {
	t.Helper()
	if got.Spec.String() != want.Spec.String() {
		t.Errorf("the DestinationRule changed:\n%v\n%v", want.Spec.String(), got.Spec.String())
	}
}

func TestPathPinsIdentities(t *testing.T) {
	in := PathInput{
		Self:     Cluster{Identities: v1alpha1.Identities{Ingress: "spiffe://own/ns/mc-wan/sa/mcw-ingress"}},
		Key:      PathKey{Policy: "high", Exporter: "c2", Backup: "c3"},
		Policies: []v1alpha1.WANPolicy{policy("high", 100)},
		Cards:    []v1alpha1.ClusterAdvertisementSpec{card("c3", nil, "high"), card("c2", nil, "high"), card("c4", nil, "high")},
	}
	_, dr := pathOf(t, in)
	want := []string{"spiffe://td-c2/ns/mc-wan/sa/mcw-ingress", "spiffe://td-c3/ns/mc-wan/sa/mcw-ingress"}
	if got := dr.Spec.TrafficPolicy.Tls.SubjectAltNames; !slices.Equal(got, want) {
		t.Errorf("got %v, want those on the path: %v", got, want)
	}
	in.Cards = nil
	_, dr = pathOf(t, in)
	if got := dr.Spec.TrafficPolicy.Tls.SubjectAltNames; !slices.Equal(got, []string{in.Self.Identities.Ingress}) {
		t.Errorf("a path without clusters must not accept every certificate, got %v", got)
	}
}

func TestKeepaliveFollowsTheSLA(t *testing.T) {
	for _, tc := range []struct {
		own, other int32
		want       time.Duration
	}{
		{0, 0, 3 * time.Second},
		{40, 400, 3 * time.Second},
		{1000, 0, 4 * time.Second},
		{40, 2000, 4 * time.Second},
	} {
		in := PathInput{
			Key:      PathKey{Policy: "own", Exporter: "c2"},
			Policies: []v1alpha1.WANPolicy{policy("own", tc.own), policy("other", tc.other)},
			Cards:    []v1alpha1.ClusterAdvertisementSpec{card("c2", nil, "own", "other")},
		}
		_, dr := pathOf(t, in)
		pool := dr.Spec.TrafficPolicy.ConnectionPool
		if got := pool.Http.Http2KeepAlive.Timeout.AsDuration(); got != tc.want {
			t.Errorf("SLA %d ms beside %d ms: keepalive timeout %v, want %v", tc.own, tc.other, got, tc.want)
		}
		if slowest := time.Duration(max(tc.own, tc.other)) * time.Millisecond; pool.Tcp.ConnectTimeout.AsDuration() < 2*slowest {
			t.Errorf("SLA %d ms beside %d ms: no handshake fits into %v", tc.own, tc.other, pool.Tcp.ConnectTimeout)
		}
	}
}

func TestTCPSharesAreEndpointWeights(t *testing.T) {
	in := PathInput{
		Key:       PathKey{Policy: "high", TCP: WireKey{Namespace: "secure", Name: "db", Port: 5432}},
		Policies:  []v1alpha1.WANPolicy{policy("high", 100), policy("low", 300)},
		Exporters: []Exporter{{ClusterID: "c2", Ready: 3}, {ClusterID: "c3", Ready: 1}, {ClusterID: "c4"}},
		Cards: []v1alpha1.ClusterAdvertisementSpec{
			card("c2", []string{"10.2.0.1", "10.2.0.2"}, "high", "low"), card("c3", []string{"10.3.0.1"}, "high", "low"),
			card("c4", []string{"10.4.0.1"}, "high", "low"),
		},
	}
	se, dr := pathOf(t, in)
	byCluster := map[string]uint32{}
	for _, e := range se.Spec.Endpoints {
		if applied(e.Labels, failoverPriority(2)) == 0 {
			byCluster[e.Address[:5]] += e.Weight
		}
	}
	if byCluster["10.2."] != 3*byCluster["10.3."] || byCluster["10.4."] != 0 {
		t.Errorf("shares 75 and 25 and none without backends, got weights %v", byCluster)
	}
	if se.Annotations[AnnotationShares] != "c2=75,c3=25" {
		t.Errorf("the shares in use are written down, got %q", se.Annotations)
	}
	if got := dr.Spec.TrafficPolicy.Tls.Sni; got != "p5432.db.secure.tcp.clusterset.local" {
		t.Errorf("the server name is that of the TCP port, got %q", got)
	}
}

// An export says it of its own policy, and Strict of all its traffic; what is Strict in the calling cluster stays so.
func TestExportsFailoverGoesBeforeThePolicys(t *testing.T) {
	policies := []v1alpha1.WANPolicy{policy("high", 100), policy("low", 300), policy("strict", 200)}
	policies[2].Spec.Failover = &v1alpha1.Failover{Mode: v1alpha1.FailoverStrict}
	policies[1].Spec.Default = true
	cards := []v1alpha1.ClusterAdvertisementSpec{card("c2", []string{"10.2.0.1"}, "high", "low", "strict", "none")}
	automatic, strict := &v1alpha1.Failover{Mode: v1alpha1.FailoverAutomatic}, &v1alpha1.Failover{Mode: v1alpha1.FailoverStrict}
	ordered := &v1alpha1.Failover{Mode: v1alpha1.FailoverOrdered, To: []string{"none", "low"}}
	for _, tc := range []struct {
		exported string // the export's policy
		says     *v1alpha1.Failover
		policy   string // that of the path
		key      string
		want     []string
	}{
		{"high", nil, "high", "", []string{"high", "strict", "low"}},
		{"high", automatic, "high", "", []string{"high", "strict", "low"}},
		{"high", strict, "high", "Strict", []string{"high"}},
		{"high", ordered, "high", "Ordered:none,low", []string{"high", "none", "low"}},
		// A rule has chosen another policy.
		{"high", ordered, "low", "", []string{"low", "high", "strict"}},
		{"high", strict, "low", "Strict", []string{"low"}},
		{"high", automatic, "strict", "", []string{"strict"}},
		// The export names the policy that is Strict here.
		{"strict", nil, "strict", "", []string{"strict"}},
		{"strict", strict, "strict", "", []string{"strict"}},
		{"strict", automatic, "strict", "", []string{"strict"}},
		{"strict", ordered, "strict", "", []string{"strict"}},
		// The export names none: its policy is the default.
		{"", ordered, "low", "Ordered:none,low", []string{"low", "none"}},
		{"", ordered, "high", "", []string{"high", "strict", "low"}},
	} {
		l := leg{merged: mcs.Merged{WANPolicy: tc.exported, Failover: tc.says}, policies: policies, shares: Shares{"c2": 100}}
		key := l.paths(tc.policy)[0].path
		var got []string
		for _, h := range Rank(key, policies, cards) {
			got = append(got, h.Policy)
		}
		if key.Failover != tc.key || !slices.Equal(got, tc.want) {
			t.Errorf("an export over %q that says %+v: path over %s is %q over %v, want %q over %v",
				tc.exported, tc.says, tc.policy, key.Failover, got, tc.key, tc.want)
		}
	}
}
