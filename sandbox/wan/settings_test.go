// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestUnitsReadWhatTheyWrite(t *testing.T) {
	for text, want := range map[string]Rate{
		"unlimited": 0, "0": 0, "10mbit": 10 * Mbit, "1.5Mbit": 1500 * Kbit, "64kbit": 64 * Kbit, "1gbit": Gbit, "8001bit": 8001,
	} {
		var r, again Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("rate %s: %d, error %v, want %d", text, r, err, want)
		}
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Errorf("rate %s: written as %s, which reads as %d, error %v", text, r, again, err)
		}
	}
	for text, want := range map[string]Probability{"0%": 0, "1%": 0.01, "2.5%": 0.025, "100%": 1, "7%": 0.07} {
		var p Probability
		if err := p.UnmarshalText([]byte(text)); err != nil || p != want || p.String() != text {
			t.Errorf("%s: %v, written as %s, error %v, want %v", text, float64(p), p, err, float64(want))
		}
	}
}

func TestPatchErrorsNameTheFieldAndTheFix(t *testing.T) {
	for body, want := range map[string]string{
		`{"loss":"1"}`:           `loss: "1" is not a percentage; write a number with a percent sign, such as 1%`,
		`{"latency":"20"}`:       `latency: "20" is not a duration; write a number with a unit, such as 20ms or 1.5s`,
		`{"rate":"fast"}`:        `rate: "fast" is not a rate; write a number with bit, kbit, mbit or gbit, such as 10mbit, or unlimited`,
		`{"rate":"9999999gbit"}`: `rate: "9999999gbit" is not a rate`,
		`{"delay":"20ms"}`:       `there is no "delay"; there are jitter, latency, loss, queue, rate, state`,
		`[]`:                     `give an object such as {"latency": "20ms"}`,
	} {
		var p Patch
		if err := json.Unmarshal([]byte(body), &p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", body, err, want)
		}
	}
}

func TestValidateNamesTheFieldAndTheFix(t *testing.T) {
	for want, s := range map[string]Settings{
		"latency: -1ms is not possible; give a one-way delay from 0s to 1m0s": {Latency: Duration(-time.Millisecond)},
		"jitter: 1h0m0s is not possible; give a time from 0s to 1m0s":         {Jitter: Duration(time.Hour)},
		"loss: 101% is not possible; give a percentage from 0% to 100%":       {Loss: 1.01},
		"rate: 7kbit is too slow; give at least 8kbit, or unlimited":          {Rate: 7 * Kbit},
		"queue: 1µs is not possible; give a waiting time from 1ms to 1m0s":    {Queue: Duration(time.Microsecond)},
		`state: "dead" is not known; give up, refused or blackhole`:           {State: "dead"},
	} {
		if err := s.Validate(); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if err := (Settings{}).Validate(); err != nil {
		t.Errorf("empty settings: %v", err)
	}
}
