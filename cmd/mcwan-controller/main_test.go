// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestWrongUsage(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"help":             {[]string{"--help"}, 0, "--cluster-id"},
		"unknown flag":     {[]string{"--nonsense"}, 2, "nonsense"},
		"argument":         {[]string{"start"}, 2, `unknown argument "start"`},
		"wrong log level":  {[]string{"--log-level=loud"}, 2, "choose debug, info, warn or error"},
		"wrong log format": {[]string{"--log-format=xml"}, 2, "choose json or text"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			code := run(t.Context(), c.args, &out)
			if code != c.code || !strings.Contains(strings.ReplaceAll(out.String(), "  -", "--"), c.want) {
				t.Errorf("exit code %d:\n%s", code, out.String())
			}
		})
	}
}
