// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

const testPeer = "c2"

func testRules() Rules {
	return Rules{Peer: v1alpha1.PeerSpec{ClusterID: testPeer, Namespaces: []string{"*"}, Identities: v1alpha1.Identities{Egress: "e", Ingress: "i"}}}
}

func testItem(name string, spec any) *item {
	data, err := json.Marshal(spec)
	if err != nil {
		panic(err)
	}
	return &item{ObjectMeta: metav1.ObjectMeta{Name: name}, spec: data}
}

func testSpec(name string, draining bool) v1alpha1.ServiceAdvertisementSpec {
	return v1alpha1.ServiceAdvertisementSpec{
		ClusterID: testPeer, Namespace: "shop", Name: name, Type: "ClusterSetIP", Draining: draining,
		ExportedAt: metav1.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Ports:      []v1alpha1.AdvertisedPort{{Protocol: corev1.ProtocolTCP, Port: 80}},
	}
}

// model runs a ledger with random events and keeps its own books of what may be deleted.
type model struct {
	t      *testing.T
	rand   *rand.Rand
	ledger *ledger
	now    time.Time
	held   map[string]v1alpha1.ServiceAdvertisementSpec // what a sink holds
	feed   map[string]bool                              // name -> draining: what the peer publishes
	count  int
	absent map[string]time.Time // since when a name is not in the feed
	drains map[string]bool      // names that were draining when last seen
	broken bool
	lying  bool
}

func (m *model) copyName(name string) string {
	return translate.AdvertisementName(testPeer, "shop", name)
}

func (m *model) put(name string, draining bool) {
	m.feed[name], m.drains[name] = draining, draining
	delete(m.absent, name)
	m.ledger.add(testItem(m.copyName(name), testSpec(name, draining)), m.now)
}

func (m *model) remove(name string) {
	if _, ok := m.feed[name]; ok {
		delete(m.feed, name)
		m.absent[name] = m.now
		m.ledger.remove(m.copyName(name), m.now)
	}
}

func (m *model) relist() {
	var items []*item
	for name, draining := range m.feed {
		items = append(items, testItem(m.copyName(name), testSpec(name, draining)))
	}
	m.ledger.replace(items, m.now)
}

func (m *model) tellCard() {
	m.count++
	n := len(m.feed)
	if m.lying {
		n++
	}
	m.ledger.setCard(testItem(testPeer, v1alpha1.ClusterAdvertisementSpec{
		ClusterID: testPeer, ClusterUID: "u", Generation: int64(m.count), Advertisements: int32(n),
		Identities: testRules().Peer.Identities,
	}), m.now)
}

func (m *model) step() {
	name := fmt.Sprintf("s%d", m.rand.IntN(6))
	switch m.rand.IntN(10) {
	case 0, 1, 2:
		m.put(name, m.rand.IntN(3) == 0)
	case 3, 4:
		m.remove(name)
	case 5:
		m.relist()
	case 6:
		m.broken = !m.broken
		m.ledger.streams[advertisementSide].problem = problem{}
		if m.broken {
			m.ledger.streams[advertisementSide].problem = unreachable()
		}
	case 7:
		m.lying = !m.lying
	}
	if m.rand.IntN(3) > 0 {
		m.tellCard()
	}
	m.now = m.now.Add(time.Duration(m.rand.IntN(20)) * time.Second)
	m.act()
}

// act carries a plan out and judges every deletion in it.
func (m *model) act() {
	p := m.ledger.plan(m.now)
	for name, spec := range p.apply {
		m.held[name] = *spec
		m.ledger.applied(name, spec)
	}
	for _, name := range p.remove {
		spec := m.held[name]
		since, absent := m.absent[spec.Name]
		switch {
		case !absent:
			m.t.Fatalf("%s is removed though it is published", spec.Name)
		case !m.drains[spec.Name] && !spec.Draining && m.now.Sub(since) < m.ledger.timing.VanishGrace:
			m.t.Fatalf("%s vanished %s ago and is removed", spec.Name, m.now.Sub(since))
		case m.broken && !m.drains[spec.Name] && !spec.Draining:
			m.t.Fatalf("%s is removed while the feed is broken", spec.Name)
		}
		delete(m.held, name)
		m.ledger.dropped(name)
	}
	if p.card != nil {
		m.ledger.known = p.card
	}
}

// Whatever happens: only what left the feed is removed, not before its grace unless it was draining, and a feed that
// is fine and quiet ends with exactly the copies of what it publishes.
func TestLedgerNeverRemovesWhatIsPublished(t *testing.T) {
	for seed := range uint64(40) {
		m := &model{
			t: t, rand: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			ledger: newLedger(testRules(), translate.AdvertisementName, DefaultReaderLimits(), DefaultTiming()),
			held:   map[string]v1alpha1.ServiceAdvertisementSpec{}, feed: map[string]bool{}, absent: map[string]time.Time{}, drains: map[string]bool{},
		}
		m.ledger.streams = [sides]streamState{{read: true, opened: true}, {read: true, opened: true}}
		for range 150 {
			m.step()
		}
		m.broken, m.lying = false, false
		m.ledger.streams[advertisementSide].problem = problem{}
		m.tellCard()
		for range 20 {
			m.act()
			m.now = m.now.Add(10 * time.Second)
		}
		want, got := map[string]bool{}, map[string]bool{}
		for name, draining := range m.feed {
			want[name] = draining
		}
		for _, spec := range m.held {
			got[spec.Name] = spec.Draining
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: copies %v, want %v", seed, got, want)
		}
		p := m.ledger.plan(m.now)
		if p.report.Reason != v1alpha1.ReasonSynced || len(p.apply)+len(p.remove) != 0 || !p.wake.IsZero() {
			t.Fatalf("seed %d: not at rest: %+v", seed, p)
		}
	}
}

// The order in which a list's items come makes no difference.
func TestLedgerOrderIsIrrelevant(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var want PeerReport
	for seed := range uint64(20) {
		var items []*item
		for i := range 30 {
			items = append(items, testItem(fmt.Sprintf("o%d", i), testSpec(fmt.Sprintf("s%d", i/2), i%2 == 0)))
		}
		rand.New(rand.NewPCG(seed, 2)).Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		l := newLedger(testRules(), translate.AdvertisementName, DefaultReaderLimits(), DefaultTiming())
		l.streams = [sides]streamState{{read: true, opened: true}, {read: true, opened: true}}
		l.replace(items, now)
		l.setCard(testItem(testPeer, v1alpha1.ClusterAdvertisementSpec{
			ClusterID: testPeer, ClusterUID: "u", Generation: 1, Advertisements: 30, Identities: testRules().Peer.Identities,
		}), now)
		p := l.plan(now)
		if seed == 0 {
			want = p.report
		}
		if !reflect.DeepEqual(p.report, want) || p.report.Counts.Accepted != 15 {
			t.Fatalf("report %+v\nwant %+v", p.report, want)
		}
	}
}

// FuzzPage: whatever bytes a peer sends as a list, nothing but what is the peer's, in allowed namespaces and within
// bounds is ever written, and it can be written as JSON and read again.
func FuzzPage(f *testing.F) {
	good, _ := json.Marshal(testSpec("payment", false))
	f.Add([]byte(`{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"ServiceAdvertisementList","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"x"},"spec":` + string(good) + `}]}`))
	f.Add([]byte(`{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"ServiceAdvertisementList","items":[{"metadata":7,"spec":{"ports":[{"port":"x"}]}},null,[],"",{}]}`))
	f.Add([]byte(`{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"ServiceAdvertisementList","items":{"a":1}}`))
	f.Add([]byte(`{"apiVersion":"mcw.l7mp.io/v1alpha1","kind":"ServiceAdvertisementList","items":[{"metadata":{"name":"x"},"spec":{"clusterID":"c2","exportedAt":"9999-99-99T00:00:00Z"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		page, err := decodePage(data, v1alpha1.ServiceAdvertisementKind, 100)
		if err != nil {
			return
		}
		var items []*item
		for i := range page.Items {
			items = append(items, &page.Items[i])
		}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		l := newLedger(testRules(), translate.AdvertisementName, DefaultReaderLimits(), DefaultTiming())
		l.streams = [sides]streamState{{read: true, opened: true}, {read: true, opened: true}}
		l.replace(items, now)
		l.setCard(testItem(testPeer, v1alpha1.ClusterAdvertisementSpec{
			ClusterID: testPeer, ClusterUID: "u", Generation: 1, Advertisements: int32(len(l.objects)), Identities: testRules().Peer.Identities,
		}), now)
		p := l.plan(now)
		if n := int(p.report.Counts.Accepted + p.report.Counts.Refused); n != len(l.objects) || len(p.report.Counts.Refusals) > maxRefusals {
			t.Fatalf("counts %+v of %d objects", p.report.Counts, len(l.objects))
		}
		for name, spec := range p.apply {
			checkWritten(t, name, spec)
		}
	})
}

func checkWritten(t *testing.T, name string, spec *v1alpha1.ServiceAdvertisementSpec) {
	t.Helper()
	if spec.ClusterID != testPeer || !NamespaceAllowed(testRules(), spec.Namespace) || name != translate.AdvertisementName(testPeer, spec.Namespace, spec.Name) {
		t.Fatalf("%s: %+v is written", name, spec)
	}
	data, err := json.Marshal(AdvertisementCopy(translate.AdvertisementName, spec))
	if err != nil {
		t.Fatalf("the copy cannot be written: %v", err)
	}
	var again v1alpha1.ServiceAdvertisement
	if err := json.Unmarshal(data, &again); err != nil || !sameSpec(&again.Spec, spec) {
		t.Fatalf("%+v is read again as %+v: %v", spec, again.Spec, err)
	}
}

// FuzzCard: whatever bytes a peer sends as its card, an accepted one can be believed.
func FuzzCard(f *testing.F) {
	f.Add([]byte(`{"kind":"ClusterAdvertisement","spec":{"clusterID":"c2","clusterUID":"u","generation":1,"identities":{"egress":"e","ingress":"i"},"addresses":["10.0.0.1"],"policies":[{"name":"high","port":31111}]}}`))
	f.Add([]byte(`{"kind":"ClusterAdvertisement","spec":{"addresses":["::ffff:127.0.0.1"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var it item
		if err := it.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		card, v := decodeCard(&it)
		if v.reason != "" {
			return
		}
		refusal, ok := CheckCard(testRules(), card)
		if !ok {
			if refusal.Message == "" || len(refusal.Message) > 2000 {
				t.Fatalf("refusal %+v", refusal)
			}
			return
		}
		for _, a := range card.Addresses {
			if err := translate.CheckAddress(translate.Cluster{}, a); err != nil {
				t.Fatal(err)
			}
		}
		if card.ClusterID != testPeer || card.Identities != testRules().Peer.Identities {
			t.Fatalf("card %+v is believed", card)
		}
	})
}

// TestBudget: what a peer has stays when it asks for more ports than it may have, and what goes makes room.
func TestBudget(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	limits := DefaultReaderLimits()
	limits.MaxLegPorts = 3 * ports.PerLeg
	l := newLedger(testRules(), translate.AdvertisementName, limits, DefaultTiming())
	l.streams = [sides]streamState{{read: true, opened: true}, {read: true, opened: true}}
	round := func(want string, names ...string) {
		t.Helper()
		var items []*item
		for _, n := range names {
			spec := testSpec(strings.TrimRight(n, "+"), false)
			spec.Ports[0].Name = "web"
			for i := range strings.Count(n, "+") {
				spec.Ports = append(spec.Ports, v1alpha1.AdvertisedPort{Name: fmt.Sprintf("more-%d", i), Protocol: "TCP", Port: int32(9000 + i)})
			}
			items = append(items, testItem(spec.Name, spec))
		}
		l.replace(items, now)
		l.setCard(testItem(testPeer, v1alpha1.ClusterAdvertisementSpec{
			ClusterID: testPeer, ClusterUID: "u", Generation: 1, Advertisements: int32(len(items)), Identities: testRules().Peer.Identities,
		}), now)
		l.plan(now) // notes since when something is gone
		now = now.Add(2 * l.timing.VanishGrace)
		p := l.plan(now)
		for _, name := range p.remove {
			l.dropped(name)
		}
		for name, spec := range p.apply {
			l.applied(name, spec)
		}
		var have, refused []string
		for _, c := range l.copies {
			have = append(have, fmt.Sprintf("%s:%d", c.spec.Name, len(c.spec.Ports)))
		}
		for _, r := range p.report.Counts.Refusals {
			refused = append(refused, r.Name+" "+r.Reason)
		}
		slices.Sort(have)
		if got := fmt.Sprint(have, refused); got != want {
			t.Errorf("%v: %s, want %s", names, got, want)
		}
	}
	round("[m:1 n:1] []", "m", "n")
	round("[a:1 m:1 n:1] [shop/b OutOfBounds]", "a", "b", "m", "n")
	round("[a:1 m:1 n:1] [shop/b OutOfBounds shop/m OutOfBounds]", "a", "b", "m+", "n")
	round("[a:1 b:1 m:1] []", "a", "b", "m")
	round("[m:2] []", "m+")
	round("[m:2] [shop/a OutOfBounds]", "a++", "m+")
}

// BenchmarkPlan is one round over a peer with 10,000 advertisements of which nothing changed.
func BenchmarkPlan(b *testing.B) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := newLedger(testRules(), translate.AdvertisementName, DefaultReaderLimits(), DefaultTiming())
	l.streams = [sides]streamState{{read: true, opened: true}, {read: true, opened: true}}
	var items []*item
	for i := range 10000 {
		items = append(items, testItem(fmt.Sprintf("o%d", i), testSpec(fmt.Sprintf("s%d", i), false)))
	}
	l.replace(items, now)
	l.setCard(testItem(testPeer, v1alpha1.ClusterAdvertisementSpec{
		ClusterID: testPeer, ClusterUID: "u", Generation: 1, Advertisements: 10000, Identities: testRules().Peer.Identities,
	}), now)
	for name, spec := range l.plan(now).apply {
		l.applied(name, spec)
	}
	for b.Loop() {
		if p := l.plan(now); len(p.apply) != 0 {
			b.Fatal("not at rest")
		}
	}
}
