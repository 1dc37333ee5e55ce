// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
	"github.com/l7mp/mc-wan/sandbox/wan/internal/packettest"
)

// TestClassification sends one packet each and reads from the counters which tunnel took it.
func TestClassification(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	udp := []byte{0x9c, 0x40, 0x79, 0x87, 0, 8, 0, 0} // to port 31111
	for name, c := range map[string]struct {
		packet []byte
		tunnel string
		port   uint16
	}{
		"destination port":              {tcp(podA, podB, 40000, 31111, 0), "business", 31111},
		"source port":                   {tcp(podA, podB, 31112, 40000, 0), "lte", 31112},
		"both ports: destination rules": {tcp(podA, podB, 31112, 31111, 0), "business", 31111},
		"IPv6":                          {tcp(podA6, podB6, 40000, 31111, 0), "business", 31111},
		"no class":                      {tcp(podA, podB, 40000, 443, 0), "internet", 0},
		"UDP to a class's port":         {packettest.IP(podA, podB, 17, udp), "internet", 0},
		"ICMP":                          {packettest.IP(podA, podB, 1, []byte{8, 0, 0, 0}), "internet", 0},
	} {
		before := f.counters()
		f.pipe("a").in <- c.packet
		receive(t, f.pipe("b"))
		got := f.counters().Since(before)
		if len(got.Flows) != 1 || got.Flows[0].Tunnel != c.tunnel || got.Flows[0].Port != c.port {
			t.Errorf("%s: counted %+v, want one packet on %s by port %d", name, got.Flows, c.tunnel, c.port)
		}
	}
}

func TestFragmentsStayTogether(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	whole := packettest.TCP{Src: podA, Dst: podB, SrcPort: 40000, DstPort: 31111, Payload: make([]byte, 100)}.Bytes()
	head, tail := packettest.Fragment4(whole, 7, 40)
	f.pipe("a").in <- head
	f.pipe("a").in <- tail
	receive(t, f.pipe("b"))
	receive(t, f.pipe("b"))
	if got := f.counters().Sum(onTunnel("business")).Packets; got != 2 {
		t.Errorf("%d of 2 fragments took the tunnel of the packet's port", got)
	}
}

func onTunnel(name string) func(Flow) bool { return func(f Flow) bool { return f.Tunnel == name } }

func TestCountersNameTheWay(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, packet.FlagSYN)
	receive(t, f.pipe("b"))
	f.pipe("b").in <- tcp(podB, podA, 31111, 40000, packet.FlagSYN|packet.FlagACK)
	receive(t, f.pipe("a"))
	want := Counters{Flows: []Flow{
		{Tunnel: "business", From: "a", To: "b", Source: "10.11.0.5", Destination: "10.12.0.7", Port: 31111,
			Tally: Tally{Packets: 1, Bytes: 40, Connections: 1}},
		{Tunnel: "business", From: "b", To: "a", Source: "10.12.0.7", Destination: "10.11.0.5", Port: 31111,
			Tally: Tally{Packets: 1, Bytes: 40}},
	}}
	if d := cmp.Diff(want, f.counters()); d != "" {
		t.Errorf("counters (-want +got):\n%s", d)
	}
	f.resetCounters()
	if got := f.counters(); len(got.Flows) != 0 {
		t.Errorf("after a reset: %+v", got)
	}
}

func TestRefusedAnswersTheSender(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	if err := f.set("business", "a", "b", Patch{State: new(Refused)}); err != nil {
		t.Fatal(err)
	}
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, packet.FlagSYN)
	h := receive(t, f.pipe("a"))
	if h.Src != podB || h.SrcPort != 31111 || h.DstPort != 40000 || h.Flags != packet.FlagRST|packet.FlagACK {
		t.Errorf("the sender got flags %#x from %v:%d", h.Flags, h.Src, h.SrcPort)
	}
	f.pipe("b").in <- tcp(podB, podA, 31111, 40000, packet.FlagACK)
	if h := receive(t, f.pipe("a")); h.Flags != packet.FlagACK {
		t.Errorf("the other direction, which is up, passed flags %#x, want what was sent", h.Flags)
	}
	if got := f.counters().Sum(onTunnel("business")); got.Dropped.Refused != 1 || got.Connections != 0 || got.Packets != 1 {
		t.Errorf("counted %+v, want one refused and one forwarded packet and no connection", got)
	}
}

// TestRefusedEndsOpenConnections: both ends of an open connection are told, by the numbers that each of them expects, also of
// what was under way when the tunnel began to refuse.
func TestRefusedEndsOpenConnections(t *testing.T) {
	segment := packettest.TCP{Src: podA, Dst: podB, SrcPort: 40000, DstPort: 31111, Seq: 1000, Ack: 2000, Flags: packet.FlagACK, Payload: make([]byte, 100)}.Bytes()
	for name, underWay := range map[string]bool{"sent into it": false, "under way": true} {
		t.Run(name, func(t *testing.T) {
			cfg := twoSites()
			for i := range cfg.Tunnels {
				cfg.Tunnels[i].Latency = maxDelay
			}
			f := newFabric(t, cfg, "a", "b")
			refuse := func() {
				if err := f.set("business", "a", "b", Patch{State: new(Refused)}); err != nil {
					t.Fatal(err)
				}
			}
			if !underWay {
				refuse()
			}
			f.pipe("a").in <- segment
			if underWay {
				eventually(t, "the packet is under way", func() bool {
					return slices.ContainsFunc(f.status().Tunnels[0].Links, func(l LinkStatus) bool { return l.Held == 1 })
				})
				refuse()
			}
			if h, seq := receiveSegment(t, f.pipe("b")); h.Src != podA || h.DstPort != 31111 || h.Flags != packet.FlagRST|packet.FlagACK || seq != 1000 {
				t.Errorf("the receiver got flags %#x, number %d from %v", h.Flags, seq, h.Src)
			}
			if h, seq := receiveSegment(t, f.pipe("a")); h.Src != podB || h.SrcPort != 31111 || h.Flags != packet.FlagRST || seq != 2000 {
				t.Errorf("the sender got flags %#x, number %d from %v", h.Flags, seq, h.Src)
			}
			if got := f.counters().Sum(onTunnel("business")); got.Dropped.Refused != 1 || got.Packets != 0 {
				t.Errorf("counted %+v, want one refused packet", got)
			}
		})
	}
}

// receiveSegment is receive with the sequence number of a TCP segment without options.
func receiveSegment(t *testing.T, p *pipe) (packet.Header, uint32) {
	t.Helper()
	h, b := receiveData(t, p)
	return h, binary.BigEndian.Uint32(b[len(b)-16:])
}

func TestWhatHasNoRouteIsCounted(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	for _, dst := range []string{"10.99.0.1", "10.11.0.9"} { // nowhere, and the site that it comes from
		f.pipe("a").in <- tcp(podA, netip.MustParseAddr(dst), 40000, 31111, packet.FlagSYN)
	}
	f.pipe("a").in <- packettest.IP(podA6, netip.MustParseAddr("ff02::2"), packet.ProtoICMPv6, []byte{133, 0, 0, 0})
	f.pipe("a").in <- []byte{0}
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, 0)
	receive(t, f.pipe("b")) // all before it have been looked at
	noRoute := f.counters().By(func(f Flow) Flow { return Flow{From: f.From, Tunnel: f.Tunnel} }).Sum(onTunnel(""))
	if noRoute != (Tally{Dropped: Drops{NoRoute: 2}}) {
		t.Errorf("counted %+v, want two packets without a route and no multicast", noRoute)
	}
	if got := f.status().Sites[0].Malformed; got != 1 {
		t.Errorf("%d malformed packets, want 1", got)
	}
}

func TestFlowsAreBounded(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	v := f.sites["a"].view.Load()
	go f.pipe("b").discard()
	const sent = maxFlows + 1000
	for i := range sent {
		h := packet.Header{Src: netip.AddrFrom4([4]byte{10, 11, byte(i >> 8), byte(i)}), Dst: podB, DstPort: 31111}
		v.forward(f.clock(), &h, []byte{0})
	}
	eventually(t, "all packets counted", func() bool { return f.counters().Sum(onTunnel("business")).Packets == sent })
	c := f.counters()
	other := c.Sum(func(f Flow) bool { return f.Source == OtherAddress })
	if len(c.Flows) != maxFlows+1 || other.Packets != sent-maxFlows {
		t.Errorf("%d flows, %d packets of others, want %d and %d", len(c.Flows), other.Packets, maxFlows+1, sent-maxFlows)
	}
	f.resetCounters()
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, 0)
	eventually(t, "a flow of its own after the reset", func() bool {
		return f.counters().Sum(func(f Flow) bool { return f.Source == podA.String() }).Packets == 1
	})
}

func TestAResetKeepsWhatIsUnderWay(t *testing.T) {
	b := newBench(Settings{Latency: Duration(ms(20))})
	b.send("x")
	b.run(ms(10))
	b.exit.resetCounters()
	b.run(ms(100))
	if got := b.tally(); got.Packets != 1 {
		t.Errorf("%d packets counted after the reset, want the one that arrived after it", got.Packets)
	}
}
