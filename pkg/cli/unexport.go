// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

func newUnexportCmd(a *app) *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "unexport NAME/NAMESPACE",
		Short: "Stop letting other clusters call a service",
		Long: `unexport takes an export back: it deletes the ServiceExport. The Service itself stays.

Other clusters first move to another exporter, if there is one; then the route is taken away. Where
no cluster exports the service any more, its ServiceImport and its clusterset.local name disappear.`,
		Example: `  mcwanctl --context cluster-2 unexport payment/secure

  # Wait until other clusters have moved away and the route is gone.
  mcwanctl --context cluster-2 unexport payment/secure --wait`,
		Args:              exactly("NAME/NAMESPACE"),
		ValidArgsFunction: a.completeExports,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.unexport(cmd.Context(), args[0], wait, timeout)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the service is no longer advertised")
	addTimeout(cmd, &timeout, time.Minute, "how long --wait waits")
	return cmd
}

func (a *app) unexport(ctx context.Context, arg string, wait bool, timeout time.Duration) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	key, err := a.target(arg, c.Namespace)
	if err != nil {
		return err
	}
	export := &mcsv1beta1.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	err = c.Delete(ctx, export)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s is not exported from context %s", short(key), c.Context)
	}
	if err != nil {
		return c.explain("deleting ServiceExport "+short(key), err)
	}
	a.say("%s is no longer exported", short(key))
	if !wait {
		return nil
	}
	own, err := c.self(ctx)
	if err != nil {
		return err
	}
	err = a.until(ctx, timeout, func(ctx context.Context) (bool, string, error) {
		adverts, err := advertisements(ctx, c, key)
		i := slices.IndexFunc(adverts, func(s v1alpha1.ServiceAdvertisement) bool { return s.Spec.ClusterID == own.Spec.ClusterID })
		switch {
		case err != nil:
			return false, "", err
		case i < 0:
			return true, "", nil
		case adverts[i].Spec.Draining:
			return false, "other clusters have not all moved away", nil
		default:
			return false, "the service is still advertised", nil
		}
	})
	if err != nil {
		return fmt.Errorf("the route of %s is not gone: %w", short(key), err)
	}
	a.say("the route of %s is gone", short(key))
	return nil
}
