// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// AsInstalled has what Up sets as an installation has it that nobody has tuned, or as Up sets it.
func (b *Bench) AsInstalled(ctx context.Context, yes bool) error {
	standby := mcw.StandbyWarm
	if yes {
		standby = mcw.StandbyCold
	}
	for _, c := range b.clusters() {
		policy := &mcw.WANPolicy{}
		if err := c.Get(ctx, client.ObjectKey{Name: policyFirst}, policy); err != nil {
			return err
		}
		before := policy.DeepCopy()
		policy.Spec.Standby = standby
		if err := c.Patch(ctx, policy, client.MergeFrom(before)); err != nil {
			return err
		}
	}
	return b.tailLossProbes(ctx, yes)
}

// dummyServices switches them on or off in all clusters: a hundred imports with them are thousands of objects that no case
// is about.
func (b *Bench) dummyServices(ctx context.Context, on bool) error {
	const off = "--dummy-services=false"
	return b.everywhere(ctx, "mcw-controller", func(c *corev1.Container) {
		c.Args = slices.DeleteFunc(c.Args, func(arg string) bool { return arg == off })
		if !on {
			c.Args = append(c.Args, off)
		}
	})
}

// everywhere changes the first container of a Deployment of ours in all clusters, and waits for its new pods.
func (b *Bench) everywhere(ctx context.Context, name string, change func(*corev1.Container)) error {
	for _, c := range b.clusters() {
		d, err := deployment(ctx, c, "mc-wan", name)
		if err != nil {
			return err
		}
		before := d.DeepCopy()
		change(&d.Spec.Template.Spec.Containers[0])
		if err := c.Patch(ctx, d, client.MergeFrom(before)); err != nil {
			return err
		}
		if err := rolledOut(ctx, c, "mc-wan", name); err != nil {
			return err
		}
	}
	return nil
}
