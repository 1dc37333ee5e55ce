// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// progressEvery is the time between two progress events of a long step.
const progressEvery = 10 * time.Second

func (b *builder) goStep(t goTarget) step {
	return step{
		name: t.name, detail: "building " + t.detail,
		key:     func() (string, error) { return b.goKey(t) },
		outputs: t.outputs(),
		run:     func(ctx context.Context, log *stepLog) error { return b.goRun(ctx, t, log) },
	}
}

// outputs are the programs of the target.
func (t goTarget) outputs() []string {
	var list []string
	for _, g := range t.builds {
		list = append(list, g.outputs()...)
	}
	return list
}

// outputs are where go build -o puts the programs; it names each by the last element of its package path.
func (g goBuild) outputs() []string {
	if g.rename != "" {
		return []string{filepath.Join(g.dir, g.rename)}
	}
	var list []string
	for _, p := range g.packages {
		list = append(list, filepath.Join(g.dir, path.Base(p)))
	}
	return list
}

// args are those of the go command.
func (g goBuild) args() []string {
	out := g.dir + string(filepath.Separator)
	if g.rename != "" {
		out = filepath.Join(g.dir, g.rename)
	}
	ldflags := strings.Join(append([]string{"-s", "-w"}, g.ldflags...), " ")
	// -v names each package when it is compiled, which is the progress of a build of thousands of them.
	args := []string{"build", "-v", "-buildvcs=false", "-ldflags", ldflags, "-o", out}
	if g.tags != "" {
		args = append(args, "-tags", g.tags)
	}
	return append(args, g.packages...)
}

// goKey covers the toolchain, the commands, the module's requirements and its own sources. Sources of other modules
// are covered by go.sum.
func (b *builder) goKey(t goTarget) (string, error) {
	cmd := exec.Command("go", "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOFLAGS", "GOEXPERIMENT")
	cmd.Dir = b.repo(t.module)
	toolchain, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env in %s: %w", cmd.Dir, err)
	}
	k := newKey("go", string(toolchain), t.module)
	for _, g := range t.builds {
		k.add(g.args()...)
	}
	for _, link := range slices.Sorted(maps.Keys(t.links)) {
		k.add(link, t.links[link])
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		digest, err := fileDigest(b.repo(t.module, name))
		if err != nil {
			return "", err
		}
		k.add(name, digest)
	}
	for _, tree := range t.trees {
		k.add(tree)
		if err := k.addTree(b.repo(t.module, tree), goInput); err != nil {
			return "", err
		}
	}
	return k.sum(), nil
}

func (b *builder) goRun(ctx context.Context, t goTarget, log *stepLog) error {
	for _, g := range t.builds {
		cmd := exec.CommandContext(ctx, "go", g.args()...)
		cmd.Dir = b.repo(t.module)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if err := runCounting(cmd, log); err != nil {
			return fmt.Errorf("go build in %s: %w", t.module, err)
		}
	}
	for link, target := range t.links {
		if err := relink(target, link); err != nil {
			return err
		}
	}
	return nil
}

// runCounting runs a command whose output goes to the log, and tells every few seconds how many lines it has written
// (of go build -v: packages compiled) and the latest of them.
func runCounting(cmd *exec.Cmd, log *stepLog) error {
	log.line("+", strings.Join(cmd.Args, " "))
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	counted := make(chan struct{})
	go func() {
		defer close(counted)
		told, lines := time.Now(), 0
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			log.line(scanner.Text())
			if lines++; time.Since(told) >= progressEvery {
				told = time.Now()
				log.progress(fmt.Sprintf("%d packages, now %s", lines, scanner.Text()))
			}
		}
		// Only a line longer than the scanner takes ends it early: let the command go on.
		_, _ = io.Copy(log, r)
	}()
	err := errors.Join(cmd.Run(), w.Close())
	<-counted
	return err
}

// relink makes or replaces a symbolic link, relative so that the repository may be moved.
func relink(target, link string) error {
	rel, err := filepath.Rel(filepath.Dir(link), target)
	if err != nil {
		return err
	}
	if was, err := os.Readlink(link); err == nil && was == rel {
		return nil
	}
	if err := os.RemoveAll(link); err != nil {
		return err
	}
	return os.Symlink(rel, link)
}
