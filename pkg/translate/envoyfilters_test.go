// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"testing"

	clientv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// What was sent again has the time to be acknowledged over the slowest tunnel: else every retransmission there would end
// the connection.
func TestAcknowledgementsHaveTheTimeOfTheSlowestTunnel(t *testing.T) {
	for _, tc := range []struct {
		latencies []int32
		want      float64
	}{
		{nil, 300}, {[]int32{0}, 300}, {[]int32{40, 120}, 300}, {[]int32{100, 400}, 400}, {[]int32{800, 40}, 800},
	} {
		var policies []v1alpha1.WANPolicy
		for _, latency := range tc.latencies {
			policies = append(policies, policy("p", latency))
		}
		filter := unacknowledged(policies).(*clientv1alpha3.EnvoyFilter)
		options := filter.Spec.ConfigPatches[0].Patch.Value.Fields["upstream_bind_config"].GetStructValue().Fields["socket_options"].GetListValue()
		if got := options.Values[0].GetStructValue().Fields["int_value"].GetNumberValue(); got != tc.want {
			t.Errorf("latencies %v: %v ms, want %v", tc.latencies, got, tc.want)
		}
	}
}
