// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"time"
)

// Config is what Run starts from.
type Config struct {
	// Sites may be empty, and may name devices that do not exist yet: they are attached when they do.
	Sites []Site `json:"sites"`
	// Tunnels are DefaultTunnels when empty.
	Tunnels []Tunnel `json:"tunnels"`
	// Classes sort TCP packets into tunnels.
	Classes Classes `json:"classes"`
	// Default is the tunnel of what no class matches; DefaultTunnel when empty.
	Default string `json:"default"`
	// ControlSocket is the path of the unix socket that Client speaks to.
	ControlSocket string `json:"controlSocket"`
	// Seed makes loss and jitter the same from run to run.
	Seed uint64 `json:"seed,omitempty"`
	// Log is slog.Default() when nil.
	Log *slog.Logger `json:"-"`
}

// Site is a network namespace that the SD-WAN joins to others.
type Site struct {
	Name string `json:"name"`
	// NetnsPath names the network namespace (/run/netns/NAME, /proc/PID/ns/net); when empty, that of this process. A path
	// that comes to lead to another namespace, as when a cluster is started anew, is followed.
	NetnsPath string `json:"netnsPath"`
	// Device is the TUN device in it (see DeviceFlags); "wan0" when empty.
	Device string `json:"device"`
	// PodCIDRs are the destinations that are reached at this site.
	PodCIDRs []netip.Prefix `json:"podCIDRs"`
}

// Tunnel is one of the ways that the SD-WAN offers between any two sites, with the settings that it starts with and that
// Heal gives back to it.
type Tunnel struct {
	Name string `json:"name"`
	Settings
}

// Classes name a tunnel for each TCP port. A packet belongs to the class of its destination port, else to that of its source
// port, so that the answers of a connection take the tunnel of its requests.
type Classes map[uint16]string

// DefaultTunnel is the tunnel of packets that match no class.
const DefaultTunnel = "internet"

const defaultDevice = "wan0"

// DefaultTunnels returns the tunnels of a small enterprise's SD-WAN: 20, 30, 60 and 40 ms of round trip.
func DefaultTunnels() []Tunnel {
	tunnel := func(name string, oneWay time.Duration) Tunnel {
		return Tunnel{Name: name, Settings: Settings{Latency: Duration(oneWay)}.withDefaults()}
	}
	return []Tunnel{
		tunnel("business", 10*time.Millisecond),
		tunnel("default", 15*time.Millisecond),
		tunnel("lte", 30*time.Millisecond),
		tunnel(DefaultTunnel, 20*time.Millisecond),
	}
}

func (c Config) withDefaults() Config {
	if len(c.Tunnels) == 0 {
		c.Tunnels = DefaultTunnels()
	}
	c.Tunnels = slices.Clone(c.Tunnels)
	for i := range c.Tunnels {
		c.Tunnels[i].Settings = c.Tunnels[i].withDefaults()
	}
	if c.Default == "" {
		c.Default = DefaultTunnel
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// validate checks c, defaults filled in, but for the sites, which are checked where they are added.
func (c Config) validate() error {
	if len(c.Tunnels) > maxTunnels {
		return fmt.Errorf("tunnels: %d are too many; give at most %d", len(c.Tunnels), maxTunnels)
	}
	seen := make(map[string]bool, len(c.Tunnels))
	for _, t := range c.Tunnels {
		if err := validName("tunnels", t.Name); err != nil {
			return err
		}
		if seen[t.Name] {
			return fmt.Errorf("tunnels: %s is there twice; give each tunnel a name of its own", t.Name)
		}
		seen[t.Name] = true
		if err := t.Validate(); err != nil {
			return fmt.Errorf("tunnel %s: %w", t.Name, err)
		}
	}
	if !seen[c.Default] {
		return fmt.Errorf("default: there is no tunnel %q; name one of the tunnels", c.Default)
	}
	return nil
}

func (s Site) withDefaults() Site {
	if s.Device == "" {
		s.Device = defaultDevice
	}
	return s
}

func (s Site) validate() error {
	if err := validName("site", s.Name); err != nil {
		return err
	}
	if len(s.Device) > maxDeviceName {
		return fmt.Errorf("site %s: device: %q is too long; a device's name has at most %d bytes", s.Name, s.Device, maxDeviceName)
	}
	if len(s.PodCIDRs) == 0 {
		return fmt.Errorf("site %s: podCIDRs: there is none; give the prefixes that are reached at this site", s.Name)
	}
	for _, p := range s.PodCIDRs {
		if !p.IsValid() || p != p.Masked() {
			return fmt.Errorf("site %s: podCIDRs: %v is not a prefix; its bits behind the mask must be zero", s.Name, p)
		}
	}
	return nil
}

// overlaps returns an error if s and other both claim an address.
func (s Site) overlaps(other Site) error {
	for _, p := range s.PodCIDRs {
		for _, q := range other.PodCIDRs {
			if p.Overlaps(q) {
				return fmt.Errorf("site %s: podCIDRs: %v overlaps %v of site %s; give every site addresses of its own", s.Name, p, q, other.Name)
			}
		}
	}
	return nil
}

const maxNameLength = 63

// validName keeps names usable as arguments and in tables, and apart from the wildcard.
func validName(field, name string) error {
	if len(name) <= maxNameLength && regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`).MatchString(name) {
		return nil
	}
	return fmt.Errorf("%s: %q is not a name; use at most %d lower-case letters, digits, dots and hyphens", field, name, maxNameLength)
}
