// SPDX-License-Identifier: Apache-2.0

// Package progress tells a person what is being done, how long it took, and which log to read when it fails.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Log prints a line per step. Its methods may be called at once from several goroutines.
type Log struct {
	mu    sync.Mutex
	out   io.Writer
	now   func() time.Time
	start time.Time
	// patience is how long a step takes before it is mentioned, and how often after that.
	patience time.Duration
}

// New makes a log whose elapsed times count from now.
func New(out io.Writer, now func() time.Time) *Log {
	return &Log{out: out, now: now, start: now(), patience: 30 * time.Second}
}

// Printf prints a line about a subject, like "cluster-1", after the time since the log was made.
func (l *Log) Printf(subject, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// progress that cannot be shown is not worth failing for
	_, _ = fmt.Fprintf(l.out, "%7.1fs  %-10s %s\n", l.now().Sub(l.start).Seconds(), subject, fmt.Sprintf(format, args...))
}

// Step is one piece of work.
type Step struct {
	// Subject is what it is done to, What is the result, as in "cluster-1: API server ready".
	Subject, What string
	// Log is the file that tells more when it fails; empty when there is none.
	Log string
}

// Do runs f and prints the step with the time it took; while it takes long, what is being waited for. Its error names
// the step and the log to read.
func (l *Log) Do(s Step, f func() error) error {
	begin := l.now()
	done := make(chan error, 1)
	go func() { done <- f() }()
	reminder := time.NewTicker(l.patience)
	defer reminder.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return &Failure{Step: s, Err: err}
			}
			l.Printf(s.Subject, "%s (%.1fs)", s.What, l.now().Sub(begin).Seconds())
			return nil
		case <-reminder.C:
			l.Printf(s.Subject, "still waiting: %s%s", s.What, s.hint())
		}
	}
}

// Failure is a step that failed.
type Failure struct {
	Step Step
	Err  error
}

// Error names the step, what went wrong and the log to read.
func (f *Failure) Error() string {
	return fmt.Sprintf("%s: failed: %s: %v%s", f.Step.Subject, f.Step.What, f.Err, f.Step.hint())
}

func (s Step) hint() string {
	if s.Log == "" {
		return ""
	}
	return "; read " + s.Log
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }
