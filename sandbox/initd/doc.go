// SPDX-License-Identifier: Apache-2.0

// Package initd is process 1 of a cluster: it joins the cluster's control group, builds the file system view of a node
// (its own /var/lib, /var/log and /run, so that default paths work), starts the node's programs, restarts those that
// end, and reaps what they leave. When it ends, the kernel ends everything else in the cluster with it.
package initd
