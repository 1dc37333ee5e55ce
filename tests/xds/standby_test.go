// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"fmt"
	"strings"
	"testing"

	"istio.io/istio/pilot/pkg/simulation"
)

const standbyHost = "standby.mc-wan.svc.clusterset.local"

// The feed port leads the controller over each warm path, and once more over the path's next rank because of the first
// answer; paths that are not kept warm have no such route.
func TestStandbyLeg(t *testing.T) {
	const name = "warm"
	p := start(t, name).egress()
	warm := 0
	for _, d := range documents(t, goldens, name, "out.yaml") {
		if d.Kind != "ServiceEntry" || !strings.HasPrefix(d.Metadata.Name, "path-") {
			continue
		}
		c := mtls(9443, simulation.HTTP2, egressService, "outbound_.9443_._."+egressService)
		c.Path = "/standby/" + d.Metadata.Name
		got := p.sim.Run(c)
		if !strings.HasPrefix(d.Metadata.Name, "path-sd-wan-priority-high-") {
			if got.Error != simulation.ErrNoRoute { //nolint:errorlint // the simulation returns them as they are
				t.Errorf("%s leads to %q, %v", c.Path, got.ClusterMatched, got.Error)
			}
			continue
		}
		warm++
		if want := "outbound|443||" + d.Metadata.Name + ".wan.mcw.internal"; got.Error != nil || got.ClusterMatched != want {
			t.Errorf("%s leads to %q, %v", c.Path, got.ClusterMatched, got.Error)
		}
		found := p.first(p.routesFor(c), request{"GET", c.Path, nil})
		a, retry := p.answer(found), found.GetRoute().GetRetryPolicy()
		if a.Authority != standbyHost || a.Retries != 1 || !a.NextRank || fmt.Sprint(retry.RetriableStatusCodes) != "[204]" || !strings.Contains(a.RetryOn, "retriable-status-codes") {
			t.Errorf("%s: %+v, %v", c.Path, a, retry)
		}
	}
	if warm < 2 {
		t.Errorf("only %d warm paths in the case", warm)
	}
}

// At the peer the ingress gateway answers itself, on every policy's port: the second attempt as the last one.
func TestStandbyIngress(t *testing.T) {
	p := start(t, "warm").ingress()
	for _, port := range []int{31111, 31112} {
		call := mtls(port, simulation.HTTP2, standbyHost, wan)
		for attempt, want := range map[string]int{"1": 204, "2": 200, "": 204} {
			headers := map[string]string{}
			if attempt != "" {
				headers["x-envoy-attempt-count"] = attempt
			}
			if a := p.answer(p.first(p.routesFor(call), request{"GET", "/", headers})); a.Status != want || len(a.Clusters) > 0 {
				t.Errorf("port %d, attempt %q: %+v", port, attempt, a)
			}
		}
	}
}
