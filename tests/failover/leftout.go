// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// maxLength is less than Envoy leaves a hop out for (15 s), so what is left out at the end is all that was.
const maxLength = 12 * time.Second

// leftOut are the hops that the consumer's egress gateways leave out now, because of what Envoy itself has seen of them.
func (b *Bench) leftOut(ctx context.Context) ([]string, error) {
	pods, err := b.Consumer.ReadyPods(ctx, "mc-wan", client.MatchingLabels{mcw.LabelGateway: mcw.GatewayEgress})
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, errors.New("no egress gateway is ready")
	}
	var left []string
	for i := range pods {
		out, err := b.Consumer.Exec(ctx, &pods[i], "istio-proxy", "pilot-agent", "request", "GET", "clusters")
		if err != nil {
			return nil, err
		}
		hops := 0
		for line := range strings.Lines(out) {
			hop, flags, isFlags := strings.Cut(strings.TrimSpace(line), "::health_flags::")
			if isFlags {
				hops++
			}
			if strings.Contains(flags, "/failed_outlier_check") {
				left = append(left, pods[i].Name+": "+hop)
			}
		}
		if hops == 0 {
			return nil, fmt.Errorf("%s names no hop", pods[i].Name)
		}
	}
	return left, nil
}

// noneLeftOut waits until that is none.
func (b *Bench) noneLeftOut(ctx context.Context) error {
	return story.Eventually(ctx, readyWithin, "no hop is left out", func(ctx context.Context) error {
		left, err := b.leftOut(ctx)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("left out are %v", left)
		}
		return err
	})
}
