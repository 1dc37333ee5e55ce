// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerAlarm is an alarm by a timerfd. The runtime's own timers are rounded to its poller's milliseconds when the process is
// otherwise idle, which is too coarse for latencies that are to be true to the millisecond.
type timerAlarm struct {
	file *os.File
	conn syscall.RawConn
	spec unix.ItimerSpec
	arm  func(fd uintptr) // made once, for Set is called per packet
	buf  [8]byte
}

func newTimerAlarm() (alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	a := &timerAlarm{file: os.NewFile(uintptr(fd), "timer")}
	if a.conn, err = a.file.SyscallConn(); err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	// Setting a timer fails only for bad arguments, and these are right.
	a.arm = func(fd uintptr) { _ = unix.TimerfdSettime(int(fd), 0, &a.spec, nil) }
	return a, nil
}

// Set implements alarm. Once the alarm is closed nobody waits for it, so that it then does nothing is no error.
func (a *timerAlarm) Set(after time.Duration) {
	a.spec.Value = unix.NsecToTimespec(int64(max(after, 1))) // zero would disarm
	_ = a.conn.Control(a.arm)
}

// Wait implements alarm.
func (a *timerAlarm) Wait() error {
	_, err := a.file.Read(a.buf[:])
	return err
}

// Close implements alarm.
func (a *timerAlarm) Close() error { return a.file.Close() }
