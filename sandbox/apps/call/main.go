// SPDX-License-Identifier: Apache-2.0

// Command call is the test client of the sandbox for what curl does not show: streams that go both ways, connections that
// are silent for a while, connections that are held while what is behind them changes. It talks to command echo and says
// as one line of JSON who answered.
//
//	call http  [flags] URL         requests on one connection, HTTP/1.1; with -h2 HTTP/2 by prior knowledge
//	call https [flags] URL         the same in TLS, and whose certificate it was
//	call grpc  [flags] HOST:PORT   one unary call, then a stream
//	call ws    [flags] URL         a WebSocket (ws://...)
//	call tcp   [flags] HOST:PORT   waits for the server's banner before it says anything
//	call hold  [flags] HOST:PORT   see hold.go
//
// Each of the first five sends a message -n times (default 3), is silent for -idle before the last, and wants every one
// back. The exit status is 1 if something failed; the JSON's field "error" says what.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// result is what a call prints.
type result struct {
	Pod     string `json:"pod,omitempty"`
	Cluster string `json:"cluster,omitempty"`
	// Echoed counts the messages that came back.
	Echoed int `json:"echoed"`
	// Proto is the HTTP version that the backend saw.
	Proto string `json:"proto,omitempty"`
	// Certificate is the common name of the certificate at the other end of TLS.
	Certificate string `json:"certificate,omitempty"`
	// Held is what became of held connections.
	Held  *held  `json:"held,omitempty"`
	Error string `json:"error,omitempty"`
}

// options are the flags.
type options struct {
	target      string
	n           int
	idle        time.Duration
	timeout     time.Duration
	h2          bool
	every       time.Duration
	length      time.Duration
	connections int
	tcp         bool
	redial      bool
	file        string
}

type call func(ctx context.Context, o options, out *result) error

func calls() map[string]call {
	return map[string]call{"http": callHTTP, "https": callHTTPS, "grpc": callGRPC, "ws": callWebSocket, "tcp": callTCP, "hold": hold}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	do, ok := calls()[name]
	if !ok {
		fmt.Fprintln(os.Stderr, "usage: call http|https|grpc|ws|tcp|hold [flags] TARGET")
		return 2
	}
	o, err := parse(name, args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "call:", err)
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout+o.idle+o.length)
	defer cancel()
	out := result{}
	if err := do(ctx, o, &out); err != nil {
		out.Error = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil || out.Error != "" {
		return 1
	}
	return 0
}

func parse(name string, args []string) (options, error) {
	o := options{}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.IntVar(&o.n, "n", 3, "how many messages")
	flags.DurationVar(&o.idle, "idle", 0, "how long to be silent before the last message")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long everything may take besides -idle and -for")
	flags.BoolVar(&o.h2, "h2", false, "http: HTTP/2 by prior knowledge")
	flags.DurationVar(&o.every, "every", 20*time.Millisecond, "hold: the pause between messages")
	flags.DurationVar(&o.length, "for", 0, "hold: how long at most")
	flags.IntVar(&o.connections, "connections", 4, "hold: how many connections")
	flags.BoolVar(&o.tcp, "tcp", false, "hold: TCP with a banner instead of HTTP")
	flags.BoolVar(&o.redial, "redial", false, "hold: when a connection ends, open another one to the same address")
	flags.StringVar(&o.file, "while", "", "hold: a FILE to make when every connection has been answered; holding ends when it is gone")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 1 || o.n < 1 || slices.Min([]time.Duration{o.idle, o.timeout, o.length, o.every}) < 0 {
		return o, fmt.Errorf("%s: want one target, -n of at least 1 and durations that are not negative", name)
	}
	o.target = flags.Arg(0)
	return o, nil
}

// messages says each of o.n messages by say, which returns what came back; it is silent before the last one.
func messages(ctx context.Context, o options, out *result, say func(text string) (string, error)) error {
	for i := range o.n {
		if i == o.n-1 && o.idle > 0 {
			select {
			case <-time.After(o.idle):
			case <-ctx.Done():
				return fmt.Errorf("while it was silent: %w", context.Cause(ctx))
			}
		}
		text := fmt.Sprintf("message %d", i)
		back, err := say(text)
		if err != nil {
			return fmt.Errorf("message %d of %d: %w", i+1, o.n, err)
		}
		if back != text {
			return fmt.Errorf("message %d of %d: sent %q, got %q", i+1, o.n, text, back)
		}
		out.Echoed++
	}
	return nil
}
