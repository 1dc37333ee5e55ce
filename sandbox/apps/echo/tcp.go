// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
)

// tcpEcho greets every connection and sends each line back.
type tcpEcho struct {
	id       identity
	mu       sync.Mutex
	closed   bool
	listener net.Listener
	conns    map[net.Conn]struct{}
	active   sync.WaitGroup
}

func newTCP(id identity) *tcpEcho {
	return &tcpEcho{id: id, conns: map[net.Conn]struct{}{}}
}

// serve accepts connections until the listener is closed.
func (e *tcpEcho) serve(l net.Listener) error {
	e.mu.Lock()
	e.listener = l
	e.mu.Unlock()
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		if !e.track(conn) {
			_ = conn.Close()
			continue
		}
		go func() {
			defer e.forget(conn)
			e.talk(conn)
		}()
	}
}

// talk returns when either side is done with the connection.
func (e *tcpEcho) talk(conn net.Conn) {
	if _, err := fmt.Fprintf(conn, "mcwan-echo %s %s\n", e.id.Pod, e.id.Cluster); err != nil {
		return
	}
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			if _, err := conn.Write(line); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// shutdown takes no more connections and waits for those that are open; at the end of ctx it closes them.
func (e *tcpEcho) shutdown(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	var err error
	if e.listener != nil {
		err = e.listener.Close()
	}
	e.mu.Unlock()

	done := make(chan struct{})
	go func() { e.active.Wait(); close(done) }()
	select {
	case <-done:
		return err
	case <-ctx.Done():
	}
	e.mu.Lock()
	for conn := range e.conns {
		_ = conn.Close()
	}
	e.mu.Unlock()
	<-done
	return err
}

// track says whether the connection may be served; if so, shutdown waits for it.
func (e *tcpEcho) track(conn net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.conns[conn] = struct{}{}
	e.active.Add(1)
	return true
}

func (e *tcpEcho) forget(conn net.Conn) {
	e.mu.Lock()
	delete(e.conns, conn)
	e.mu.Unlock()
	_ = conn.Close()
	e.active.Done()
}
