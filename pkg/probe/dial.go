// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/l7mp/mc-wan/pkg/translate"
)

// Dial makes one handshake with a hop. It returns within GiveUp.
type Dial func(ctx context.Context, hop translate.HopKey) Result

// Handshake is the Dial of the real world: a TCP connection to the hop's address and port that is reset as soon as it
// stands. Nothing is sent over it, so the peer has to grant nothing. The time is the kernel's own measurement where the
// kernel tells it, so that a busy process does not measure itself.
func Handshake(ctx context.Context, hop translate.HopKey) Result {
	dialer := net.Dialer{Timeout: GiveUp, KeepAlive: -1}
	start := time.Now()
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(hop.Address, strconv.Itoa(int(hop.Port))))
	result := Result{Sent: start, Kind: kindOf(err), RTT: time.Since(start)}
	if err != nil {
		return result
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if rtt, ok := kernelRTT(tcp); ok {
			result.RTT = rtt
		}
		_ = tcp.SetLinger(0) // else the connection stays in TIME_WAIT; harmless if it cannot be set
	}
	_ = conn.Close() // nothing was sent, so nothing can be lost
	return result
}

// kindOf sorts the errors of connect(2).
func kindOf(err error) Kind {
	var timeout net.Error
	switch {
	case err == nil:
		return Answered
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return Lost
	case errors.As(err, &timeout) && timeout.Timeout():
		return Lost
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Refused
	}
	return Broken
}
