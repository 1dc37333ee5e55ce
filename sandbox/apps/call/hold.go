// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
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
	// answered counts connections on which somebody has answered.
	answered int
}

func (h *held) note(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
}

// hold keeps connections open to the address that the target has now, and goes on asking on them, whatever becomes of the
// name: to see who answers on a connection whose service is gone. A connection that ends is over, with -redial another one
// is opened to the same address. With -while it says by a file that it holds, and holds as long as the file is there.
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
	var ends error
	if o.file != "" {
		ends = holdWhile(ctx, o, h)
		cancel()
	}
	all.Wait()
	if ends != nil {
		return ends
	}
	out.Held = h
	for _, n := range h.Answers {
		out.Echoed += n
	}
	return nil
}

// holdWhile makes the file when every connection has been answered, and returns when it is gone or ctx ends.
func holdWhile(ctx context.Context, o options, h *held) error {
	answered := func() (yes bool) {
		h.note(func() { yes = h.answered >= o.connections })
		return yes
	}
	for !answered() {
		if pause(ctx, o.every); ctx.Err() != nil {
			return fmt.Errorf("not every connection was answered: %w", ctx.Err())
		}
	}
	if err := os.WriteFile(o.file, nil, 0o600); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if _, err := os.Stat(o.file); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		pause(ctx, o.every)
	}
	return nil
}

// answer counts what pod said on a connection, first on the connection's first.
func (h *held) answer(pod string, first *bool) {
	h.note(func() {
		h.Answers[pod]++
		if !*first {
			*first = true
			h.answered++
		}
	})
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
	defer func() { _ = conn.Close() }() // nothing is read from it any more
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	reader, first := bufio.NewReader(conn), false
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.target+"/", nil)
		if err != nil || req.Write(conn) != nil {
			break
		}
		res, err := http.ReadResponse(reader, req)
		if err != nil {
			break
		}
		if a, err := decode(res); err != nil {
			h.note(func() { h.Refused[err.Error()]++ })
		} else {
			h.answer(a.Pod, &first)
		}
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
	defer func() { _ = conn.Close() }() // nothing is read from it any more
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	lines, first := bufio.NewReader(conn), false
	pod, _, err := banner(lines)
	for i := 0; err == nil && ctx.Err() == nil; i++ {
		text, back := fmt.Sprintf("line %d of %s", i, pod), ""
		if back, err = line(conn, lines, text); err == nil && back != text {
			err = fmt.Errorf("sent %q, got %q", text, back)
			h.note(func() { h.Refused[err.Error()]++ })
		}
		if err == nil {
			h.answer(pod, &first)
			pause(ctx, o.every)
		}
	}
	over(ctx, h)
}
