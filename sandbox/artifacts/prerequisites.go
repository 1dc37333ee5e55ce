// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed debian-packages.txt
var debianPackages string

// Prerequisite is a Debian package that the machine must have.
type Prerequisite struct {
	Package string // name for apt-get install
	Probe   string // a command on PATH, or an absolute file name, that shows that it is there
	Why     string // what the sandbox uses it for
}

// Prerequisites lists what the sandbox needs from the machine, in the order of debian-packages.txt.
func Prerequisites() []Prerequisite {
	var list []Prerequisite
	for line := range strings.Lines(debianPackages) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.SplitN(line, " ", 3)
		list = append(list, Prerequisite{Package: fields[0], Probe: fields[1], Why: fields[2]})
	}
	return list
}

// Missing returns those prerequisites that this machine lacks.
func Missing() []Prerequisite {
	var list []Prerequisite
	for _, p := range Prerequisites() {
		if !p.present() {
			list = append(list, p)
		}
	}
	return list
}

// MissingError says what is missing and the command that installs it; nil if nothing is.
func MissingError(missing []Prerequisite) error {
	if len(missing) == 0 {
		return nil
	}
	var what, packages []string
	for _, p := range missing {
		what = append(what, fmt.Sprintf("%s (%s)", filepath.Base(p.Probe), p.Why))
		packages = append(packages, p.Package)
	}
	return fmt.Errorf("missing on this machine: %s; run `make deps`, or `apt-get install --no-install-recommends %s`",
		strings.Join(what, ", "), strings.Join(packages, " "))
}

func (p Prerequisite) present() bool {
	if filepath.IsAbs(p.Probe) {
		_, err := os.Stat(p.Probe)
		return err == nil
	}
	if _, err := exec.LookPath(p.Probe); err == nil {
		return true
	}
	// Root's PATH lacks the sbin folders where su, sudo or cron started the shell.
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if _, err := os.Stat(filepath.Join(dir, p.Probe)); err == nil {
			return true
		}
	}
	return false
}
