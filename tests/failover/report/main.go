// SPDX-License-Identifier: Apache-2.0

// Command report makes docs/failover-report.md and its images of what tests/failover/cmd has written down. It is a module
// of its own, so that what draws images stays out of the product's module graph.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/l7mp/mc-wan/tests/failover/result"
)

func main() {
	in := flag.String("in", "build/failover/results.json", "what tests/failover/cmd wrote")
	docs := flag.String("docs", "docs", "the folder of failover-report.md and images/failover")
	flag.Parse()
	if err := run(*in, *docs); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(in, docs string) error {
	text, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	var r result.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	images := filepath.Join(docs, "images", "failover")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	for _, played := range r.Runs {
		for _, p := range played.Cases {
			if err := picture(p, filepath.Join(images, name(played, p)+".png")); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
		}
	}
	return os.WriteFile(filepath.Join(docs, "failover-report.md"), page(r), 0o644)
}
