// SPDX-License-Identifier: Apache-2.0

// Package cluster boots and ends one Kubernetes cluster of one node: real etcd, API server, controller manager,
// scheduler, kubelet, containerd, runc and kube-proxy, in a network namespace made by package network and below a
// process 1 of its own (package initd). A cluster's files survive the end of its processes, so booting it again is
// what turning a machine off and on is.
package cluster
