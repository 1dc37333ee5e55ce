// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// writeStatus writes tunnels, then sites, then what deserves attention.
func writeStatus(w io.Writer, now, before *sample) error {
	tunnels := table{header: []string{"TUNNEL", "PORTS", "FROM", "TO", "STATE", "LATENCY", "JITTER", "LOSS", "RATE",
		"PACKETS", "PACKETS/S", "BYTES", "CONNS", "DROPPED"}}
	for _, t := range now.Tunnels {
		for _, l := range t.Links {
			tunnels.addLink(now, before, t.Name, l)
		}
		if len(t.Links) == 0 {
			tunnels.add(t.Name, ports(now.Status, t.Name), "-", "-", "", t.Configured.Latency.String(),
				t.Configured.Jitter.String(), t.Configured.Loss.String(), t.Configured.Rate.String(),
				"", "", "", "", "")
		}
	}
	if err := tunnels.write(w); err != nil {
		return err
	}
	if err := writeSites(w, now); err != nil {
		return err
	}
	return writeRemarks(w, now)
}

func (t *table) addLink(now, before *sample, tunnel string, l LinkStatus) {
	match := func(f Flow) bool { return f.Tunnel == tunnel && f.From == l.From && f.To == l.To }
	sum := now.Counters.Sum(match)
	t.add(tunnel, ports(now.Status, tunnel), l.From, l.To, string(l.State), l.Latency.String(), l.Jitter.String(), l.Loss.String(), l.Rate.String(),
		strconv.FormatUint(sum.Packets, 10), packetRate(now, before, match), byteCount(sum.Bytes),
		strconv.FormatUint(sum.Connections, 10), dropCount(sum.Dropped))
}

// ports returns the ports whose packets take a tunnel.
func ports(st Status, tunnel string) string {
	var all []string
	for port, t := range st.Classes {
		if t == tunnel {
			all = append(all, strconv.Itoa(int(port)))
		}
	}
	slices.Sort(all)
	if tunnel == st.Default {
		all = append(all, "all others")
	}
	return orDash(strings.Join(all, ", "))
}

func writeSites(w io.Writer, now *sample) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	if len(now.Sites) == 0 {
		_, err := fmt.Fprintln(w, "No sites: the SD-WAN joins nothing yet.")
		return err
	}
	sites := table{header: []string{"SITE", "REACHES", "DEVICE", "STATE"}}
	for _, s := range now.Sites {
		var cidrs []string
		for _, p := range s.PodCIDRs {
			cidrs = append(cidrs, p.String())
		}
		state := "attached"
		if !s.Attached {
			state = "down: " + s.Error
		}
		sites.add(s.Name, strings.Join(cidrs, ", "), s.Device, state)
	}
	return sites.write(w)
}

// writeRemarks writes what is counted but belongs to no tunnel, and how long has been counted.
func writeRemarks(w io.Writer, now *sample) error {
	var remarks []string
	for _, f := range now.Counters.Flows {
		if f.Dropped.NoRoute > 0 {
			remarks = append(remarks, fmt.Sprintf("No route for %s from %s (%s) to %s: no site reaches that address.",
				packets(f.Dropped.NoRoute), f.Source, f.From, f.Destination))
		}
	}
	for _, s := range now.Sites {
		if s.Malformed > 0 {
			remarks = append(remarks, fmt.Sprintf("Ignored %s from %s: not IP, or cut short.", packets(s.Malformed), s.Name))
		}
		if s.WriteErrors > 0 {
			remarks = append(remarks, fmt.Sprintf("Lost %s at %s of %s, which did not take them: is the device up?", packets(s.WriteErrors), s.Device, s.Name))
		}
	}
	remarks = append(remarks, since(now))
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(remarks, "\n"))
	return err
}

// writeLinks writes the settings of a tunnel, or of all, between the given sites.
func writeLinks(w io.Writer, st Status, tunnel, from, to string) error {
	t := table{header: []string{"TUNNEL", "FROM", "TO", "STATE", "LATENCY", "JITTER", "LOSS", "RATE", "QUEUE"}}
	for _, s := range st.Tunnels {
		for _, l := range s.Links {
			if (tunnel == Wildcard || tunnel == s.Name) && (from == Wildcard || from == l.From) && (to == Wildcard || to == l.To) {
				t.add(s.Name, l.From, l.To, string(l.State), l.Latency.String(), l.Jitter.String(), l.Loss.String(), l.Rate.String(), l.Queue.String())
			}
		}
	}
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(w, "set for sites to come: fewer than two are joined yet")
		return err
	}
	return t.write(w)
}

// writeCounters writes flows, added up by mask; the busiest first within a tunnel would move while one looks, so the order is theirs.
func writeCounters(w io.Writer, now, before *sample, mask func(Flow) Flow) error {
	t := table{header: []string{"TUNNEL", "FROM", "TO", "SOURCE", "DESTINATION", "PORT", "PACKETS", "PACKETS/S", "BYTES", "CONNS", "DROPPED"}}
	grouped := now.Counters.By(mask)
	for _, f := range grouped.Flows {
		port := "-"
		if f.Port != 0 {
			port = strconv.Itoa(int(f.Port))
		}
		match := func(g Flow) bool { return mask(g.id()).id() == f.id() }
		t.add(orDash(f.Tunnel), f.From, f.To, f.Source, f.Destination, port, strconv.FormatUint(f.Packets, 10), packetRate(now, before, match),
			byteCount(f.Bytes), strconv.FormatUint(f.Connections, 10), dropCount(f.Dropped))
	}
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(w, "Nothing has been counted yet.\n"+since(now))
		return err
	}
	if err := t.write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", since(now))
	return err
}
