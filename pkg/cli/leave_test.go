// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/cli"
)

// Who may not delete the Peer on the other side has left on neither.
func TestLeaveBothOrNone(t *testing.T) {
	t.Parallel()
	clusters := loadFleet(t, "joined")
	clusters["cluster-2"] = interceptor.NewClient(clusters["cluster-2"], interceptor.Funcs{
		Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error {
			return errors.New("forbidden")
		},
	})
	code, _, stderr := runWith(t, clusters, "--context", "cluster-1", "leave", "cluster-2", "--both")
	if code != cli.ExitFailed || !strings.Contains(stderr, "context cluster-2: deleting Peer cluster-1: forbidden") {
		t.Errorf("exit code %d, stderr:\n%s", code, stderr)
	}
	peer := &v1alpha1.Peer{}
	if err := clusters["cluster-1"].Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: "cluster-2"}, peer); err != nil {
		t.Errorf("the Peer here: %v", err)
	}
}
