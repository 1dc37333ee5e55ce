// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Status is all that the SD-WAN says of itself.
type Status struct {
	Tunnels []TunnelStatus `json:"tunnels"`
	// Default is the tunnel of what no class matches.
	Default string       `json:"default"`
	Classes Classes      `json:"classes"`
	Sites   []SiteStatus `json:"sites"`
	// Counters are those since CountedSince.
	Counters     Counters  `json:"counters"`
	CountedSince time.Time `json:"countedSince"`
}

// TunnelStatus is a tunnel.
type TunnelStatus struct {
	Name string `json:"name"`
	// Configured settings are those that Heal gives back; those of the moment are each link's.
	Configured Settings     `json:"configured"`
	Links      []LinkStatus `json:"links"`
}

// LinkStatus is a tunnel in the direction from one site to another.
type LinkStatus struct {
	From string `json:"from"`
	To   string `json:"to"`
	Settings
	// Held is the number of packets in the link at this moment.
	Held int `json:"held"`
}

// SiteStatus is a site and its device.
type SiteStatus struct {
	Site
	Attached bool `json:"attached"`
	// Error says why no device is attached.
	Error string `json:"error,omitempty"`
	// Malformed packets from the device were neither IPv4 nor IPv6, or cut short.
	Malformed uint64 `json:"malformed,omitempty"`
	// WriteErrors are packets that the device did not take: it is set down.
	WriteErrors uint64 `json:"writeErrors,omitempty"`
}

func (r *router) status() Status {
	st := Status{Counters: r.counters()}
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Default, st.CountedSince = r.tunnels[r.deflt].Name, r.since
	if st.Classes = maps.Clone(r.classes); st.Classes == nil {
		st.Classes = Classes{}
	}
	names := slices.Sorted(maps.Keys(r.sites))
	for _, t := range r.tunnels {
		links := []LinkStatus{}
		for _, name := range names {
			links = append(links, r.sites[name].exit.linkStatus(t.Name)...)
		}
		slices.SortFunc(links, func(a, b LinkStatus) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
		st.Tunnels = append(st.Tunnels, TunnelStatus{Name: t.Name, Configured: t.Settings, Links: links})
	}
	for _, name := range names {
		st.Sites = append(st.Sites, r.sites[name].status())
	}
	return st
}
