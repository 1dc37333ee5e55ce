// SPDX-License-Identifier: Apache-2.0

package feed

import "errors"

// ErrNotOurs says that the object under the name of a copy is not a copy of that cluster's: it was written by hand or
// for another cluster. A Sink returns it; the advertisement is then refused and the object left alone.
var ErrNotOurs = errors.New("an object of that name exists that is not a copy of this peer's: rename or delete it")
