// SPDX-License-Identifier: Apache-2.0

// Package integration runs the real controllers of several clusters against real API servers in one process. Gateways
// are played by an http.RoundTripper that says who calls, as they do, and that can be cut, garbled or refused. There is
// no kube-controller-manager: EndpointSlices are written by hand.
//
// The API servers come from the directory in KUBEBUILDER_ASSETS (`make test-integration`), else from bin/ of the
// repository, where `make sandbox-build` puts them.
package integration
