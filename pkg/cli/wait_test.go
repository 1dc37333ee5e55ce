// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/cli"
)

// reading is a cluster whose controller says something else of its peers every time one looks, and is away at first.
func reading(c client.WithWatch, states ...metav1.Condition) client.WithWatch {
	var looks atomic.Int32
	return interceptor.NewClient(c, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, key, obj, opts...)
			peer, isPeer := obj.(*v1alpha1.Peer)
			if err != nil || !isPeer {
				return err
			}
			look := int(looks.Add(1)) - 1
			if look == 0 {
				return errors.New("the API server restarts")
			}
			state := states[min(look-1, len(states)-1)]
			state.ObservedGeneration = peer.Generation
			meta.SetStatusCondition(&peer.Status.Conditions, state)
			return nil
		},
	})
}

func feedReady(status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: v1alpha1.ConditionFeedReady, Status: status, Reason: reason, Message: message}
}

// A join tells how both sides come to read each other, once a change, and ends when both do.
func TestJoinFollowsBothSides(t *testing.T) {
	t.Parallel()
	clusters := loadFleet(t, "fresh")
	pending := feedReady(metav1.ConditionUnknown, v1alpha1.ReasonPending, "the feed has not been read yet")
	synced := feedReady(metav1.ConditionTrue, v1alpha1.ReasonSynced, "")
	clusters["cluster-1"] = reading(clusters["cluster-1"], pending, pending, synced)
	clusters["cluster-2"] = reading(clusters["cluster-2"], feedReady(metav1.ConditionFalse, v1alpha1.ReasonUnreachable, "no gateway of cluster-1 answers"), pending, synced)

	code, stdout, stderr := runWith(t, clusters, "--context", "cluster-1", "join", "cluster-2", "--timeout=30s")

	want := `cluster-1: cluster-2 is a peer
cluster-2: cluster-1 is a peer
cluster-1: cluster-2: Pending: the feed has not been read yet
cluster-2: cluster-1: Unreachable: no gateway of cluster-1 answers
cluster-2: cluster-1: Pending: the feed has not been read yet
cluster-1: cluster-2: Synced
cluster-2: cluster-1: Synced
cluster-1 and cluster-2 are joined
`
	if code != cli.ExitOK || stdout != "" {
		t.Errorf("exit code %d, stdout %q", code, stdout)
	}
	if diff := cmp.Diff(want, stderr); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
}

// A person who gives up gets the last state and exit code 1.
func TestInterruptedWait(t *testing.T) {
	t.Parallel()
	clusters := loadFleet(t, "fresh")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	clusters["cluster-1"] = interceptor.NewClient(clusters["cluster-1"], interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, key, obj, opts...)
			if _, isPeer := obj.(*v1alpha1.Peer); isPeer && err == nil {
				cancel()
			}
			return err
		},
	})
	var stderr bytes.Buffer
	code := cli.Run(ctx, []string{"--context", "cluster-1", "join", "-f", "testdata/cards/cluster-2.yaml"}, env(clusters, new(bytes.Buffer), &stderr))
	if code != cli.ExitFailed || !strings.Contains(stderr.String(), "interrupted: ") {
		t.Errorf("exit code %d, stderr:\n%s", code, stderr.String())
	}
}

// A negative duration is refused before any cluster is looked at: here there is none.
func TestNegativeDurations(t *testing.T) {
	t.Parallel()
	flag := regexp.MustCompile(`(--[a-z-]+) duration `)
	found := 0
	for _, command := range commands {
		_, help, _ := runWith(t, fleet{}, command, "--help")
		for _, match := range flag.FindAllStringSubmatch(help, -1) {
			found++
			code, _, stderr := runWith(t, fleet{}, command, match[1]+"=-1s")
			if code != cli.ExitUsage || !strings.Contains(stderr, "must not be negative") {
				t.Errorf("%s %s=-1s: exit code %d, stderr %q", command, match[1], code, stderr)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d durations are found in the help", found)
	}
}

func runWith(t *testing.T, clusters fleet, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = cli.Run(t.Context(), args, env(clusters, &out, &err))
	return code, out.String(), err.String()
}

func env(clusters fleet, out, err *bytes.Buffer) cli.Env {
	return cli.Env{
		In: strings.NewReader(""), Out: out, Err: err, Version: "v0.1.0", Poll: time.Millisecond,
		Open: func(string) cli.Clusters { return clusters },
	}
}
