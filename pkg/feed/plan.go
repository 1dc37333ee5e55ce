// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/ports"
)

// maxRefusals is how many refusals are named in a report, maxNames how many names stand in a message.
const (
	maxRefusals = 20
	maxNames    = 5
)

// trust is how far what the feed says may be acted on.
type trust int

const (
	distrusted trust = iota // do nothing
	settling                // add and change
	trusted                 // remove as well
)

// plan is what to do next.
type plan struct {
	card   *v1alpha1.ClusterAdvertisementSpec // to be written
	apply  map[string]*v1alpha1.ServiceAdvertisementSpec
	remove []string
	report PeerReport // once all of it is done
	wake   time.Time  // when to plan again at the latest; zero: when something changes
}

// planner is one run of plan.
type planner struct {
	*ledger
	now      time.Time
	trust    trust
	problem  problem // of the feed; none: it is readable
	out      plan
	kept     map[string]bool // copies that stay, by name
	refusals []v1alpha1.Refusal
	refused  int
	vanished []string
}

// plan compares what the feed says with what the Sink holds. It changes nothing but the ledger's timers.
func (l *ledger) plan(now time.Time) plan {
	p := &planner{ledger: l, now: now, kept: map[string]bool{}, out: plan{apply: map[string]*v1alpha1.ServiceAdvertisementSpec{}}}
	p.judgeFeed()
	p.planCard()
	fit := p.planObjects()
	p.planCopies()
	p.planBudget(fit)
	p.report()
	return p.out
}

func (p *planner) wakeAt(t time.Time) {
	if p.out.wake.IsZero() || t.Before(p.out.wake) {
		p.out.wake = t
	}
}

// judgeFeed says how far the feed is trusted, and what is wrong with it.
func (p *planner) judgeFeed() {
	read := true
	for _, s := range p.streams {
		p.problem = worse(p.problem, s.problem)
		read = read && s.read && s.opened
	}
	if !read {
		p.problem = worse(p.problem, pending())
		return
	}
	content, doubt := p.judgeContent()
	p.trust = content
	switch {
	case content == distrusted:
		p.problem = worse(p.problem, doubt)
	case !p.problem.none():
		p.trust = min(p.trust, settling)
	case content == settling && !p.syncedOnce:
		p.problem = pending()
	}
}

// judgeContent is the rule of card and list, see ledger.
func (p *planner) judgeContent() (trust, problem) {
	var doubt problem
	switch {
	case p.card == nil:
		doubt = unreadable("the feed does not contain the peer's card: is its mcwan-controller running")
	case p.card.decoded.reason != "":
		return distrusted, unreadable("the peer's card is refused: %s", p.card.decoded.message)
	case p.card.judged.reason == v1alpha1.ReasonIdentityMismatch, p.card.judged.reason == v1alpha1.ReasonUIDMismatch:
		return distrusted, because(p.card.judged.reason, p.card.judged.message)
	case p.card.judged.reason != "":
		return distrusted, unreadable("the peer's card is refused: %s", p.card.judged.message)
	case int(p.card.spec.Advertisements) != len(p.objects):
		doubt = unreadable("the peer's card and its list of advertisements do not agree on how many there are")
	default:
		p.disagreeSince, p.disbelieved = time.Time{}, false
		return trusted, problem{}
	}
	if p.disagreeSince.IsZero() {
		p.disagreeSince = p.now
	}
	since := p.disagreeSince
	if p.lastChange.After(since) {
		since = p.lastChange
	}
	until, limit := since.Add(p.timing.Settle), p.disagreeSince.Add(settleLimit*p.timing.Settle)
	if limit.Before(until) {
		until = limit
	}
	if p.disbelieved = p.disbelieved || !p.now.Before(until); p.disbelieved {
		return distrusted, doubt
	}
	p.wakeAt(until)
	return settling, problem{}
}

// planCard: of one cluster uid the highest generation wins; another uid is another cluster, which only the feed may
// bring in, and only while the Peer pins none.
func (p *planner) planCard() {
	if p.trust == distrusted || p.card == nil {
		return
	}
	feed, known := p.card.spec, p.known
	stale := known != nil && known.ClusterUID == feed.ClusterUID && known.Generation > feed.Generation
	if !stale {
		p.staleSince = time.Time{}
		if known != nil && known.ClusterUID != feed.ClusterUID && p.rules.Peer.ClusterUID == "" {
			p.formerUID = known.ClusterUID
		}
		if !apiequality.Semantic.DeepEqual(known, feed) {
			p.out.card = feed
		}
		return
	}
	if p.staleSince.IsZero() {
		p.staleSince = p.now
	}
	if due := p.staleSince.Add(p.timing.Settle); p.now.Before(due) {
		p.wakeAt(due) // an announced card overtook the feed
	}
}

// planObjects goes through what the feed says, and returns the names of the objects that are right by themselves.
func (p *planner) planObjects() []string {
	var fit []string
	taken := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(p.objects)) {
		o := p.objects[name]
		v := o.refusal()
		if v.reason == "" && taken[o.copyName] {
			v = refuse(v1alpha1.RefusedDuplicate, "the peer publishes another advertisement for the same service")
		}
		if v.reason != "" {
			// The last good copy stays in use. Both sides name objects by the same function, so an object that cannot be
			// decoded is known by its name.
			p.kept[name], p.kept[o.copyName] = true, true
			p.refuse(name, o, v)
			continue
		}
		taken[o.copyName], p.kept[o.copyName] = true, true
		fit = append(fit, name)
	}
	return fit
}

// planBudget takes of those objects what the peer's share of the egress gateway's ports is enough for. What has been taken
// stays, so that nobody loses a service because the peer has exported another one; what is to be removed makes room.
func (p *planner) planBudget(fit []string) {
	left := p.limits.MaxLegPorts
	for name, c := range p.copies {
		if _, goes := slices.BinarySearch(p.out.remove, name); !goes {
			left -= legPorts(c.spec)
		}
	}
	for _, name := range fit {
		o := p.objects[name]
		c, more := p.copies[o.copyName], legPorts(o.spec)
		if c != nil {
			more -= legPorts(c.spec)
		}
		if more > 0 && more > left {
			p.refuse(name, o, refuse(v1alpha1.RefusedBounds, "it takes %d more ports of the egress gateway, and of the %d that one peer may have %d are left: remove exports or ports that nobody needs",
				more, p.limits.MaxLegPorts, max(left, 0)))
			continue
		}
		left -= more
		if p.trust >= settling && (c == nil || !sameSpec(c.spec, o.spec)) {
			p.out.apply[o.copyName] = o.spec
		}
	}
}

// legPorts is how many ports of the egress gateway an advertised service takes at most: those of a leg for each port that
// is carried and, of a headless service, each endpoint.
func legPorts(spec *v1alpha1.ServiceAdvertisementSpec) int {
	legs := 0
	for _, port := range spec.Ports {
		if mcs.Carried(port.Protocol) {
			legs++
		}
	}
	if spec.Type == string(mcsv1beta1.Headless) {
		legs *= len(spec.Endpoints)
	}
	return legs * ports.PerLeg
}

func (p *planner) refuse(name string, o *object, v verdict) {
	title := quote(name)
	if o.spec != nil {
		title = serviceTitle(o.spec)
	}
	p.refused++
	p.refusals = append(p.refusals, v1alpha1.Refusal{Name: title, Reason: v.reason, Message: v.message})
}

// planCopies goes through what the Sink holds. A namespace that the operator has closed is cleared whatever the peer
// says, and whether or not it can be read.
func (p *planner) planCopies() {
	for name, c := range p.copies {
		switch {
		case !NamespaceAllowed(p.rules, c.spec.Namespace):
			p.out.remove = append(p.out.remove, name)
		case p.kept[name]:
			c.vanishedSince = time.Time{}
		case p.mayGo(name, c):
			p.out.remove = append(p.out.remove, name)
		}
	}
	slices.Sort(p.out.remove)
	for name := range p.gone {
		if p.copies[name] == nil {
			delete(p.gone, name)
		}
	}
}

// mayGo says whether a copy that the feed no longer has may be removed.
func (p *planner) mayGo(name string, c *copied) bool {
	if p.trust == distrusted {
		c.vanishedSince = time.Time{}
		return false
	}
	left := p.gone[name]
	draining := c.spec.Draining || left.draining
	if draining && left.deleted {
		return true
	}
	if p.trust < trusted {
		if !p.problem.none() {
			c.vanishedSince = time.Time{} // the grace is a time during which the feed said so
		}
		return false
	}
	if draining {
		return true
	}
	if c.vanishedSince.IsZero() {
		c.vanishedSince = p.now
	}
	due := c.vanishedSince.Add(p.timing.VanishGrace)
	if !p.now.Before(due) {
		return true
	}
	p.wakeAt(due)
	p.vanished = append(p.vanished, c.spec.Namespace+"/"+c.spec.Name)
	return false
}

func (p *planner) report() {
	slices.SortFunc(p.refusals, func(a, b v1alpha1.Refusal) int {
		return strings.Compare(a.Name+"\x00"+a.Reason+"\x00"+a.Message, b.Name+"\x00"+b.Reason+"\x00"+b.Message)
	})
	if len(p.refusals) > maxRefusals {
		p.refusals = p.refusals[:maxRefusals]
	}
	r := PeerReport{ClusterID: p.rules.Peer.ClusterID, Reason: p.problem.reason, Message: p.problem.message, Card: p.known}
	r.TurnedAway = r.Reason == v1alpha1.ReasonRefused && slices.ContainsFunc(p.streams[:], func(s streamState) bool { return s.problem.turnedAway })
	if p.problem.none() {
		r.Reason, r.Message = v1alpha1.ReasonSynced, "the peer's feed has been read and is being watched"
	}
	if p.out.card != nil {
		r.Card = p.out.card
	}
	accepted := len(p.copies) - len(p.out.remove)
	for name := range p.out.apply {
		if p.copies[name] == nil {
			accepted++
		}
	}
	r.Counts = v1alpha1.AdvertisementCounts{Accepted: int32(accepted), Refused: int32(p.refused), Refusals: p.refusals} // bounded by MaxAdvertisements
	r.SyncedOnce = p.syncedOnce || p.trust == trusted && p.problem.none()
	r.Notices = p.notices()
	p.out.report = r
}

func (p *planner) notices() []Notice {
	var out []Notice
	if p.formerUID != "" && p.rules.Peer.ClusterUID == "" {
		out = append(out, Notice{v1alpha1.NoticeUIDChanged, "the peer's clusterUID is no longer " + quote(p.formerUID) + ": if the cluster was built anew, pin the new one in spec.clusterUID of the Peer"})
	}
	if !p.staleSince.IsZero() && !p.now.Before(p.staleSince.Add(p.timing.Settle)) {
		out = append(out, Notice{v1alpha1.NoticeStaleCard, fmt.Sprintf("the peer's card has a lower generation than the one in use: if the peer was restored from a backup, delete clusteradvertisement %s in %s", p.rules.Peer.ClusterID, v1alpha1.Namespace)})
	}
	if n := len(p.vanished); n > 0 {
		slices.Sort(p.vanished)
		names := strings.Join(p.vanished[:min(n, maxNames)], ", ")
		out = append(out, Notice{v1alpha1.NoticeVanished, fmt.Sprintf("%d advertisements are gone without having been draining and are kept for %s: %s", n, p.timing.VanishGrace, names)})
	}
	return out
}
