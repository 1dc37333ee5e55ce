// SPDX-License-Identifier: Apache-2.0

package wan

import "sync"

// frameSize holds a packet of the usual MTUs; larger ones get memory of their own.
const frameSize = 2048

// frame is a packet that is under way.
type frame struct {
	data  []byte
	tally *tally
	opens bool // asks for a TCP connection
}

// frames recycles the memory of packets.
type frames struct{ pool sync.Pool }

func newFrames() *frames {
	return &frames{pool: sync.Pool{New: func() any { return &frame{data: make([]byte, 0, frameSize)} }}}
}

// of returns a frame with a copy of data.
func (p *frames) of(data []byte) *frame {
	f := p.pool.Get().(*frame)
	f.data = append(f.data[:0], data...)
	return f
}

// free takes back a frame that nobody uses any more.
func (p *frames) free(f *frame) {
	if cap(f.data) != frameSize {
		return
	}
	f.tally = nil
	p.pool.Put(f)
}
