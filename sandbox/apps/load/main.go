// SPDX-License-Identifier: Apache-2.0

// Command load sends requests to command echo at a fixed rate and writes down what became of each: what a failure test
// needs to know is the one request that was slow, not the average.
//
//	load -protocol get|h2|put|post|grpc|tcp [-rate 50] [-duration 10s] [-timeout 10s] TARGET...
//
// TARGET is a URL for get, h2, put and post, HOST:PORT for grpc and tcp; several take turns. A request is a GET (HTTP/1.1;
// HTTP/2 for h2), a PUT or POST of a short body, a unary call, or a connection on which the server's banner is waited for
// and a line goes to and fro. They are sent when they are due, whether earlier ones have been answered or not. SIGINT ends
// it early.
//
// The first line of standard output is the number of requests: an exec into a pod may end before all of its output has
// come, without an error (https://github.com/kubernetes/kubernetes/issues/124571). The rest is CSV without a header, a
// line a request, in the order in which they were sent: when it was sent (microseconds since 1970), how long it took
// (microseconds), the cluster that answered, the WAN policy port on which its ingress gateway got it (empty for tcp), and
// the error (empty when there was none).
package main

import (
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// answer says who answered, and how the request came there.
type answer struct {
	cluster string
	port    string
}

// caller makes one request.
type caller func(ctx context.Context) (answer, error)

// record is what became of a request.
type record struct {
	sent time.Time
	took time.Duration
	answer
	err error
}

type options struct {
	protocol string
	targets  []string
	rate     int
	duration time.Duration
	timeout  time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	var calls []caller
	for _, target := range o.targets {
		call, err := callerOf(o, target)
		if err != nil {
			return err
		}
		calls = append(calls, call)
	}
	ctx, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	return write(out, attack(ctx, o, calls))
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&o.protocol, "protocol", "get", "get, h2, put, post, grpc or tcp")
	flags.IntVar(&o.rate, "rate", 50, "requests a second")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "how long to send")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long a request may take")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.targets = flags.Args(); len(o.targets) == 0 {
		return o, errors.New("name a TARGET")
	}
	if o.rate < 1 || o.duration <= 0 || o.timeout <= 0 {
		return o, errors.New("rate, duration and timeout must be more than 0")
	}
	return o, nil
}

// attack sends until ctx ends, and waits for what is under way.
func attack(ctx context.Context, o options, calls []caller) []record {
	var all []*record
	var wg sync.WaitGroup
	pause := time.Second / time.Duration(o.rate)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for due := time.Now(); ; due = due.Add(pause) {
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			wg.Wait()
			out := make([]record, 0, len(all))
			for _, r := range all {
				out = append(out, *r)
			}
			return out
		case <-timer.C:
		}
		r, call := &record{}, calls[len(all)%len(calls)]
		all = append(all, r)
		wg.Go(func() {
			one, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.timeout)
			defer cancel()
			r.sent = time.Now()
			r.answer, r.err = call(one)
			r.took = time.Since(r.sent)
		})
	}
}

func write(out io.Writer, records []record) error {
	if _, err := fmt.Fprintln(out, len(records)); err != nil {
		return err
	}
	w := csv.NewWriter(out)
	for _, r := range records {
		text := ""
		if r.err != nil {
			text = r.err.Error()
		}
		if err := w.Write([]string{
			strconv.FormatInt(r.sent.UnixMicro(), 10), strconv.FormatInt(r.took.Microseconds(), 10), r.cluster, r.port, text,
		}); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
