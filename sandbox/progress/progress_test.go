// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestStepsAreToldWithTheirTime(t *testing.T) {
	clock := time.Unix(0, 0)
	var out strings.Builder
	l := New(&out, func() time.Time { return clock })
	clock = clock.Add(2 * time.Second)
	cause := errors.New("connection refused")
	err1 := l.Do(Step{Subject: "cluster-1", What: "API server ready"}, func() error { clock = clock.Add(1500 * time.Millisecond); return nil })
	err2 := l.Do(Step{Subject: "cluster-1", What: "node ready", Log: "/x/kubernetes.log"}, func() error { return cause })
	if err1 != nil || !errors.Is(err2, cause) {
		t.Fatal(err1, err2)
	}
	if want := "cluster-1: failed: node ready: connection refused; read /x/kubernetes.log"; err2.Error() != want {
		t.Errorf("error %q, want %q", err2, want)
	}
	if want := "    3.5s  cluster-1  API server ready (1.5s)\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestASlowStepIsMentionedWhileItRuns(t *testing.T) {
	out := &signalling{seen: make(chan struct{}, 100)}
	l := New(out, time.Now)
	l.patience = time.Millisecond
	err := l.Do(Step{Subject: "cluster-1", What: "node ready", Log: "/x.log"}, func() error {
		select {
		case <-out.seen:
			return nil
		case <-t.Context().Done():
			return t.Context().Err()
		}
	})
	if err != nil || !strings.Contains(out.text.String(), "still waiting: node ready; read /x.log\n") {
		t.Errorf("%v, printed %q", err, out.text.String())
	}
}

// signalling is told to a test when something is written.
type signalling struct {
	text strings.Builder
	seen chan struct{}
}

func (s *signalling) Write(p []byte) (int, error) {
	n, err := s.text.Write(p)
	s.seen <- struct{}{}
	return n, err
}
