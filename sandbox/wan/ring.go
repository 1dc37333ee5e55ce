// SPDX-License-Identifier: Apache-2.0

package wan

// ring is a queue that grows as needed and keeps its memory.
type ring struct {
	buf   []held // length is a power of two
	head  int
	count int
}

func (r *ring) len() int { return r.count }

// at returns the i-th packet from the front.
func (r *ring) at(i int) *held { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *ring) push(h held) {
	if r.count == len(r.buf) {
		r.grow()
	}
	r.count++
	*r.at(r.count - 1) = h
}

func (r *ring) pop() held {
	h := *r.at(0)
	*r.at(0) = held{}
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.count--
	return h
}

func (r *ring) grow() {
	buf := make([]held, max(64, 2*len(r.buf)))
	for i := range r.count {
		buf[i] = *r.at(i)
	}
	r.buf, r.head = buf, 0
}
