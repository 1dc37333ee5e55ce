// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package probe

import (
	"net"
	"time"
)

// kernelRTT is not known here.
func kernelRTT(*net.TCPConn) (time.Duration, bool) { return 0, false }
