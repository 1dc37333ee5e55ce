// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// State is where a step is.
type State string

// States of a step, in the order in which Log is told of them. Of a step that is up to date only UpToDate is told.
const (
	Started  State = "started"
	Progress State = "progress"
	UpToDate State = "up to date"
	Done     State = "done"
	Failed   State = "failed"
)

// Event is what Options.Log is told.
type Event struct {
	Step    string
	State   State
	Detail  string        // of Started: what the step does; of Progress: how far it is; of Failed: the error
	Elapsed time.Duration // since the step began; of UpToDate, the time the check took
	LogFile string        // the step's own log
}

// String is the event as a line for people.
func (e Event) String() string {
	line := fmt.Sprintf("%6.1fs  %-10s %s", e.Elapsed.Seconds(), e.State, e.Step)
	if e.Detail != "" {
		line += ": " + e.Detail
	}
	return line
}

// step is one thing to make.
type step struct {
	name   string // of the log file too
	detail string // what it does, for people
	// key is the hash of all that goes into the outputs.
	key func() (string, error)
	// outputs are the files it makes; folders are named by a file that is written into them last.
	outputs []string
	// run makes the outputs; log is the step's log file.
	run func(ctx context.Context, log *stepLog) error
}

// stepLog is a step's log file, and the way to say how far it is.
type stepLog struct {
	io.Writer
	progress func(detail string)
}

// line writes a line; a log that cannot be written does not fail the step.
func (l *stepLog) line(words ...any) { _, _ = fmt.Fprintln(l, words...) }

// record is what is remembered of a step that succeeded.
type record struct {
	Key     string           `json:"key"`
	Outputs map[string]stamp `json:"outputs"`
}

// stamp recognises an output without reading it: every writer replaces outputs or changes their time.
type stamp struct {
	Size    int64  `json:"size"`
	ModTime int64  `json:"modTime"` // nanoseconds since 1970
	Digest  string `json:"digest"`  // sha256, hexadecimal
}

// do runs the step unless its key and its outputs are as they were when it last succeeded.
func (b *builder) do(ctx context.Context, s step) error {
	begin := time.Now()
	logFile := b.out("log", s.name+".log")
	tell := func(state State, detail string) {
		b.opts.Log(Event{Step: s.name, State: state, Detail: detail, Elapsed: time.Since(begin), LogFile: logFile})
	}
	key, err := s.key()
	if err != nil {
		return fmt.Errorf("%s: inputs: %w", s.name, err)
	}
	if b.upToDate(s, key) {
		tell(UpToDate, "")
		return nil
	}
	tell(Started, s.detail)
	if err := b.run(ctx, s, logFile, tell); err != nil {
		tell(Failed, err.Error())
		return fmt.Errorf("%s failed after %s: %w; see %s", s.name, time.Since(begin).Round(time.Second), err, logFile)
	}
	if err := b.remember(s, key); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	tell(Done, "")
	return nil
}

func (b *builder) run(ctx context.Context, s step, logFile string, tell func(State, string)) error {
	// A step that is interrupted must not look as if it had succeeded before.
	if err := os.Remove(b.recordFile(s.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.Create(logFile)
	if err != nil {
		return err
	}
	log := &stepLog{Writer: f, progress: func(detail string) { tell(Progress, detail) }}
	if err := s.run(ctx, log); err != nil {
		log.line("failed:", err)
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

func (b *builder) recordFile(name string) string { return b.out("state", name+".json") }

func (b *builder) upToDate(s step, key string) bool {
	r, err := b.recall(s.name)
	if err != nil || r.Key != key || len(r.Outputs) != len(s.outputs) {
		return false
	}
	for _, path := range s.outputs {
		info, err := os.Stat(path)
		was, ok := r.Outputs[path]
		if err != nil || !ok || info.Size() != was.Size || info.ModTime().UnixNano() != was.ModTime {
			return false
		}
	}
	return true
}

func (b *builder) remember(s step, key string) error {
	r := record{Key: key, Outputs: map[string]stamp{}}
	for _, path := range s.outputs {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("the step did not make its output: %w", err)
		}
		digest, err := fileDigest(path)
		if err != nil {
			return err
		}
		r.Outputs[path] = stamp{Size: info.Size(), ModTime: info.ModTime().UnixNano(), Digest: digest}
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(b.recordFile(s.name), text)
}

func (b *builder) recall(name string) (record, error) {
	text, err := os.ReadFile(b.recordFile(name))
	if err != nil {
		return record{}, err
	}
	var r record
	return r, json.Unmarshal(text, &r)
}

// digestOf returns the digest of an output of a step that has run, without reading the output again.
func (b *builder) digestOf(stepName, path string) (string, error) {
	r, err := b.recall(stepName)
	if err != nil {
		return "", err
	}
	was, ok := r.Outputs[path]
	if !ok {
		return "", fmt.Errorf("%s is no output of step %s", path, stepName)
	}
	return was.Digest, nil
}

// writeFile writes a file as a whole or not at all.
func writeFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
