// SPDX-License-Identifier: Apache-2.0

// Package flagfile reads files of command line flags. It is apart from the command that uses it because linking that
// command, for a test, takes half a minute.
package flagfile

import "strings"

// Parse returns the flags in text: one per line, blank lines and lines that start with # left out. A flag is taken as it
// stands (no quoting), so a value may hold spaces, commas and stars.
func Parse(text string) []string {
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
