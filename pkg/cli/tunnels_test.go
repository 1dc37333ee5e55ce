// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/cli"
)

// watching runs `tunnels cluster-2 --watch` in a cluster whose tunnels all degrade after a while, whose API server is away
// before that, and where the person interrupts at last.
func watching(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
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
	args = append([]string{"--context", "cluster-1", "tunnels", "cluster-2", "--watch"}, args...)
	code = cli.Run(ctx, args, env(clusters, &out, &err))
	return code, out.String(), err.String()
}

// A watch prints what has changed, outlives what cannot be read for a while, and ends well.
func TestTunnelsWatch(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := watching(t)
	tables := strings.Split(stdout, "\n\n")
	if code != 0 || len(tables) != 2 || !strings.Contains(tables[0], "Healthy") || !strings.Contains(tables[1], "Degraded") || strings.Contains(tables[1], "Healthy") {
		t.Errorf("exit code %d:\n%s", code, stdout)
	}
	if strings.Count(stderr, "the API server restarts") != 1 {
		t.Errorf("what it could not read: %q", stderr)
	}
}

// A program that reads a watch gets a list for each change, and knows where it ends.
func TestTunnelsWatchForPrograms(t *testing.T) {
	t.Parallel()
	for format, read := range map[string]func(*testing.T, string) [][]cli.TunnelLine{"json": jsonValues, "yaml": yamlDocuments} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			code, stdout, _ := watching(t, "-o", format)
			lists := read(t, stdout)
			if code != 0 || len(lists) != 2 || len(lists[0]) != 6 || len(lists[1]) != 6 {
				t.Fatalf("exit code %d, %d lists:\n%s", code, len(lists), stdout)
			}
			if before, after := lists[0][5].State, lists[1][5].State; before != v1alpha1.HopHealthy || after != v1alpha1.HopDegraded {
				t.Errorf("a tunnel that degrades is %s, then %s", before, after)
			}
		})
	}
}

func jsonValues(t *testing.T, text string) (lists [][]cli.TunnelLine) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	for {
		var list []cli.TunnelLine
		err := decoder.Decode(&list)
		if errors.Is(err, io.EOF) {
			return lists
		}
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, list)
	}
}

func yamlDocuments(t *testing.T, text string) (lists [][]cli.TunnelLine) {
	t.Helper()
	for document := range strings.SplitSeq(text, "---\n") {
		var list []cli.TunnelLine
		if err := yaml.UnmarshalStrict([]byte(document), &list); err != nil {
			t.Fatal(err)
		}
		lists = append(lists, list)
	}
	return lists
}
