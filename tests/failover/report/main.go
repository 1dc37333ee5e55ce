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
	"time"
)

// The file's form is that of package failover, see result.go there.
type (
	request struct {
		Sent    time.Duration `json:"sent"`
		Took    time.Duration `json:"took"`
		Cluster string        `json:"cluster"`
		Tunnel  string        `json:"tunnel"`
		Err     string        `json:"err"`
	}
	way struct {
		Tunnel  string `json:"tunnel"`
		Cluster string `json:"cluster"`
	}
	cell struct {
		Protocol string         `json:"protocol"`
		Sent     int            `json:"sent"`
		Failed   int            `json:"failed"`
		Slowest  time.Duration  `json:"slowest"`
		Errors   map[string]int `json:"errors"`
		Before   way            `json:"before"`
		During   way            `json:"during"`
		After    way            `json:"after"`
		Requests []request      `json:"requests"`
	}
	played struct {
		Name   string        `json:"name"`
		Title  string        `json:"title"`
		Broke  time.Duration `json:"broke"`
		Healed time.Duration `json:"healed"`
		End    time.Duration `json:"end"`
		Ours   []cell        `json:"ours"`
		Plain  []cell        `json:"plain"`
	}
	results struct {
		When     time.Time `json:"when"`
		Clusters int       `json:"clusters"`
		Gateways int       `json:"gateways"`
		Load     [2]string `json:"load"`
		CPUs     int       `json:"cpus"`
		Cases    []played  `json:"cases"`
	}
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
	var r results
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	images := filepath.Join(docs, "images", "failover")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	for _, p := range r.Cases {
		if err := picture(p, filepath.Join(images, p.Name+".png")); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return os.WriteFile(filepath.Join(docs, "failover-report.md"), page(r), 0o644)
}
