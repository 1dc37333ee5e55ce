// SPDX-License-Identifier: Apache-2.0

// Command mcwanctl exports services to other clusters over an SD-WAN, joins clusters and shows what stands where.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/l7mp/mc-wan/pkg/cli"
)

// version is set by the linker, see the Makefile.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: version})
	stop()
	os.Exit(code)
}
