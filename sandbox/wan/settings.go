// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// State is what a tunnel does with packets in one direction.
type State string

const (
	// Up forwards packets, impaired as the other settings say.
	Up State = "up"
	// Refused answers TCP with a reset and other IP with ICMP "administratively prohibited", at once and from the sender's
	// edge of the SD-WAN.
	Refused State = "refused"
	// Blackhole drops packets silently.
	Blackhole State = "blackhole"
)

// Bounds of settings. They exist so that a typing error cannot hold packets, and with them memory, for hours.
const (
	maxDelay = Duration(time.Minute)
	minRate  = 8 * Kbit
	minQueue = Duration(time.Millisecond)
)

// DefaultQueue is how long packets may wait for a tunnel's rate before the tunnel drops what comes.
const DefaultQueue = Duration(200 * time.Millisecond)

// Settings say how a tunnel treats packets in one direction, from one site to another.
type Settings struct {
	// Latency is the one-way delay; the round trip over a tunnel with equal settings both ways takes twice as long.
	Latency Duration `json:"latency"`
	// Jitter is the most that is added to Latency. What is added moves between 0 and Jitter, on average half of it, and
	// never so fast that packets would overtake each other.
	Jitter Duration `json:"jitter"`
	// Loss is the probability with which each packet is dropped, independently of all others.
	Loss Probability `json:"loss"`
	// Rate limits IP bits a second; 0 is no limit.
	Rate Rate `json:"rate"`
	// Queue is the longest time that a packet may wait for Rate; what would wait longer is dropped. 0 stands for DefaultQueue.
	Queue Duration `json:"queue"`
	// State is Up when empty.
	State State `json:"state"`
}

// withDefaults returns s with its empty fields filled in.
func (s Settings) withDefaults() Settings {
	if s.State == "" {
		s.State = Up
	}
	if s.Queue == 0 {
		s.Queue = DefaultQueue
	}
	return s
}

// Validate returns an error that names the first field that cannot be and what it may be.
func (s Settings) Validate() error {
	s = s.withDefaults()
	if s.Latency < 0 || s.Latency > maxDelay {
		return fmt.Errorf("latency: %v is not possible; give a one-way delay from 0s to %v", s.Latency, maxDelay)
	}
	if s.Jitter < 0 || s.Jitter > maxDelay {
		return fmt.Errorf("jitter: %v is not possible; give a time from 0s to %v", s.Jitter, maxDelay)
	}
	if !(s.Loss >= 0 && s.Loss <= 1) { // written so that NaN is refused
		return fmt.Errorf("loss: %v is not possible; give a percentage from 0%% to 100%%", s.Loss)
	}
	if s.Rate != 0 && s.Rate < minRate {
		return fmt.Errorf("rate: %v is too slow; give at least %v, or unlimited", s.Rate, minRate)
	}
	if s.Queue < minQueue || s.Queue > maxDelay {
		return fmt.Errorf("queue: %v is not possible; give a waiting time from %v to %v", s.Queue, minQueue, maxDelay)
	}
	switch s.State {
	case Up, Refused, Blackhole:
		return nil
	}
	return fmt.Errorf("state: %q is not known; give %s, %s or %s", string(s.State), Up, Refused, Blackhole)
}

// Patch changes the settings that it names and leaves the others, those that are nil, as they are.
type Patch struct {
	Latency *Duration    `json:"latency,omitempty"`
	Jitter  *Duration    `json:"jitter,omitempty"`
	Loss    *Probability `json:"loss,omitempty"`
	Rate    *Rate        `json:"rate,omitempty"`
	Queue   *Duration    `json:"queue,omitempty"`
	State   *State       `json:"state,omitempty"`
}

// Apply returns s as changed by p.
func (p Patch) Apply(s Settings) Settings {
	assign(&s.Latency, p.Latency)
	assign(&s.Jitter, p.Jitter)
	assign(&s.Loss, p.Loss)
	assign(&s.Rate, p.Rate)
	assign(&s.Queue, p.Queue)
	assign(&s.State, p.State)
	return s
}

// UnmarshalJSON reads p such that errors name the field, also an unknown one.
func (p *Patch) UnmarshalJSON(b []byte) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(b, &given); err != nil {
		return fmt.Errorf("settings: %w; give an object such as {\"latency\": \"20ms\"}", err)
	}
	fields := map[string]any{
		"latency": &p.Latency, "jitter": &p.Jitter, "loss": &p.Loss, "rate": &p.Rate, "queue": &p.Queue, "state": &p.State,
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field, known := fields[name]
		if !known {
			return fmt.Errorf("settings: there is no %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if err := json.Unmarshal(given[name], field); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Empty says whether p changes nothing.
func (p Patch) Empty() bool { return p == Patch{} }

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
