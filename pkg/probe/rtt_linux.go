// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// kernelRTT is the time between SYN and SYN-ACK: the only round trip that the kernel has seen on a new connection (tcp(7),
// TCP_INFO, tcpi_rtt).
func kernelRTT(conn *net.TCPConn) (time.Duration, bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	var info *unix.TCPInfo
	var failed error
	if err := raw.Control(func(fd uintptr) {
		info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil || failed != nil || info.Rtt == 0 {
		return 0, false
	}
	return time.Duration(info.Rtt) * time.Microsecond, true
}
