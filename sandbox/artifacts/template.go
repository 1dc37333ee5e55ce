// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// templateConfig configures the containerd that imports images. Plugins that are off need kernel features, write to
// folders outside the root, or have no part in importing: the CRI plugin of a cluster takes note of every image that
// it finds when it starts (CheckImages in containerd's internal/cri/server/images).
//
//go:embed template.toml
var templateConfig string

// templateLock is the lock file, in OutDir, of whoever imports into the template or copies it.
const templateLock = "template.lock"

// templateTimeout bounds each wait for the importing containerd.
const templateTimeout = 2 * time.Minute

// imported is what is remembered of a template.
type imported struct {
	Base   string            `json:"base"`   // hash of what the root as a whole depends on
	Images map[string]string `json:"images"` // name to digest of the tar that was imported
}

// template brings the containerd root up to date: it imports what is new or changed and removes what is gone, so a
// new controller costs a second or two; after a crash in between, or with another containerd, it starts from nothing.
func (b *builder) template(ctx context.Context, images []Image) error {
	stateFile := b.out("template", "state.json")
	return b.do(ctx, step{
		name: "template", detail: "importing images",
		key: func() (string, error) {
			base, err := b.templateBase()
			k := newKey("template", base)
			for _, image := range images {
				k.add(image.Name, image.Digest)
			}
			return k.sum(), err
		},
		outputs: []string{stateFile},
		run: func(ctx context.Context, log *stepLog) error {
			unlock, err := lockFile(ctx, b.out(templateLock))
			if err != nil {
				return err
			}
			defer unlock()
			base, err := b.templateBase()
			if err != nil {
				return err
			}
			was := readImported(stateFile)
			if was.Base != base {
				was = imported{Images: map[string]string{}}
				if err := os.RemoveAll(b.out("template")); err != nil {
					return err
				}
			}
			// Without its state file the next run would not trust the root.
			if err := errors.Join(os.RemoveAll(stateFile), os.MkdirAll(b.templateRoot(), 0o755)); err != nil {
				return err
			}
			if err := b.importInto(ctx, images, was.Images, log); err != nil {
				return err
			}
			now := imported{Base: base, Images: map[string]string{}}
			for _, image := range images {
				now.Images[image.Name] = image.Digest
			}
			text, err := json.MarshalIndent(now, "", "  ")
			return errors.Join(err, writeFile(stateFile, text))
		},
	})
}

func (b *builder) templateBase() (string, error) {
	digest, err := b.digestOf("containerd", b.node("containerd"))
	return newKey(digest, templateConfig).sum(), err
}

func readImported(path string) imported {
	var was imported
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &was) != nil {
		return imported{}
	}
	return was
}

// importInto runs a containerd on the template's root for as long as it takes to make its images those given.
func (b *builder) importInto(ctx context.Context, images []Image, was map[string]string, log *stepLog) error {
	c, err := b.startContainerd(ctx, log)
	if err != nil {
		return err
	}
	err = func() error {
		stale, err := c.stale(ctx, images, was)
		if err != nil {
			return err
		}
		if err := c.remove(ctx, stale); err != nil {
			return err
		}
		for i, image := range images {
			if was[image.Name] == image.Digest {
				continue
			}
			log.progress(fmt.Sprintf("%d of %d, %s", i+1, len(images), image.Name))
			if _, err := c.ctr(ctx, "images", "import", image.Tar); err != nil {
				return err
			}
		}
		return nil
	}()
	return errors.Join(err, c.stop())
}

// importer is a containerd on the template's root.
type importer struct {
	cmd   *exec.Cmd
	ctl   string // ctr
	dir   string // of its sockets and state
	log   *stepLog
	ended chan struct{} // closed when the process has ended
	err   error         // why, once ended is closed
}

// startContainerd returns when containerd answers. Sockets are in a temporary folder: the path of a Unix socket has
// at most 107 bytes, which a build folder may exceed.
func (b *builder) startContainerd(ctx context.Context, log *stepLog) (*importer, error) {
	dir, err := os.MkdirTemp("", "mcwan-template-")
	if err != nil {
		return nil, err
	}
	var config bytes.Buffer
	err = template.Must(template.New("containerd").Parse(templateConfig)).Execute(&config, map[string]string{
		"Root": b.templateRoot(), "State": dir,
	})
	configFile := filepath.Join(dir, "config.toml")
	if err := errors.Join(err, writeFile(configFile, config.Bytes())); err != nil {
		return nil, err
	}
	c := &importer{
		cmd: exec.Command(b.node("containerd"), "--config", configFile), ctl: b.node("ctr"),
		dir: dir, log: log, ended: make(chan struct{}),
	}
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	err = c.await(ctx, "containerd did not answer", func() (bool, error) {
		_, err := c.ctr(ctx, "version")
		return err == nil, nil
	})
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// stop ends containerd and removes its folder; a containerd that ended by itself is an error.
func (c *importer) stop() error {
	select {
	case <-c.ended:
		return errors.Join(fmt.Errorf("containerd ended by itself: %w", c.err), os.RemoveAll(c.dir))
	default:
	}
	err := c.cmd.Process.Signal(os.Interrupt)
	select {
	case <-c.ended: // on request: its exit code says nothing
	case <-time.After(templateTimeout):
		err = errors.Join(err, errors.New("containerd did not end on SIGINT and was killed"), c.cmd.Process.Kill())
		<-c.ended
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// ctr runs the containerd client in the namespace that the kubelet's containerd plugin uses.
func (c *importer) ctr(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.ctl, append([]string{"--address", filepath.Join(c.dir, "containerd.sock"), "--namespace", "k8s.io"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	c.log.line("+", strings.Join(cmd.Args, " "))
	c.log.line(string(out) + stderr.String())
	if err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// stale lists the images to remove: those that are gone, and those that are about to be replaced.
func (c *importer) stale(ctx context.Context, images []Image, was map[string]string) ([]string, error) {
	table, err := c.ctr(ctx, "images", "list", "--quiet")
	if err != nil {
		return nil, err
	}
	keep := map[string]bool{}
	for _, image := range images {
		keep[image.Name] = was[image.Name] == image.Digest
	}
	return slices.DeleteFunc(strings.Fields(table), func(name string) bool { return keep[name] }), nil
}

// remove deletes references and waits for containerd to delete what only they held.
func (c *importer) remove(ctx context.Context, refs []string) error {
	if len(refs) == 0 {
		return nil
	}
	_, err := c.ctr(ctx, append([]string{"images", "rm", "--sync"}, refs...)...)
	return err
}

// await polls until ok, containerd's end, an error or templateTimeout.
func (c *importer) await(ctx context.Context, what string, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, templateTimeout)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		if yes, err := ok(); yes || err != nil {
			return yes, err
		}
		select {
		case <-c.ended:
			return false, fmt.Errorf("%s: it ended: %w", what, c.err)
		default:
			return false, nil
		}
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return err
}
