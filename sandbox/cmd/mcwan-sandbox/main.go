// SPDX-License-Identifier: Apache-2.0

// Command mcwan-sandbox runs real Kubernetes clusters, joined by a software SD-WAN, on one machine without Docker.
package main

import (
	"os"

	"github.com/l7mp/mc-wan/sandbox/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(cli.Main(version, os.Args[1:], os.Stdout, os.Stderr))
}
