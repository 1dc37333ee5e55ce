// SPDX-License-Identifier: Apache-2.0

// Command echo is the test backend of the sandbox: it answers with what it received, so that a test can assert what a
// backend sees (Host, headers, protocol) and who answered (pod, cluster).
//
// HTTP (1.1 and h2c, port 8080):
//
//	any path          200 and the request as JSON
//	/status/NNN       the same with status NNN (200 to 599)
//	/delay/DURATION   the same after a Go duration (at most 10 minutes), or not at all if the client goes away
//	/healthz          200 while it wants requests, 503 from SIGTERM on: the readiness probe
//
// TCP (port 5432), server first as databases are: one banner line `mcwan-echo POD CLUSTER`, then every line comes back.
//
// Environment: POD and NAMESPACE (downward API; POD defaults to the host name), CLUSTER, HTTP_ADDR, TCP_ADDR, and
// DRAIN, the time between failing readiness and refusing connections (default 5s).
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
	httpListener, err := net.Listen("tcp", cfg.httpAddr)
	if err != nil {
		return fmt.Errorf("HTTP_ADDR: %w", err)
	}
	tcpListener, err := net.Listen("tcp", cfg.tcpAddr)
	if err != nil {
		return errors.Join(fmt.Errorf("TCP_ADDR: %w", err), httpListener.Close())
	}
	web := newHTTP(cfg.id)
	lines := newTCP(cfg.id)
	failed := make(chan error, 2)
	go func() { failed <- web.server.Serve(httpListener) }()
	go func() { failed <- lines.serve(tcpListener) }()
	slog.Info("serving", "http", httpListener.Addr().String(), "tcp", tcpListener.Addr().String())

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	slog.Info("draining", "for", cfg.drain)
	web.unready.Store(true)
	time.Sleep(cfg.drain)
	deadline, cancel := context.WithTimeout(context.Background(), cfg.drain+10*time.Second)
	defer cancel()
	return errors.Join(lines.shutdown(deadline), web.server.Shutdown(deadline))
}

// identity says who answers.
type identity struct {
	Pod, Cluster, Namespace string
}

type config struct {
	id                identity
	httpAddr, tcpAddr string
	drain             time.Duration
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
		tcpAddr:  or("TCP_ADDR", ":5432"),
		drain:    drain,
	}, nil
}
