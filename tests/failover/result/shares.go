// SPDX-License-Identifier: Apache-2.0

package result

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// NoTunnel is the tunnel of what the calling cluster answers itself.
const NoTunnel = "none"

// Few is the share of requests up to which a tunnel is not worth a word.
const Few = 0.05

// Shares are how many requests went over each tunnel, and how many each cluster answered. Clusters share the requests, so
// that which of them answers most is chance; their shares are not.
type Shares struct {
	// Tunnels are counted by name, "" for what is not known.
	Tunnels  map[string]int `json:"tunnels,omitempty"`
	Clusters map[string]int `json:"clusters,omitempty"`
}

// sharesOf counts the requests that were sent in a time and did not fail.
func sharesOf(requests []Request, from, to time.Duration) Shares {
	s := Shares{Tunnels: map[string]int{}, Clusters: map[string]int{}}
	for _, r := range requests {
		if r.Err == "" && r.Sent >= from && r.Sent < to {
			s.Tunnels[r.Tunnel]++
			s.Clusters[r.Cluster]++
		}
	}
	return s
}

// Tunnel is the share of the requests that went over a tunnel, of 1.
func (s Shares) Tunnel(name string) float64 { return share(s.Tunnels, name) }

// Cluster is the share of the requests that a cluster answered, of 1.
func (s Shares) Cluster(name string) float64 { return share(s.Clusters, name) }

func share(counts map[string]int, name string) float64 {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	if sum == 0 {
		return 0
	}
	return float64(counts[name]) / float64(sum)
}

// String is the shares in a table: "business; cluster-2 51 %, cluster-3 49 %". A tunnel with few requests is left out, and
// one that is left alone has no number. Every cluster that answered has one.
func (s Shares) String() string {
	if len(s.Clusters) == 0 {
		return "no answers"
	}
	tunnels := slices.SortedFunc(maps.Keys(s.Tunnels), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Tunnels[b], s.Tunnels[a]), cmp.Compare(a, b))
	})
	var over, by []string
	for _, name := range tunnels {
		if s.Tunnel(name) > Few {
			over = append(over, TunnelName(name)+" "+percent(s.Tunnel(name)))
		}
	}
	if len(over) == 1 {
		over[0] = TunnelName(tunnels[0])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Clusters)) {
		by = append(by, name+" "+percent(s.Cluster(name)))
	}
	return strings.Join(over, ", ") + "; " + strings.Join(by, ", ")
}

// TunnelName is a request's tunnel for people.
func TunnelName(tunnel string) string { return cmp.Or(tunnel, "unknown") }

func percent(share float64) string {
	if share < 0.005 {
		return "<1 %"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}
