// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
)

// wan runs the command against f and returns what it prints.
func (f *fabric) wan(t *testing.T, c *Client, args ...string) (string, error) {
	t.Helper()
	cmd := NewCommand(func() (string, error) { return c.socket, nil })
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	cmd.SilenceUsage = true
	err := cmd.ExecuteContext(t.Context())
	t.Logf("wan %s\n%s", strings.Join(args, " "), out.String())
	return out.String(), err
}

// squeeze makes tables comparable whatever their column widths, and takes times out.
func squeeze(s string) string {
	s = regexp.MustCompile(`Counted since .*`).ReplaceAllString(s, "Counted.")
	return strings.TrimSpace(regexp.MustCompile(`(?m) {2,}|[ ]+$`).ReplaceAllString(s, " | "))
}

func TestCommandTables(t *testing.T) {
	f := newFabric(t, twoSites(), "a")
	c := f.client(t)
	f.plug("b")
	eventually(t, "b is attached", func() bool { return f.status().Sites[1].Attached })
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, packet.FlagSYN)
	receive(t, f.pipe("b"))
	out, err := f.wan(t, c, "set", "lte", "--from", "b", "--to", "a", "--latency=80ms", "--loss=2.5%", "--rate=10mbit", "--state=blackhole")
	if want := "TUNNEL | FROM | TO | STATE | LATENCY | JITTER | LOSS | RATE | QUEUE\n" +
		"lte | b | a | blackhole | 80ms | 0s | 2.5% | 10mbit | 200ms"; err != nil || squeeze(out) != want {
		t.Errorf("set: error %v, got\n%s\nwant\n%s", err, squeeze(out), want)
	}
	f.pipe("a").in <- tcp(podA, podB.Next(), 31112, 40000, 0)
	receive(t, f.pipe("b"))
	out, err = f.wan(t, c)
	want := `TUNNEL | PORTS | FROM | TO | STATE | LATENCY | JITTER | LOSS | RATE | PACKETS | BYTES | CONNS | DROPPED
business | 31111 | a | b | up | 0s | 0s | 0% | unlimited | 1 | 40B | 1 | 0
business | 31111 | b | a | up | 0s | 0s | 0% | unlimited | 0 | 0B | 0 | 0
lte | 31112 | a | b | up | 0s | 0s | 0% | unlimited | 1 | 40B | 0 | 0
lte | 31112 | b | a | blackhole | 80ms | 0s | 2.5% | 10mbit | 0 | 0B | 0 | 0
internet | all others | a | b | up | 0s | 0s | 0% | unlimited | 0 | 0B | 0 | 0
internet | all others | b | a | up | 0s | 0s | 0% | unlimited | 0 | 0B | 0 | 0

SITE | REACHES | DEVICE | STATE
a | 10.11.0.0/24, fd00:11::/64 | a | attached
b | 10.12.0.0/24, fd00:12::/64 | b | attached

Counted.`
	if err != nil || squeeze(out) != want {
		t.Errorf("error %v, got\n%s\nwant\n%s", err, squeeze(out), want)
	}
	out, err = f.wan(t, c, "counters")
	want = `TUNNEL | FROM | TO | SOURCE | DESTINATION | PORT | PACKETS | BYTES | CONNS | DROPPED
business | a | b | 10.11.0.5 | 10.12.0.7 | 31111 | 1 | 40B | 1 | 0
lte | a | b | 10.11.0.5 | 10.12.0.8 | 31112 | 1 | 40B | 0 | 0

Counted.`
	if err != nil || squeeze(out) != want {
		t.Errorf("counters: error %v, got\n%s\nwant\n%s", err, squeeze(out), want)
	}
}

func TestCommandShowsWhatIsWrong(t *testing.T) {
	f := newFabric(t, twoSites(), "a")
	c := f.client(t)
	f.pipe("a").in <- tcp(podA, siteC().PodCIDRs[0].Addr(), 40000, 31111, 0)
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, 0)
	eventually(t, "both are counted", func() bool { return len(f.counters().Flows) == 2 })
	out, err := f.wan(t, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"down: " + errNoDevice.Error(), "1 site down",
		"No route for 1 packet from 10.11.0.5 (a) to 10.13.0.0: no site reaches that address."} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestCommandData(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	c := f.client(t)
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, packet.FlagSYN)
	receive(t, f.pipe("b"))
	for format, read := range map[string]func([]byte, any) error{
		"json": json.Unmarshal,
		"yaml": func(b []byte, v any) error { return yaml.UnmarshalStrict(b, v) },
	} {
		out, err := f.wan(t, c, "-o", format)
		var st Status
		if err != nil || read([]byte(out), &st) != nil {
			t.Fatalf("-o %s: error %v, output\n%s", format, err, out)
		}
		if st.Default != "internet" || st.Classes[31111] != "business" || st.Counters.Flows[0].Connections != 1 {
			t.Errorf("-o %s read back: %+v", format, st)
		}
		out, err = f.wan(t, c, "counters", "--by", "source", "-o", format)
		var counters Counters
		if err != nil || read([]byte(out), &counters) != nil || counters.Flows[0].Source != "10.11.0.5" || counters.Flows[0].Destination != "" {
			t.Errorf("counters by source -o %s: error %v, output\n%s", format, err, out)
		}
	}
}

func TestCommandChanges(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	c := f.client(t)
	if _, err := f.wan(t, c, "set", "business", "--state", "refused"); err != nil {
		t.Fatal(err)
	}
	if got := f.status().Tunnels[0].Links[1].State; got != Refused {
		t.Errorf("after set: %s", got)
	}
	if out, err := f.wan(t, c, "heal"); err != nil || out != "all tunnels are as configured, and up\n" {
		t.Errorf("heal: error %v, output %s", err, out)
	}
	if got := f.status().Tunnels[0].Links[1].State; got != Up {
		t.Errorf("after heal: %s", got)
	}
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, packet.FlagSYN)
	receive(t, f.pipe("b"))
	if _, err := f.wan(t, c, "reset-counters"); err != nil {
		t.Error(err)
	}
	if got := f.counters(); len(got.Flows) != 0 {
		t.Errorf("after reset-counters: %+v", got)
	}
	if out, err := f.wan(t, c, "counters"); err != nil || !strings.HasPrefix(out, "Nothing has been counted yet.\n") {
		t.Errorf("counters of nothing: error %v, output %s", err, out)
	}
}

func TestCommandRefusals(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	c := f.client(t)
	for want, args := range map[string][]string{
		`invalid argument "1" for "--loss" flag: "1" is not a percentage`:  {"set", "lte", "--loss", "1"},
		"nothing to set; give at least one of --latency":                   {"set", "lte", "--from", "a"},
		`state: "dead" is not known; give up, refused or blackhole`:        {"set", "lte", "--state", "dead"},
		`there is no "mpls"; there are business, lte, internet`:            {"set", "mpls", "--state", "up"},
		`from: not found: there is no site "z"; there are a, b`:            {"set", "lte", "--from", "z", "--state", "up"},
		`--output: "xml" is not known; give json or yaml`:                  {"-o", "xml"},
		`--by: "color" is not known; give flow, source, destination or tu`: {"counters", "--by", "color"},
	} {
		if _, err := f.wan(t, c, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wan %v: error %v, want one with %s", args, err, want)
		}
	}
}

func TestCommandWatch(t *testing.T) {
	f := newFabric(t, twoSites(), "a", "b")
	c := f.client(t)
	f.pipe("a").in <- tcp(podA, podB, 40000, 31111, packet.FlagSYN)
	receive(t, f.pipe("b"))
	ctx, interrupt := context.WithCancel(t.Context())
	pictures := 0
	cmd := NewCommand(func() (string, error) { return c.socket, nil })
	cmd.SetOut(writerFunc(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("Counted since")) {
			if pictures++; pictures == 2 {
				interrupt()
			}
		}
		if pictures == 0 && bytes.Contains(b, []byte("PACKETS/S")) {
			t.Error("the first picture has rates already")
		}
		return len(b), nil
	}))
	cmd.SetArgs([]string{"--watch"})
	if err := cmd.ExecuteContext(ctx); err != nil || pictures != 2 {
		t.Errorf("%d pictures until interrupted, error %v, want 2 and none", pictures, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
