// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
)

// pipes is a network inside a synctest bubble: a listener whose connections are net.Pipes, so that waiting for a byte
// lets the bubble's time pass.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	open []net.Conn
}

func newPipes() *pipes {
	return &pipes{accept: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.accept <- far:
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, near, far)
	return near, nil
}

// cut breaks all connections, as a tunnel that dies does once a gateway notices.
func (p *pipes) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		_ = c.Close()
	}
	p.open = nil
}

// listen serves the handler over pipes until the test ends, and returns what dials it.
func listen(t *testing.T, handler http.Handler) (*pipes, *http.Transport) {
	t.Helper()
	p := newPipes()
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(p)
	}()
	transport := dialer(p)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = p.Close()
		_ = server.Close()
		<-done
	})
	return p, transport
}

func dialer(p *pipes) *http.Transport {
	return &http.Transport{DialContext: p.dial, DisableCompression: true}
}
