// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// DeviceFlags are the flags that a site's TUN device must be created with, as `ip tuntap add dev wan0 mode tun` does: IP
// packets without a prefix, and neither IFF_MULTI_QUEUE nor IFF_VNET_HDR. So the kernel segments and sums up packets before
// they enter the SD-WAN, and each packet that is delayed, lost or counted is one packet of the wire.
const DeviceFlags = unix.IFF_TUN | unix.IFF_NO_PI

const (
	maxDeviceName = unix.IFNAMSIZ - 1
	cloneDevice   = "/dev/net/tun"

	// queueLength is the number of packets that the kernel holds until the SD-WAN reads them; what comes on top it drops, and
	// counts at the device only. A TUN device is made with 500, which the first windows of fifty connections fill.
	queueLength = 10000
)

// openTUN attaches to the TUN device of a site, which must exist. An open device keeps the namespace that it was opened in
// alive, so gone has to be asked from time to time.
func openTUN(s Site) (*attachment, error) {
	if s.NetnsPath == "" {
		f, err := attachTUN(s.Device)
		if err != nil {
			return nil, err
		}
		return &attachment{device: f, gone: func() bool { return false }}, nil
	}
	id, err := identify(s.NetnsPath)
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w; is the cluster up?", s.NetnsPath, err)
	}
	var f *os.File
	err = inNetns(s.NetnsPath, func() error {
		var err error
		f, err = attachTUN(s.Device)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", s.NetnsPath, err)
	}
	gone := func() bool {
		now, err := identify(s.NetnsPath)
		return err != nil || now != id
	}
	return &attachment{device: f, gone: gone}, nil
}

// inNetns calls f with its thread in the network namespace at path.
func inNetns(path string, f func() error) error {
	errs := make(chan error, 1)
	go func() {
		// The thread is never unlocked, so it ends with this goroutine and no other one runs in the namespace by mistake.
		runtime.LockOSThread()
		if err := enter(path); err != nil {
			errs <- err
			return
		}
		errs <- f()
	}()
	return <-errs
}

func enter(path string) error {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return err
	}
	if err := errors.Join(netns.Set(ns), ns.Close()); err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	return nil
}

// attachTUN opens an existing TUN device of this thread's network namespace.
func attachTUN(name string) (*os.File, error) {
	if _, err := net.InterfaceByName(name); err != nil { // the kernel would create it, to vanish with this process
		return nil, fmt.Errorf("there is no device %s; create it with `ip tuntap add dev %s mode tun`: %w", name, name, err)
	}
	fd, err := unix.Open(cloneDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w; is the kernel's tun module loaded?", cloneDevice, err)
	}
	if err := setTUN(fd, name); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	if err := setQueueLength(name); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	// Only now, for the runtime polls the file from here on, and an unattached one cannot be polled.
	return os.NewFile(uintptr(fd), name), nil
}

func setTUN(fd int, name string) error {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	req.SetUint16(DeviceFlags)
	err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("device %s is held by another process; stop the other SD-WAN first: %w", name, err)
	case err != nil:
		return fmt.Errorf("attach to device %s, which must be a TUN device without multi_queue: %w", name, err)
	}
	return nil
}

func setQueueLength(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("device %s: set its queue length: %w", name, err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint32(queueLength)
		err = unix.IoctlIfreq(fd, unix.SIOCSIFTXQLEN, req)
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("device %s: set its queue length: %w", name, err)
	}
	return nil
}

// namespaceID tells namespaces apart.
type namespaceID struct{ device, inode uint64 }

func identify(path string) (namespaceID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return namespaceID{}, err
	}
	return namespaceID{device: st.Dev, inode: st.Ino}, nil
}
