// SPDX-License-Identifier: Apache-2.0

// Package process remembers a process across runs of mcwan-sandbox in a way that survives reuse of its number.
package process

import (
	"fmt"
	"os"
	"strings"
)

// ID names one process for good.
type ID struct {
	PID int `json:"pid"`
	// Start is when it started, in clock ticks after boot, and Boot which boot of the machine that was.
	Start string `json:"start"`
	Boot  string `json:"boot"`
}

// Identify names a process that exists.
func Identify(pid int) (ID, error) {
	start, zombie, err := startOf(pid)
	if err != nil {
		return ID{}, err
	}
	if zombie {
		return ID{}, fmt.Errorf("process %d has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ID{}, err
	}
	return ID{PID: pid, Start: start, Boot: strings.TrimSpace(string(boot))}, nil
}

// Alive says whether the process still runs.
func (id ID) Alive() bool {
	now, err := Identify(id.PID)
	return err == nil && now == id
}

// startOf reads fields 3 and 22 of /proc/PID/stat; the second field, the name, may hold spaces and parentheses.
func startOf(pid int) (start string, zombie bool, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false, err
	}
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return "", false, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields[19], fields[0] == "Z" || fields[0] == "X", nil
}
