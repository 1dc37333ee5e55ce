// SPDX-License-Identifier: Apache-2.0

// Package snapshot collects, for one key (a service, a path, the fleet), the values that package translate decides on.
// What it collects from is a Lister: the controller's cache, or files. It decides nothing itself.
package snapshot
