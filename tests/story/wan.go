// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
)

// WAN is the sandbox's SD-WAN, seen through its command: `mcwan-sandbox wan`.
type WAN struct {
	// Command is the sandbox's command with its flags, without "wan".
	Command []string
}

// Flow is what one tunnel was given to carry between two addresses. Packets, Bytes and Connections were forwarded.
type Flow struct {
	Tunnel      string `json:"tunnel"`
	From        string `json:"from"` // and To: clusters
	To          string `json:"to"`
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Port        int    `json:"port"`
	Packets     uint64 `json:"packets"`
	Bytes       uint64 `json:"bytes"`
	Connections uint64 `json:"connections"`
	Dropped     Drops  `json:"dropped"`
}

// Drops are packets that a tunnel did not forward, by reason.
type Drops struct {
	Loss      uint64 `json:"loss"`
	Queue     uint64 `json:"queue"`
	Blackhole uint64 `json:"blackhole"`
	Refused   uint64 `json:"refused"`
	SiteDown  uint64 `json:"siteDown"`
	NoRoute   uint64 `json:"noRoute"`
}

func (d Drops) total() uint64 {
	return d.Loss + d.Queue + d.Blackhole + d.Refused + d.SiteDown + d.NoRoute
}

func (d Drops) since(o Drops) Drops {
	return Drops{
		Loss: d.Loss - o.Loss, Queue: d.Queue - o.Queue, Blackhole: d.Blackhole - o.Blackhole,
		Refused: d.Refused - o.Refused, SiteDown: d.SiteDown - o.SiteDown, NoRoute: d.NoRoute - o.NoRoute,
	}
}

func (f Flow) key() Flow {
	f.Packets, f.Bytes, f.Connections, f.Dropped = 0, 0, 0, Drops{}
	return f
}

// Counters are the SD-WAN's counters at a moment.
type Counters []Flow

// Since returns what was forwarded and dropped after before was taken.
func (c Counters) Since(before Counters) Counters {
	old := map[Flow]Flow{}
	for _, f := range before {
		old[f.key()] = f
	}
	var d Counters
	for _, f := range c {
		o := old[f.key()]
		f.Packets, f.Bytes, f.Connections = f.Packets-o.Packets, f.Bytes-o.Bytes, f.Connections-o.Connections
		f.Dropped = f.Dropped.since(o.Dropped)
		d = append(d, f)
	}
	return d
}

// Set changes settings of a tunnel, "*" for all, by the flags of `mcwan-sandbox wan set`.
func (w *WAN) Set(ctx context.Context, tunnel string, flags ...string) error {
	_, err := w.run(ctx, append([]string{"set", tunnel}, flags...)...)
	return err
}

// SetState puts a tunnel up, refused or blackhole, in both directions.
func (w *WAN) SetState(ctx context.Context, tunnel, state string) error {
	_, err := w.run(ctx, "set", tunnel, "--state", state)
	return err
}

// SetLatency changes the one-way delay of a tunnel, in both directions.
func (w *WAN) SetLatency(ctx context.Context, tunnel, latency string) error {
	_, err := w.run(ctx, "set", tunnel, "--latency", latency)
	return err
}

// Heal puts every tunnel back to what it was at start.
func (w *WAN) Heal(ctx context.Context) error {
	_, err := w.run(ctx, "heal")
	return err
}

// Stop turns the SD-WAN off, Start turns it on again with every tunnel as it was at start.
func (w *WAN) Stop(ctx context.Context) error {
	_, err := w.run(ctx, "stop")
	return err
}

// Start turns the SD-WAN on; one that is on stays so.
func (w *WAN) Start(ctx context.Context) error {
	_, err := w.run(ctx, "start")
	return err
}

// Counters reads what was forwarded and dropped so far.
func (w *WAN) Counters(ctx context.Context) (Counters, error) {
	out, err := w.run(ctx, "counters", "-o", "json")
	if err != nil {
		return nil, err
	}
	var v struct {
		Flows Counters `json:"flows"`
	}
	if err := json.Unmarshal(out, &v); err != nil {
		return nil, fmt.Errorf("the SD-WAN's counters: %w", err)
	}
	return v.Flows, nil
}

func (w *WAN) run(ctx context.Context, args ...string) ([]byte, error) {
	argv := append(append([]string{}, w.Command...), append([]string{"wan"}, args...)...)
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("%v: %w: %s", argv, err, oneLine(string(exit.Stderr)))
		}
		return nil, fmt.Errorf("%v: %w", argv, err)
	}
	return out, nil
}
