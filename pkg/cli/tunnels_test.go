// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/cli"
)

// A watch prints what has changed, outlives what cannot be read for a while, and ends well.
func TestTunnelsWatch(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	looks := 0
	clusters := loadFleet(t, "joined")
	clusters["cluster-1"] = interceptor.NewClient(clusters["cluster-1"], interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			peers, isPeers := list.(*v1alpha1.PeerList)
			if !isPeers {
				return c.List(ctx, list, opts...)
			}
			switch looks++; looks {
			case 3, 4:
				return errors.New("the API server restarts")
			case 7:
				interrupt()
			}
			if err := c.List(ctx, list, opts...); err != nil || looks < 5 {
				return err
			}
			for i := range peers.Items {
				for k := range peers.Items[i].Status.Hops {
					peers.Items[i].Status.Hops[k].State = v1alpha1.HopDegraded
				}
			}
			return nil
		},
	})
	var out, err bytes.Buffer
	code := cli.Run(ctx, []string{"--context", "cluster-1", "tunnels", "cluster-2", "--watch"}, env(clusters, &out, &err))
	tables := strings.Split(out.String(), "\n\n")
	if code != 0 || len(tables) != 2 || !strings.Contains(tables[0], "Healthy") || !strings.Contains(tables[1], "Degraded") || strings.Contains(tables[1], "Healthy") {
		t.Errorf("exit code %d:\n%s", code, out.String())
	}
	if strings.Count(err.String(), "the API server restarts") != 1 {
		t.Errorf("what it could not read: %q", err.String())
	}
}
