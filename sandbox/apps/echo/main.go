// SPDX-License-Identifier: Apache-2.0

// Command echo is the test backend of the sandbox: it answers with what it received, so that a test can assert what a
// backend sees (Host, headers, protocol) and who answered (pod, cluster).
//
// HTTP (1.1 and h2c, port 8080):
//
//	any path          200 and the request as JSON
//	/status/NNN       the same with status NNN (200 to 599)
//	/delay/DURATION   the same after a Go duration (at most 10 minutes), or not at all if the client goes away
//	/ws               a WebSocket: one message that says who answers (JSON), then every message comes back
//	/upload           the same when the whole body was read, with its length; the other paths leave the body alone
//	/download/BYTES   200 and that many zeros (at most 1 GiB)
//	/reset            begins to answer 200 and breaks the connection
//	/healthz          200 while it wants requests, 503 from SIGTERM on: the readiness probe
//
// The same on port 8082, for a Service's port that is HTTP/2 (h2c): a sidecar speaks one protocol to each port of a pod.
//
// HTTPS (port 8443): the same, with a certificate of its own (wire.CertificateName).
//
// gRPC (port 9090): service mcwan.echo.Echo with Say (one message) and Chat (a stream in both directions), see package wire.
//
// TCP (port 5432), server first as databases are: one banner line `mcwan-echo POD CLUSTER`, then every line comes back.
//
// Environment: POD and NAMESPACE (downward API; POD defaults to the host name), CLUSTER, HTTP_ADDR, H2C_ADDR, TLS_ADDR,
// GRPC_ADDR, TCP_ADDR, and DRAIN, the time between failing readiness and refusing connections (default 5s).
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Getenv); err != nil {
		slog.Error("echo failed", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, then drains: readiness fails first, so that new requests go elsewhere while this pod
// still answers those that come; after the drain time it takes no more and finishes what it has.
func run(ctx context.Context, getenv func(string) string) error {
	cfg, err := configFrom(getenv)
	if err != nil {
		return err
	}
	web := newHTTP(cfg.id)
	lines := newTCP(cfg.id)
	rpc := newGRPC(cfg.id)
	if web.server.TLSConfig, err = ownTLS(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	failed := make(chan error, 5)
	for _, s := range []struct {
		env, address string
		serve        func(net.Listener) error
	}{
		{"HTTP_ADDR", cfg.httpAddr, web.server.Serve},
		{"H2C_ADDR", cfg.h2cAddr, web.server.Serve},
		{"TLS_ADDR", cfg.tlsAddr, func(l net.Listener) error { return web.server.ServeTLS(l, "", "") }},
		{"GRPC_ADDR", cfg.grpcAddr, rpc.Serve},
		{"TCP_ADDR", cfg.tcpAddr, lines.serve},
	} {
		l, err := net.Listen("tcp", s.address)
		if err != nil {
			return fmt.Errorf("%s: %w", s.env, err) // the process ends, and what listens already with it
		}
		slog.Info("serving", s.env, l.Addr().String())
		go func() { failed <- s.serve(l) }()
	}

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	slog.Info("draining", "for", cfg.drain)
	web.unready.Store(true)
	if err := drained(cfg.drain, failed); err != nil {
		return err
	}
	deadline, cancel := context.WithTimeout(context.Background(), cfg.drain+10*time.Second)
	defer cancel()
	stopGRPC(deadline, rpc)
	return errors.Join(lines.shutdown(deadline), web.server.Shutdown(deadline))
}

// drained lets the drain time pass; a server that fails meanwhile ends it.
func drained(drain time.Duration, failed <-chan error) error {
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case err := <-failed:
		return err
	case <-timer.C:
		return nil
	}
}

// identity says who answers.
type identity struct {
	Pod, Cluster, Namespace string
}

type config struct {
	id                                            identity
	httpAddr, h2cAddr, tlsAddr, grpcAddr, tcpAddr string
	drain                                         time.Duration
}

func configFrom(getenv func(string) string) (config, error) {
	or := func(name, fallback string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return fallback
	}
	host, err := os.Hostname()
	if err != nil {
		return config{}, err
	}
	drain, err := time.ParseDuration(or("DRAIN", "5s"))
	if err != nil {
		return config{}, fmt.Errorf("DRAIN: %w", err)
	}
	return config{
		id:       identity{Pod: or("POD", host), Cluster: getenv("CLUSTER"), Namespace: getenv("NAMESPACE")},
		httpAddr: or("HTTP_ADDR", ":8080"),
		h2cAddr:  or("H2C_ADDR", ":8082"),
		tlsAddr:  or("TLS_ADDR", ":8443"),
		grpcAddr: or("GRPC_ADDR", ":9090"),
		tcpAddr:  or("TCP_ADDR", ":5432"),
		drain:    drain,
	}, nil
}
