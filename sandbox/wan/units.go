// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that reads and writes itself as text, such as 20ms.
type Duration time.Duration

// String returns d in Go's notation.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration; write a number with a unit, such as 20ms or 1.5s", text)
	}
	*d = Duration(v)
	return nil
}

// Probability is a number from 0 to 1. Its text is a percentage, such as 2.5%.
type Probability float64

// String returns p as a percentage.
func (p Probability) String() string {
	return strconv.FormatFloat(float64(p)*100, 'g', 6, 64) + "%"
}

// MarshalText implements encoding.TextMarshaler.
func (p Probability) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. The percent sign is required, for 1 could mean all or one in a hundred.
func (p *Probability) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	v, err := strconv.ParseFloat(number, 64)
	if !percent || err != nil || math.IsNaN(v) {
		return fmt.Errorf("%q is not a percentage; write a number with a percent sign, such as 1%%", text)
	}
	*p = Probability(v / 100)
	return nil
}

// Rate is a number of bits a second; 0 means unlimited.
type Rate uint64

// Units of Rate.
const (
	Bit  Rate = 1
	Kbit      = 1000 * Bit
	Mbit      = 1000 * Kbit
	Gbit      = 1000 * Mbit
)

const unlimited = "unlimited"

// rateUnits are the suffixes of a Rate's text, longest first where one ends with another.
func rateUnits() []rateUnit {
	return []rateUnit{{"gbit", Gbit}, {"mbit", Mbit}, {"kbit", Kbit}, {"bit", Bit}}
}

type rateUnit struct {
	name string
	size Rate
}

// String returns r in the largest unit that keeps it whole.
func (r Rate) String() string {
	if r == 0 {
		return unlimited
	}
	for _, u := range rateUnits() {
		if r%u.size == 0 {
			return strconv.FormatUint(uint64(r/u.size), 10) + u.name
		}
	}
	return strconv.FormatUint(uint64(r), 10) + "bit"
}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) error {
	s := strings.ToLower(string(text))
	if s == unlimited || s == "0" {
		*r = 0
		return nil
	}
	for _, u := range rateUnits() {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || v < 0 || v*float64(u.size) > float64(1000*Gbit) {
			break
		}
		*r = Rate(v * float64(u.size))
		return nil
	}
	return fmt.Errorf("%q is not a rate; write a number with bit, kbit, mbit or gbit, such as 10mbit, or %s", text, unlimited)
}
