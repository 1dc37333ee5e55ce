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

// Run runs a program to its end and writes the command and all it says to log, in the order in which it says it. The
// error quotes the last line. The program ends with this process, however that ends.
func Run(ctx context.Context, log io.Writer, program string, args ...string) error {
	if _, err := fmt.Fprintf(log, "+ %s %s\n", program, strings.Join(args, " ")); err != nil {
		return err
	}
	var said bytes.Buffer
	output := io.MultiWriter(log, &said)
	cmd := exec.CommandContext(ctx, program, args...)
	// One writer for both: os/exec then writes from one goroutine only, so log need not be safe for two.
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, lastLine(said.String()))
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
