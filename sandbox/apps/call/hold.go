// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// held is what became of connections that were held for a time.
type held struct {
	// Answers counts what came back, by the pod that answered.
	Answers map[string]int `json:"answers"`
	// Ended counts connections that the other side ended, Opened those that were opened.
	Opened int `json:"opened"`
	Ended  int `json:"ended"`
	// Refused counts HTTP answers that were not the backend's, by status.
	Refused map[string]int `json:"refused,omitempty"`

	mu sync.Mutex
}

func (h *held) note(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
}

// hold keeps connections open to the address that the target has now, and goes on asking on them, whatever becomes of the
// name: to see who answers on a connection whose service is gone. A connection that ends is over, with -redial another one
// is opened to the same address.
func hold(ctx context.Context, o options, out *result) error {
	address, err := net.ResolveTCPAddr("tcp", o.target)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.length)
	defer cancel()
	h := &held{Answers: map[string]int{}, Refused: map[string]int{}}
	talk := holdHTTP
	if o.tcp {
		talk = holdTCP
	}
	var all sync.WaitGroup
	for range o.connections {
		all.Go(func() {
			for ctx.Err() == nil {
				talk(ctx, o, address.String(), h)
				if !o.redial {
					return
				}
				pause(ctx, o.every)
			}
		})
	}
	all.Wait()
	out.Held = h
	for _, n := range h.Answers {
		out.Echoed += n
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// dialed opens a connection and counts it; nil when it is refused or the time is over.
func dialed(ctx context.Context, address string, h *held) net.Conn {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil
	}
	h.note(func() { h.Opened++ })
	return conn
}

// over counts a connection that ended before the time was over.
func over(ctx context.Context, h *held) {
	if ctx.Err() == nil {
		h.note(func() { h.Ended++ })
	}
}

func holdHTTP(ctx context.Context, o options, address string, h *held) {
	conn := dialed(ctx, address, h)
	if conn == nil {
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	reader := bufio.NewReader(conn)
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.target+"/", nil)
		if err != nil || req.Write(conn) != nil {
			break
		}
		res, err := http.ReadResponse(reader, req)
		if err != nil {
			break
		}
		a, err := decode(res)
		h.note(func() {
			if err != nil {
				h.Refused[err.Error()]++
			} else {
				h.Answers[a.Pod]++
			}
		})
		if res.Close {
			break
		}
		pause(ctx, o.every)
	}
	over(ctx, h)
}

func holdTCP(ctx context.Context, o options, address string, h *held) {
	conn := dialed(ctx, address, h)
	if conn == nil {
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	lines := bufio.NewReader(conn)
	pod, _, err := banner(lines)
	for i := 0; err == nil && ctx.Err() == nil; i++ {
		text, back := fmt.Sprintf("line %d of %s", i, pod), ""
		if back, err = line(conn, lines, text); err == nil && back != text {
			err = fmt.Errorf("sent %q, got %q", text, back)
			h.note(func() { h.Refused[err.Error()]++ })
		}
		if err == nil {
			h.note(func() { h.Answers[pod]++ })
			pause(ctx, o.every)
		}
	}
	over(ctx, h)
}
