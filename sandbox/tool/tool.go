// SPDX-License-Identifier: Apache-2.0

// Package tool runs the programs that a user would run by hand: istioctl, helm, mcwanctl, ctr.
package tool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Run runs a program to its end and writes the command and all it says to log. The error quotes its last line on
// standard error. The program ends with this process, however that ends.
func Run(ctx context.Context, log io.Writer, program string, args ...string) error {
	if _, err := fmt.Fprintf(log, "+ %s %s\n", program, strings.Join(args, " ")); err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = log, io.MultiWriter(log, &stderr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, lastLine(stderr.String()))
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
