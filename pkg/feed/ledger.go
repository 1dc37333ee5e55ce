// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// side is one of the two streams of a feed.
type side int

const (
	cardSide side = iota
	advertisementSide
	sides
)

// streamState is how one stream of the feed is.
type streamState struct {
	read    bool // its list has been read since this process began to
	opened  bool // and its watch has been opened
	problem problem
}

// ledger is all that is known of one peer: what its feed says, what of that is accepted, and what the Sink holds. It
// is a state machine without a clock, a client or a lock; plan says what to do next.
//
// The rules by which card and list are trusted are these.
//   - Nothing is done before both have been read.
//   - While they agree (the card is there, and counts as many advertisements as are listed), everything is applied.
//   - While they disagree, one of the two may be on its way: for Settle after the card or the list last changed, and no
//     longer than settleLimit times that, additions and changes are applied and nothing is removed, but for what was
//     draining and has been deleted. After that the peer is Unreadable until they agree: nothing at all is done.
//   - While a stream is broken, what was read before stays in use; nothing is removed for being absent.
type ledger struct {
	rules  Rules
	nameOf NameFunc
	limits ReaderLimits
	timing Timing

	streams [sides]streamState
	card    *feedCard
	objects map[string]*object // by the name of the peer's object
	held    int64              // bytes of all objects

	copies map[string]*copied  // by name, as the Sink holds them
	gone   map[string]departed // by name of the copy: how an object left that is no longer in the feed
	known  *v1alpha1.ClusterAdvertisementSpec

	lastChange    time.Time // of the card or of which advertisements there are
	disagreeSince time.Time
	disbelieved   bool // card and list have disagreed for too long, and still do
	staleSince    time.Time
	formerUID     string
	syncedOnce    bool
}

// settleLimit bounds how long a peer that changes all the time may disagree with itself, in Settles.
const settleLimit = 6

type feedCard struct {
	spec    *v1alpha1.ClusterAdvertisementSpec
	decoded verdict
	judged  verdict
}

// object is one of the peer's advertisements.
type object struct {
	size     int64
	spec     *v1alpha1.ServiceAdvertisementSpec // nil when it cannot be decoded
	copyName string                             // "" when it cannot be decoded
	decoded  verdict
	judged   verdict
	stored   verdict // what the store said of the copy
}

func (o *object) refusal() verdict {
	for _, v := range []verdict{o.decoded, o.judged, o.stored} {
		if v.reason != "" {
			return v
		}
	}
	return accept()
}

// copied is one copy in the store.
type copied struct {
	spec          *v1alpha1.ServiceAdvertisementSpec
	vanishedSince time.Time
}

// departed is how an object left the feed.
type departed struct {
	draining bool
	deleted  bool // by an event, not by being absent from a list
}

func newLedger(rules Rules, nameOf NameFunc, limits ReaderLimits, timing Timing) *ledger {
	return &ledger{
		rules: rules, nameOf: nameOf, limits: limits, timing: timing,
		objects: map[string]*object{}, copies: map[string]*copied{}, gone: map[string]departed{},
	}
}

// setRules judges everything anew.
func (l *ledger) setRules(rules Rules) {
	l.rules = rules
	if rules.Peer.ClusterUID != "" {
		l.formerUID = ""
	}
	for _, o := range l.objects {
		l.judge(o)
	}
	l.judgeCard()
}

// seed tells what the Sink holds.
func (l *ledger) seed(copies []v1alpha1.ServiceAdvertisement) {
	held := make(map[string]*copied, len(copies))
	for i := range copies {
		c := &copied{spec: &copies[i].Spec}
		if old, ok := l.copies[copies[i].Name]; ok {
			c.vanishedSince = old.vanishedSince
		}
		held[copies[i].Name] = c
	}
	l.copies = held
	for _, o := range l.objects {
		o.stored = accept()
	}
}

// setCard takes the card as it was listed or watched; nil is a feed without one.
func (l *ledger) setCard(o *item, now time.Time) {
	if l.card != nil || o != nil {
		l.lastChange = now
	}
	l.card = nil
	if o != nil {
		spec, v := decodeCard(o)
		l.card = &feedCard{spec: spec, decoded: v}
	}
	l.judgeCard()
}

func (l *ledger) judgeCard() {
	if l.card == nil || l.card.spec == nil {
		return
	}
	refusal, ok := CheckCard(l.rules, l.card.spec)
	l.card.judged = accept()
	if !ok {
		l.card.judged = verdict{refusal.Reason, refusal.Message}
	}
}

// replace takes a whole list of advertisements. The source has bounded it, so nothing of it is left out.
func (l *ledger) replace(items []*item, now time.Time) {
	old := l.objects
	l.objects, l.held = make(map[string]*object, len(items)), 0
	for i, it := range items {
		if it.Name == "" {
			it.Name = fmt.Sprintf("#%d", i) // counted and refused like any other that cannot be decoded
		}
		l.put(it)
	}
	changed := len(old) != len(l.objects)
	for name, o := range old {
		if _, still := l.objects[name]; !still {
			l.depart(o, false)
			changed = true
		}
	}
	if changed {
		l.lastChange = now
	}
}

// add takes an event with one advertisement; false when it is more than is taken from one peer.
func (l *ledger) add(it *item, now time.Time) bool {
	if _, known := l.objects[it.Name]; !known {
		l.lastChange = now
	}
	return l.put(it)
}

func (l *ledger) put(it *item) bool {
	old, size := l.objects[it.Name], int64(len(it.spec))
	freed := int64(0)
	if old != nil {
		freed = old.size
	}
	if old == nil && len(l.objects) >= l.limits.MaxAdvertisements || l.held+size-freed > l.limits.MaxHeldBytes {
		return false
	}
	l.held += size - freed
	o := &object{size: size}
	o.spec, o.decoded = decodeAdvertisement(it)
	if o.spec != nil {
		o.copyName = l.nameOf(o.spec.ClusterID, o.spec.Namespace, o.spec.Name)
		delete(l.gone, o.copyName)
	}
	l.judge(o)
	l.objects[it.Name] = o
	return true
}

func (l *ledger) judge(o *object) {
	o.judged, o.stored = accept(), accept()
	if o.spec == nil {
		return
	}
	if refusal, ok := CheckAdvertisement(l.rules, o.spec); !ok {
		o.judged = verdict{refusal.Reason, refusal.Message}
	}
}

// remove takes the event that one advertisement was deleted.
func (l *ledger) remove(name string, now time.Time) {
	if o, ok := l.objects[name]; ok {
		delete(l.objects, name)
		l.held -= o.size
		l.depart(o, true)
		l.lastChange = now
	}
}

func (l *ledger) depart(o *object, deleted bool) {
	if o.copyName != "" && o.refusal().reason == "" {
		l.gone[o.copyName] = departed{draining: o.spec.Draining, deleted: deleted}
	}
}

// applied, dropped and turnedAway take what became of a plan.
func (l *ledger) applied(name string, spec *v1alpha1.ServiceAdvertisementSpec) {
	l.copies[name] = &copied{spec: spec}
}

func (l *ledger) dropped(name string) {
	delete(l.copies, name)
	delete(l.gone, name)
}

func (l *ledger) turnedAway(name string, spec *v1alpha1.ServiceAdvertisementSpec, v verdict) {
	for _, o := range l.objects {
		if o.copyName == name && o.spec == spec {
			o.stored = v
		}
	}
}

func sameSpec(a, b *v1alpha1.ServiceAdvertisementSpec) bool {
	return a == b || apiequality.Semantic.DeepEqual(a, b)
}
