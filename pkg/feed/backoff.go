// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff doubles the pause from least to most; half of each pause is random, so that clusters which lost the same
// peer do not come back at the same moment.
type backoff struct {
	least, most time.Duration
	current     time.Duration
}

func (b *backoff) next() time.Duration {
	b.current = min(max(b.current, b.least), b.most)
	pause := b.current/2 + rand.N(b.current/2+1) // not a secret
	b.current *= 2
	return pause
}

func (b *backoff) reset() { b.current = 0 }

// sleep waits and says whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
