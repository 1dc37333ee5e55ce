// SPDX-License-Identifier: Apache-2.0

package story

import (
	"slices"
	"strings"
	"testing"
)

func TestBetweenTakesTheGatewaysOnly(t *testing.T) {
	g := gateways{egress: []string{"10.64.1.5"}, ingress: []string{"10.64.2.4"}}
	got := g.between(Counters{
		{Tunnel: "business", Source: "10.64.1.5", Destination: "10.64.2.4", Port: 31111, Bytes: 100, Connections: 2, Dropped: Drops{Loss: 1, Refused: 2}},
		{Tunnel: "business", Source: "10.64.2.4", Destination: "10.64.1.5", Port: 31111, Bytes: 30},
		{Tunnel: "business", Source: "10.64.1.6", Destination: "10.64.2.4", Port: 31111, Bytes: 7},  // the controller's probes
		{Tunnel: "business", Source: "10.64.1.5", Destination: "10.64.3.4", Port: 31111, Bytes: 11}, // to another peer
		{Tunnel: "internet", Source: "10.64.1.4", Destination: "10.64.2.5", Port: 31110, Bytes: 13}, // the feed the other way
		{Tunnel: "internet", Source: "10.64.1.5", Destination: "10.64.2.4", Port: 31110, Bytes: 5},
	})
	if len(got) != 2 || got[wayHigh()] != (traffic{out: 100, back: 30, connections: 2, dropped: 3}) || got[Way{"internet", 31110}] != (traffic{out: 5}) {
		t.Errorf("got %+v", got)
	}
	if on, others := got.on("business"), got.others("business"); on != 130 || others != 5 {
		t.Errorf("business has %d bytes, the others %d", on, others)
	}
}

func TestOnlyOn(t *testing.T) {
	tenRequests := sent{n: 10, each: 1000}
	tenConnections := sent{n: 10, each: 1000, connections: true}
	for _, tc := range []struct {
		name string
		used usage
		what sent
		want string // part of the error
	}{
		{"all there", usage{wayHigh(): {out: 10000}}, tenRequests, ""},
		{"the feed beside it", usage{wayHigh(): {out: 10400}, {"internet", 31110}: {out: 999}}, tenRequests, ""},
		{"one request elsewhere", usage{wayHigh(): {out: 10400}, wayLow(): {out: 1000}}, tenRequests, "default (port 31112) carried 1000 bytes"},
		{"part of one lost elsewhere", usage{wayHigh(): {out: 10400, dropped: 5}, wayLow(): {dropped: 1}}, sent{n: 1, each: 10000}, ""},
		{"one request lost elsewhere", usage{wayHigh(): {out: 10400}, wayLow(): {dropped: 1}}, tenRequests, "default (port 31112) carried 0 bytes and dropped 1 packets"},
		{"one request missing", usage{wayHigh(): {out: 9400}}, tenRequests, "business (port 31111) carried 9400 bytes"},
		{"the tunnel by another port", usage{{"business", 31112}: {out: 10400}}, tenRequests, "business (port 31111) carried 0 bytes"},
		{"answers do not count as requests", usage{wayHigh(): {out: 9000, back: 9000}}, tenRequests, "carried 9000 bytes"},
		{"one connection missing", usage{wayHigh(): {out: 10400, connections: 9}}, tenConnections, "9 new connections"},
		{"every connection", usage{wayHigh(): {out: 10400, connections: 10}}, tenConnections, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.used.onlyOn(wayHigh(), tc.what)
			if tc.want == "" && err != nil {
				t.Errorf("%v", err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestUsageAsText(t *testing.T) {
	u := usage{wayLow(): {out: 12}, wayHigh(): {out: 3 << 10, back: 1536}, wayBackup(): {}}
	if got, want := u.String(), "business (port 31111) 3.0 KiB out, 1.5 KiB back; default (port 31112) 12 B out, 0 B back"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	u = usage{wayLow(): {dropped: 7}}
	if got, want := u.String(), "default (port 31112) 0 B out, 0 B back, 7 packets dropped"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := (usage{}).String(), "nothing on any tunnel"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSince(t *testing.T) {
	before := Counters{{Tunnel: "lte", Port: 31114, Packets: 5, Bytes: 500, Dropped: Drops{Loss: 1, Refused: 2}}}
	after := Counters{{Tunnel: "lte", Port: 31114, Packets: 8, Bytes: 900, Dropped: Drops{Loss: 1, Refused: 4, Blackhole: 3}}, {Tunnel: "default", Port: 31112, Bytes: 7}}
	want := Counters{{Tunnel: "lte", Port: 31114, Packets: 3, Bytes: 400, Dropped: Drops{Refused: 2, Blackhole: 3}}, {Tunnel: "default", Port: 31112, Bytes: 7}}
	if got := after.Since(before); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
