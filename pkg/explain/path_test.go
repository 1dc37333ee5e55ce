// SPDX-License-Identifier: Apache-2.0

package explain

import "testing"

// The table of docs/steering.md, and the corners of RFC 3986 as Envoy has them.
func TestNormalized(t *testing.T) {
	for _, tc := range []struct{ path, none, base, merge, decode string }{
		{"/a", "/a", "/a", "/a", "/a"},
		{"/x/../a", "/x/../a", "/a", "/a", "/a"},
		{"/x/%2e%2E/a", "/x/%2e%2E/a", "/a", "/a", "/a"},
		{`/a\b`, `/a\b`, "/a/b", "/a/b", "/a/b"},
		{"//a", "//a", "//a", "/a", "/a"},
		{"/a%2Fb", "/a%2Fb", "/a%2Fb", "/a%2Fb", "/a/b"},
		{"/a%5c..%2fb", "/a%5c..%2fb", "/a%5c..%2fb", "/a%5c..%2fb", "/b"},
		{"/../a", "/../a", "/a", "/a", "/a"},
		{"/a/..", "/a/..", "/", "/", "/"},
		{"/a/b/..", "/a/b/..", "/a/", "/a/", "/a/"},
		{"/a/.", "/a/.", "/a/", "/a/", "/a/"},
		{"/a//../b", "/a//../b", "/a/b", "/a/b", "/a/b"},
		{"/%41%7e%20%2520", "/%41%7e%20%2520", "/A~%20%2520", "/A~%20%2520", "/A~%20%2520"},
		{"/...", "/...", "/...", "/...", "/..."},
	} {
		for how, want := range map[string]string{
			"NONE": tc.none, "": tc.base, "DEFAULT": tc.base, "BASE": tc.base, "MERGE_SLASHES": tc.merge, "DECODE_AND_MERGE_SLASHES": tc.decode,
		} {
			if got := (Mesh{PathNormalization: how}).normalized(tc.path); got != want {
				t.Errorf("%s with %q is %s, want %s", tc.path, how, got, want)
			}
		}
	}
}
