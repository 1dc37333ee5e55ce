// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
)

// Wildcard stands for every site, or every tunnel, where one is asked for.
const Wildcard = "*"

// ErrNotFound is matched by errors about a tunnel or site that does not exist.
var ErrNotFound = errors.New("not found")

// router holds the configuration and makes views of it. It is safe for concurrent use; forwarding does not take its lock.
type router struct {
	log      *slog.Logger
	open     opener
	newAlarm func() (alarm, error)
	clock    func() time.Duration
	frames   *frames
	nowhere  *exit // where packets without a route are counted
	seed     uint64

	mu      sync.Mutex
	tunnels []Tunnel            // as configured
	base    map[string]Settings // what a link of a new site starts with
	deflt   uint8
	classes Classes
	table   *classTable
	sites   map[string]*site
	since   time.Time // of the counters
}

func newRouter(cfg Config, open opener, newAlarm func() (alarm, error), clock func() time.Duration) (*router, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	f := newFrames()
	r := &router{
		log: cfg.Log, open: open, newAlarm: newAlarm, clock: clock, frames: f, seed: cfg.Seed,
		nowhere: newExit(f, dropNoRoute, func(time.Duration) {}),
		tunnels: cfg.Tunnels, base: make(map[string]Settings), sites: make(map[string]*site), since: time.Now(),
	}
	for i, t := range r.tunnels {
		r.base[t.Name] = t.Settings
		if t.Name == cfg.Default {
			r.deflt = uint8(i)
		}
	}
	if err := r.setClasses(cfg.Classes); err != nil {
		return nil, err
	}
	for _, s := range cfg.Sites {
		if _, err := r.putSite(s); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

// tunnel returns the number of a tunnel. r.mu must be held.
func (r *router) tunnel(name string) (int, error) {
	i := slices.IndexFunc(r.tunnels, func(t Tunnel) bool { return t.Name == name })
	if i < 0 {
		var names []string
		for _, t := range r.tunnels {
			names = append(names, t.Name)
		}
		return 0, fmt.Errorf("tunnel: %w: there is no %q; there are %s", ErrNotFound, name, strings.Join(names, ", "))
	}
	return i, nil
}

// setClasses replaces the classes.
func (r *router) setClasses(c Classes) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	table := new(classTable)
	for i := range table {
		table[i] = noClass
	}
	for _, port := range slices.Sorted(maps.Keys(c)) {
		if port == 0 {
			return errors.New("classes: 0 is not a port; give ports from 1 to 65535")
		}
		i, err := r.tunnel(c[port])
		if err != nil {
			return fmt.Errorf("classes: port %d: %w", port, err)
		}
		table[port] = uint8(i)
	}
	r.classes, r.table = maps.Clone(c), table
	r.renewViews()
	return nil
}

// linkRef is a link with the exit whose lock it is under.
type linkRef struct {
	exit *exit
	link *link
}

// matching returns the links of a tunnel, or all tunnels, between the given sites. r.mu must be held.
func (r *router) matching(tunnel, from, to string) ([]linkRef, error) {
	for _, end := range []struct{ field, site string }{{"from", from}, {"to", to}} {
		if _, known := r.sites[end.site]; !known && end.site != Wildcard {
			return nil, fmt.Errorf("%s: %w: there is no site %q; there are %s", end.field, ErrNotFound, end.site,
				strings.Join(append(slices.Sorted(maps.Keys(r.sites)), "'"+Wildcard+"' for all"), ", "))
		}
	}
	if from == to && from != Wildcard {
		return nil, fmt.Errorf("to: %s is both ends; a tunnel leads from one site to another", to)
	}
	var refs []linkRef
	for name, s := range r.sites {
		if to != Wildcard && to != name {
			continue
		}
		for _, l := range s.exit.links { // only changed with r.mu held
			if (tunnel == Wildcard || tunnel == l.tunnel) && (from == Wildcard || from == l.from) {
				refs = append(refs, linkRef{exit: s.exit, link: l})
			}
		}
	}
	return refs, nil
}

// set patches the settings of one tunnel or, with the wildcard, all of them, between the given sites; or, with an error, nothing.
// With the wildcard at both ends, sites that come later start with these settings too.
func (r *router) set(tunnel, from, to string, p Patch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := p.Apply(Settings{}).Validate(); err != nil { // bounds are per field, so what is valid here is valid everywhere
		return err
	}
	if tunnel != Wildcard {
		if _, err := r.tunnel(tunnel); err != nil {
			return err
		}
	}
	refs, err := r.matching(tunnel, from, to)
	if err != nil {
		return err
	}
	if from == Wildcard && to == Wildcard {
		for name, base := range r.base {
			if tunnel == Wildcard || tunnel == name {
				r.base[name] = p.Apply(base)
			}
		}
	}
	now := r.clock()
	for _, ref := range refs {
		for _, data := range ref.exit.setLink(now, ref.link, p.Apply) {
			r.sites[ref.link.from].exit.notice(now, data, packet.Reject)
		}
	}
	r.log.Info("tunnel set", "tunnel", tunnel, "from", from, "to", to, "settings", p)
	return nil
}

// heal gives every tunnel the settings back that it was configured with, and the state up.
func (r *router) heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for _, t := range r.tunnels {
		healthy := t.Settings
		healthy.State = Up
		r.base[t.Name] = healthy
		for _, s := range r.sites {
			for _, l := range s.exit.links {
				if l.tunnel == t.Name {
					s.exit.setLink(now, l, func(Settings) Settings { return healthy })
				}
			}
		}
	}
	r.log.Info("tunnels healed")
}

// exits returns all exits, in no order.
func (r *router) exits() []*exit {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := []*exit{r.nowhere}
	for _, s := range r.sites {
		all = append(all, s.exit)
	}
	return all
}

func (r *router) counters() Counters {
	c := Counters{Flows: []Flow{}}
	for _, x := range r.exits() {
		c.Flows = x.appendFlows(c.Flows)
	}
	c.sort()
	return c
}

func (r *router) resetCounters() {
	r.mu.Lock()
	r.since = time.Now()
	r.mu.Unlock()
	for _, x := range r.exits() {
		x.resetCounters()
	}
}
