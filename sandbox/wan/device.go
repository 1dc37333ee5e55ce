// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"io"
	"runtime"
	"time"

	"github.com/l7mp/mc-wan/sandbox/wan/internal/packet"
)

const (
	maxPacket = 1 << 16
	// readBurst is how many packets a reader takes before it lets writers have the processor, whose deadlines pass meanwhile.
	readBurst = 32
)

// device passes one IP packet a call. Close ends a Read that waits.
type device = io.ReadWriteCloser

// alarm wakes the writer of a site.
type alarm interface {
	// Set asks for one wake-up after the given time instead of any that was asked for before. Calls must not overlap.
	Set(after time.Duration)
	// Wait returns at the next wake-up, or with an error once the alarm is closed.
	Wait() error
	Close() error
}

// attachment is a device in use. gone says that it is no longer the one that its site's configuration leads to.
type attachment struct {
	device
	gone func() bool
}

// opener finds the device of a site.
type opener func(Site) (*attachment, error)

// read forwards what dev has to say until dev fails.
func (s *site) read(dev device) error {
	var (
		buf       = make([]byte, maxPacket)
		reply     = make([]byte, packet.MaxReject)
		h         packet.Header
		fragments packet.Fragments
	)
	for i := 1; ; i++ {
		n, err := dev.Read(buf)
		if err != nil {
			return err
		}
		if err := packet.Parse(buf[:n], &h); err != nil {
			s.malformed.Add(1)
			continue
		}
		if linkLocal(h.Dst) {
			continue
		}
		fragments.Resolve(&h)
		if s.view.Load().forward(s.clock(), &h, buf[:h.Length]) == dropRefused {
			if r := packet.Reject(reply, buf[:n], &h); r != nil {
				s.put(dev, r)
			}
		}
		if i%readBurst == 0 {
			runtime.Gosched()
		}
	}
}

// write hands what is due at the site's exit to the device of the moment whenever the alarm rings, until the alarm is closed.
func (s *site) write() {
	defer close(s.written)
	out := make([]*frame, 0, batch)
	for s.alarm.Wait() == nil {
		for {
			out = s.exit.due(s.clock(), out[:0])
			if len(out) == 0 {
				break
			}
			s.putAll(out)
		}
	}
}

func (s *site) putAll(out []*frame) {
	dev := s.attached.Load()
	for _, f := range out {
		if dev == nil {
			s.writeErrors.Add(1)
		} else {
			s.put(dev, f.data)
		}
		s.exit.frames.free(f)
	}
}

// put writes one packet. A device that is set down takes none, which shows in the site's status.
func (s *site) put(dev device, b []byte) {
	if _, err := dev.Write(b); err != nil {
		s.writeErrors.Add(1)
	}
}
