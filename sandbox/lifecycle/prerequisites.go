// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
)

// feature is something of the kernel, the file that shows that it is there, and the module that brings it.
type feature struct {
	name, module string
	present      func() bool
}

func features() []feature {
	exists := func(path string) func() bool {
		return func() bool { _, err := os.Stat(path); return err == nil }
	}
	return []feature{
		{"overlay file systems", "overlay", func() bool { return filesystem("overlay") }},
		{"TUN devices", "tun", exists("/dev/net/tun")},
		{"netfilter for bridges", "br_netfilter", exists("/proc/sys/net/bridge/bridge-nf-call-iptables")},
	}
}

func filesystem(name string) bool {
	data, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[len(fields)-1] == name {
			return true
		}
	}
	return false
}

// CheckRoot says that root is needed, and why.
func CheckRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: clusters are network namespaces, mounts and control groups of this machine; run it with sudo")
	}
	return nil
}

// CheckPrerequisites says what this machine lacks and how to install it. Kernel modules that are there but not
// loaded are loaded.
func CheckPrerequisites() error {
	if err := CheckRoot(); err != nil {
		return err
	}
	if err := artifacts.MissingError(artifacts.Missing()); err != nil {
		return err
	}
	for _, f := range features() {
		if f.present() {
			continue
		}
		out, err := exec.Command("/sbin/modprobe", f.module).CombinedOutput()
		if err != nil || !f.present() {
			return fmt.Errorf("the kernel lacks %s; install a kernel with the module %s (modprobe said: %s)", f.name, f.module, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
