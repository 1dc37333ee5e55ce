// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/cli"
	"github.com/l7mp/mc-wan/tests/story"
)

// TestByHand imports a service of a cluster that has not joined.
func TestByHand(t *testing.T) {
	w := newTraffic(t, 2)
	if w.wan == nil {
		t.Skip("needs to know the clusters' trust domains, which are the sandbox's")
	}
	here, there := w.clusters[0], w.clusters[1]
	w.deploy(there, "12-protocols.yaml", "protocols", shop)
	w.ok(there.WaitReady(w.ctx, story.NamespaceSidecar, shop))
	w.part(here, there)
	w.eventually("the import of the joined cluster gone", func(ctx context.Context) error {
		err := here.Get(ctx, client.ObjectKey{Namespace: story.NamespaceSidecar, Name: shop}, &mcs.ServiceImport{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})

	addresses, err := there.GatewayAddresses(w.ctx, "ingress")
	w.ok(err)
	out := w.mcwanctl(here, "import", shop+"/"+story.NamespaceSidecar, "--ingress-gw="+strings.Join(addresses, ","), "--cluster=far-away",
		"--trust-domain=td-2", "--wan-policy=high", "--port=http:8080", "--wait", "--timeout=3m")
	if !strings.Contains(out, "td-1/ns/mc-wan/sa/mcw-egress") {
		t.Errorf("import does not say whom the other cluster must admit: %s", out)
	}
	c := w.client(story.NamespacePlain)
	w.eventually("an importer that nobody has admitted turned away", func(ctx context.Context) error {
		code, text, err := c.Status(ctx, shopURL)
		if err == nil && code != 403 {
			err = fmt.Errorf("status %d: %s", code, text)
		}
		return err
	})
	for _, o := range w.objects("17-admit-importer.yaml", "", "") {
		w.ok(there.ApplyObject(w.ctx, o))
		t.Cleanup(func() { w.remove(there, o) })
	}
	w.eventually("answers of "+there.Name, func(ctx context.Context) error {
		got, err := c.Get(ctx, shopURL)
		if err == nil && (got.Cluster != there.Name || got.Headers.Get(mcw.HeaderWANPort) != "31111") {
			err = fmt.Errorf("answered by %s on port %s", got.Cluster, got.Headers.Get(mcw.HeaderWANPort))
		}
		return err
	})
	if out := w.mcwanctl(here, "status", shop+"/"+story.NamespaceSidecar); !strings.Contains(out, "far-away (by hand)") {
		t.Errorf("status does not say where the import comes from: %s", out)
	}
	t.Run("IPv6", func(t *testing.T) { w.in(t).byIPv6(here, there, inFamily(addresses, corev1.IPv6Protocol)) })
	w.mcwanctl(here, "unimport", shop+"/"+story.NamespaceSidecar)
	w.eventually("the name gone", func(ctx context.Context) error {
		code, text, err := c.Status(ctx, shopURL)
		if err == nil && !strings.Contains(text, "Could not resolve host") {
			err = fmt.Errorf("status %d: %s", code, text)
		}
		return err
	})
}

// byIPv6 has the gateways of the other cluster called at their IPv6 addresses, by plan and by what the SD-WAN carries.
func (w *traffic) byIPv6(here, there *story.Cluster, addresses []string) {
	w.t.Helper()
	if len(addresses) == 0 {
		w.t.Skipf("needs IPv6, and the gateways of %s have none", there.Name)
	}
	w.mcwanctl(here, "unimport", shop+"/"+story.NamespaceSidecar)
	before, err := w.wan.Counters(w.ctx)
	w.ok(err)
	w.mcwanctl(here, "import", shop+"/"+story.NamespaceSidecar, "--ingress-gw="+strings.Join(addresses, ","), "--cluster=far-away",
		"--trust-domain=td-2", "--wan-policy=high", "--port=http:8080", "--wait", "--timeout=3m")
	for _, namespace := range []string{story.NamespacePlain, story.NamespaceSidecar} {
		c := w.client(namespace)
		w.eventually("answers of "+there.Name+" over IPv6 to "+namespace, func(ctx context.Context) error {
			got, err := c.Get(ctx, shopURL)
			if err == nil && got.Cluster != there.Name {
				err = fmt.Errorf("answered by %s", got.Cluster)
			}
			return err
		})
	}
	w.eventually("connections over IPv6 in the SD-WAN's counters", func(ctx context.Context) error {
		now, err := w.wan.Counters(ctx)
		if err != nil {
			return err
		}
		for _, f := range now.Since(before) {
			if slices.Contains(addresses, f.Destination) && f.Connections > 0 {
				return nil
			}
		}
		return fmt.Errorf("none to %v", addresses)
	})
}

// part has two clusters leave each other until the test ends.
func (w *traffic) part(a, b *story.Cluster) {
	w.t.Helper()
	for _, side := range [][2]*story.Cluster{{a, b}, {b, a}} {
		card, err := side[0].CardOf(w.ctx, side[1])
		w.ok(err)
		w.ok(side[0].Delete(w.ctx, card.DeepCopy()))
		w.t.Cleanup(func() {
			if err := side[0].Create(context.WithoutCancel(w.ctx), card); err != nil {
				w.t.Error(err)
			}
		})
	}
}

// mcwanctl runs the command on a cluster and returns all that it says.
func (w *traffic) mcwanctl(c *story.Cluster, args ...string) string {
	w.t.Helper()
	var out bytes.Buffer
	args = append([]string{"--kubeconfig", sandboxKubeconfig(w.t, strings.Fields(os.Getenv("MCWAN_SANDBOX"))), "--context", c.Name}, args...)
	if code := cli.Run(w.ctx, args, cli.Env{In: strings.NewReader(""), Out: &out, Err: &out}); code != 0 {
		w.t.Fatalf("mcwanctl %s: exit code %d: %s", strings.Join(args, " "), code, out.String())
	}
	return out.String()
}
