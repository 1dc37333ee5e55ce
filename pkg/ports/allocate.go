// SPDX-License-Identifier: Apache-2.0

package ports

import (
	"fmt"
	"slices"
)

// Allocate gives the key n ports outside avoid. A key that has ports keeps them: it gets more or fewer only if n differs,
// and another one for each that is in avoid now. On error the table is unchanged; ErrExhausted says that nothing is left.
func (t Table) Allocate(key Key, n int, avoid Set) (Table, []int32, error) {
	if n < 1 {
		return t, nil, fmt.Errorf("%d ports wanted for %s: it must be at least one; use Release to give them back", n, key)
	}
	if err := key.validate(); err != nil {
		return t, nil, err
	}
	have := t.get(key)
	got, back := keep(have, n, avoid)
	if len(got) == n && len(back) == 0 && !slices.Contains(got, 0) {
		return t, got, nil
	}
	got = append(got, make([]int32, n-len(got))...)
	free, short := take(t.free, got, avoid)
	if short > 0 {
		return t, nil, t.exhausted(key, n, short)
	}
	if len(back) > 0 {
		free = slices.Concat(free, back)
	}
	out := t.with(key, got, free)
	if size := out.encodedSize(); size > maxEncoded && len(have) == 0 {
		return t, nil, fmt.Errorf("%w: the table of ports has no room for %s, it would take %d of %d bytes; %s", ErrExhausted, key, size, maxEncoded, advice)
	}
	return out, slices.Clone(got), nil
}

// advice is what an operator can do about too many legs.
const advice = "remove exports that nobody needs, or limit what peers may bring by Peer.spec.namespaces"

func (t Table) exhausted(key Key, n, short int) error {
	return fmt.Errorf("%w: %s needs %d, and of %d ports %d are free but %d too few of them are not its own service ports; %s",
		ErrExhausted, key, n, Total(), len(t.free), short, advice)
}

// keep says which of the first n ports stay, 0 for those that are in avoid now, and which ports come back.
func keep(have []int32, n int, avoid Set) (got, back []int32) {
	for i, p := range have {
		switch {
		case i >= n:
			back = append(back, p)
		case avoid.Has(p):
			got, back = append(got, 0), append(back, p)
		default:
			got = append(got, p)
		}
	}
	return got, back
}

// take fills the zeros of got from the head of the queue, past what is in avoid, and returns the rest of the queue and how
// many ports are missing. The queue itself is left as it was.
func take(queue, got []int32, avoid Set) (rest []int32, short int) {
	var skipped []int32
	next := 0
	for i := range got {
		for ; got[i] == 0 && next < len(queue); next++ {
			if avoid.Has(queue[next]) {
				skipped = append(skipped, queue[next])
				continue
			}
			got[i] = queue[next]
		}
		if got[i] == 0 {
			short++
		}
	}
	if len(skipped) == 0 {
		return queue[next:], short
	}
	return slices.Concat(skipped, queue[next:]), short
}

// Release takes the key's ports back. A freed port is not given out again until every other free one has been.
func (t Table) Release(key Key) Table {
	have := t.get(key)
	if len(have) == 0 {
		return t
	}
	return t.with(key, nil, slices.Concat(t.free, have))
}

// Retain releases every key of a service for which keep says no, in the order of the keys.
func (t Table) Retain(namespace, name string, keep func(Key) bool) Table {
	s := service{namespace: namespace, name: name}
	for _, l := range t.legs[s] {
		if k := keyOf(s, l); !keep(k) {
			t = t.Release(k)
		}
	}
	return t
}
