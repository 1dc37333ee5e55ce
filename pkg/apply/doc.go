// SPDX-License-Identifier: Apache-2.0

// Package apply is the one way in which mc-wan writes to an API server: server-side apply under one field manager,
// skipped where nothing has drifted, never over an object that is not ours, pruned only among what is ours.
//
// What has drifted is decided from the informer cache and from the fields that the object itself records as ours, so
// that a restarted controller writes nothing when nothing has changed.
package apply
