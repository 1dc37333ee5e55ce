// SPDX-License-Identifier: Apache-2.0

package translate

// AnnotationShares on a leg's VirtualService or a TCP path's ServiceEntry is Shares.String of the shares in use.
const AnnotationShares = "mcw.l7mp.io/shares"

// Shares are the exporters' shares of a service port's traffic in percent. They sum to 100 and hold no zero.
type Shares map[string]int32

// String is "cluster=percent,..." in the order of cluster ids.
func (s Shares) String() string { return "" }

// ParseShares reads what String wrote; nil for anything else.
func ParseShares(text string) Shares { return nil }

// NextShares are the shares that follow from the exporters' ready backends and the shares in use.
func NextShares(previous Shares, exporters []Exporter) Shares { return nil }
