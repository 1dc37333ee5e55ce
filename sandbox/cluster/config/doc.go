// SPDX-License-Identifier: Apache-2.0

// Package config renders the configuration of everything that runs in one cluster: flags of the Kubernetes components
// and etcd, the configuration files of kubelet, kube-proxy, containerd and CNI. It is a pure function of its input.
package config
