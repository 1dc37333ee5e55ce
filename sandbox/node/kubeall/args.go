package main

import "strings"

// parseArgs returns the flags of one component: one per line, blank lines and lines that start with # left out. A
// flag is taken as it stands (no quoting), so a value may hold spaces, commas and stars.
func parseArgs(text string) []string {
	var args []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		args = append(args, line)
	}
	return args
}
