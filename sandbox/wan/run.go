// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// Run joins the sites of cfg until ctx ends, and serves Client at cfg.ControlSocket meanwhile. It needs the right to attach to
// TUN devices of the sites' network namespaces. That it is the only way between them is up to who routes in the namespaces.
func Run(ctx context.Context, cfg Config) error {
	l, err := listenControl(ctx, cfg.ControlSocket) // first, so that a second SD-WAN does not take the devices away
	if err != nil {
		return fmt.Errorf("SD-WAN: %w", err)
	}
	start := time.Now()
	r, err := newRouter(cfg, openTUN, newTimerAlarm, func() time.Duration { return time.Since(start) })
	if err != nil {
		return fmt.Errorf("SD-WAN: %w", errors.Join(err, l.Close()))
	}
	if err := errors.Join(serveControl(ctx, r, l), r.close()); err != nil {
		return fmt.Errorf("SD-WAN: %w", err)
	}
	return nil
}

// serveControl serves the control API of r on l until ctx ends, and closes l.
func serveControl(ctx context.Context, r *router, l net.Listener) error {
	srv := &http.Server{Handler: newControl(r), ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = srv.Close() }) // closes l, which removes the socket
	defer stopped()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket %s: %w", l.Addr(), err)
	}
	return nil
}

// listenControl opens the socket. One that a killed process left behind is replaced; one that answers is not.
func listenControl(ctx context.Context, socket string) (net.Listener, error) {
	if socket == "" {
		return nil, errors.New("control socket: there is no path; give one that only the sandbox's user can write")
	}
	if c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket); err == nil {
		return nil, errors.Join(fmt.Errorf("control socket %s: another SD-WAN serves it; stop that one first", socket), c.Close())
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket %s: %w", socket, err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", socket, err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket %s: %w", socket, err), l.Close())
	}
	return l, nil
}
