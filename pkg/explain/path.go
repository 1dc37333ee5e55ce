// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"regexp"
	"strings"
)

// Mesh is what answers depend on besides what a snapshot holds.
type Mesh struct {
	// Live says that the snapshot is what stands in a cluster, and not what would be made of files: what is not there yet,
	// or is somebody else's, carries nothing.
	Live bool
	// VirtualServices are those of others in the cluster, by which clients with a sidecar may go elsewhere.
	VirtualServices []VirtualService
	// PathNormalization is pathNormalization.normalization of the mesh configuration: NONE, BASE, MERGE_SLASHES or
	// DECODE_AND_MERGE_SLASHES. Empty and DEFAULT are BASE.
	PathNormalization string
}

// The values of Istio's pathNormalization that change what istiod tells the gateways (setup of HTTP connection managers in
// pilot/pkg/networking/core/listener_builder.go).
const (
	normalizeNone        = "NONE"
	normalizeMerge       = "MERGE_SLASHES"
	normalizeDecodeMerge = "DECODE_AND_MERGE_SLASHES"
)

// normalized is a path, without its query, as the gateways' Envoys have it before any match looks at it: escaped slashes
// decoded, then as RFC 3986 has it, then slashes merged, as far as the mesh says so.
func (m Mesh) normalized(path string) string {
	if m.PathNormalization == normalizeNone {
		return path
	}
	if m.PathNormalization == normalizeDecodeMerge {
		path = strings.NewReplacer("%2F", "/", "%2f", "/", "%5C", `\`, "%5c", `\`).Replace(path)
	}
	path = canonical(path)
	if m.PathNormalization == normalizeMerge || m.PathNormalization == normalizeDecodeMerge {
		path = regexp.MustCompile("/+").ReplaceAllString(path, "/")
	}
	return path
}

// canonical is RFC 3986's normal form (6.2.2) as Envoy makes it: backslashes are slashes, unreserved characters are not
// escaped, and dot segments are followed. Empty segments stay.
func canonical(path string) string {
	path = regexp.MustCompile(`%(2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aA]|5[fF]|6[1-9a-fA-F]|7[0-9aA]|7[eE])`).ReplaceAllStringFunc(path, unescaped)
	var out []string
	segments := strings.Split(strings.ReplaceAll(path, `\`, "/"), "/")[1:]
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == ".." && len(out) > 0:
			out = out[:len(out)-1]
		case s != "." && s != "..":
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "") // what names a folder ends with a slash
		}
	}
	return "/" + strings.Join(out, "/")
}

// unescaped is the character of an escape such as %41.
func unescaped(escape string) string {
	const digits = "0123456789abcdef"
	hex := strings.ToLower(escape[1:])
	return string(rune(16*strings.IndexByte(digits, hex[0]) + strings.IndexByte(digits, hex[1])))
}
