// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"errors"
	"fmt"
)

// putSite adds a site, or gives one that is there another configuration: its links, their settings and counters stay. The
// site is kept also when its device cannot be attached, which its status then says and which is tried again all the time.
func (r *router) putSite(cfg Site) (SiteStatus, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return SiteStatus{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, other := range r.sites {
		if name == cfg.Name {
			continue
		}
		if err := cfg.overlaps(other.cfg); err != nil {
			return SiteStatus{}, err
		}
	}
	s, known := r.sites[cfg.Name]
	if known {
		s.stop()
	} else {
		var err error
		if s, err = r.newSite(cfg.Name); err != nil {
			return SiteStatus{}, err
		}
	}
	s.configure(cfg)
	r.renewViews()
	s.start()
	return s.status(), nil
}

// newSite makes a site with links from and to all others. r.mu must be held.
func (r *router) newSite(name string) (*site, error) {
	a, err := r.newAlarm()
	if err != nil {
		return nil, fmt.Errorf("site %s: %w", name, err)
	}
	s := &site{
		open: r.open, clock: r.clock, log: r.log, alarm: a, exit: newExit(r.frames, dropSiteDown, a.Set), written: make(chan struct{}),
	}
	for other, o := range r.sites {
		for _, t := range r.tunnels {
			o.exit.addLinks(newLink(t.Name, name, other, r.base[t.Name], r.seed))
			s.exit.addLinks(newLink(t.Name, other, name, r.base[t.Name], r.seed))
		}
	}
	r.nowhere.addLinks(newLink("", name, "", Settings{}, 0))
	r.sites[name] = s
	go s.write()
	return s, nil
}

// removeSite forgets a site, with its links and what was counted on them.
func (r *router) removeSite(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, known := r.sites[name]
	if !known {
		return fmt.Errorf("site: %w: there is no %q", ErrNotFound, name)
	}
	delete(r.sites, name)
	r.renewViews()
	err := s.close()
	r.nowhere.removeLinksFrom(name)
	for _, o := range r.sites {
		o.exit.removeLinksFrom(name)
	}
	r.log.Info("site removed", "site", name)
	return err
}

// close ends all sites.
func (r *router) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for name, s := range r.sites {
		errs = append(errs, s.close())
		delete(r.sites, name)
	}
	return errors.Join(errs...)
}

// renewViews makes every site forward by the configuration of now. r.mu must be held.
func (r *router) renewViews() {
	for name, s := range r.sites {
		v := &view{classes: r.table, deflt: r.deflt, nowhere: r.nowhere, lost: r.nowhere.link("", name)}
		for other, o := range r.sites {
			if other == name {
				continue
			}
			links := make([]*link, len(r.tunnels))
			for i, t := range r.tunnels {
				links[i] = o.exit.link(t.Name, name)
			}
			for _, p := range o.cfg.PodCIDRs {
				v.routes = append(v.routes, route{prefix: p, exit: o.exit, links: links})
			}
		}
		s.view.Store(v)
	}
}
