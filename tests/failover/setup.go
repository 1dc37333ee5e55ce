// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// Namespace is where the bench's service and client live, in every cluster.
const Namespace = "failover"

const (
	serviceName = "target"
	serviceHost = serviceName + "." + Namespace + ".svc.clusterset.local"
	clientName  = "client"
	sidecarName = "client-sidecar"

	policyFirst, policySecond = "failover-first", "failover-second"
	// policyThird is the chart's, over a third tunnel.
	policyThird           = "default"
	portFirst, portSecond = 31131, 31132
	portThird             = 31110
	// portStep is how far a policy's port is moved away.
	portStep = 10

	readyWithin = 3 * time.Minute
)

// The service's ports.
const (
	portHTTP, portGRPC, portTCP = 8080, 9090, 5432
)

// Setup is what Up sets that is not the default and that AsInstalled takes back, Untuned what it is then. What holds for all
// runs is at the head of the report.
const (
	Setup   = "The policies have [warm standby](kinds/wanpolicy.md#warm-standby), and the calling cluster's egress gateways send no [tail loss probes](failover.md#black-holes-found-sooner)."
	Untuned = "Without warm standby and with tail loss probes, as the chart and `istioctl` install it; what is set for all runs still is."
)

// Up makes what the cases need, in exporters of the bench: two policies, a service with three ports, its exports, a client.
func (b *Bench) Up(ctx context.Context) error {
	if err := b.calm(ctx); err != nil {
		return err
	}
	if err := errors.Join(b.dummyServices(ctx, false), b.tailLossProbes(ctx, false)); err != nil {
		return err
	}
	for _, c := range b.clusters() {
		if err := goneBefore(ctx, c); err != nil {
			return err
		}
		if err := apply(ctx, c, policies, namespace); err != nil {
			return err
		}
	}
	for _, c := range b.Exporters {
		if err := apply(ctx, c, fmt.Sprintf(clusterName, c.Name), backend); err != nil {
			return err
		}
	}
	if err := apply(ctx, b.Consumer, fmt.Sprintf(caller, clientName, "false")); err != nil {
		return err
	}
	for _, c := range b.Exporters {
		if err := rolledOut(ctx, c, Namespace, serviceName); err != nil {
			return err
		}
		if err := b.export(ctx, c); err != nil {
			return err
		}
	}
	if err := rolledOut(ctx, b.Consumer, Namespace, clientName); err != nil {
		return err
	}
	return b.ready(ctx, clientName)
}

// goneBefore waits until the namespace of an earlier bench has gone, if it is on its way.
func goneBefore(ctx context.Context, c *story.Cluster) error {
	return story.Eventually(ctx, readyWithin, "end of namespace "+Namespace+" in "+c.Name, func(ctx context.Context) error {
		var ns corev1.Namespace
		err := c.Get(ctx, client.ObjectKey{Name: Namespace}, &ns)
		if err == nil && ns.DeletionTimestamp != nil {
			return errors.New("it is being deleted")
		}
		return gone(err)
	})
}

// Down removes it, and leaves the tunnels and the clusters as they were at start. What is called goes first: with dummy
// services, a hundred imports would become thousands of objects on their way out.
func (b *Bench) Down(ctx context.Context) error {
	errs := []error{b.WAN.Heal(ctx)}
	for _, c := range b.clusters() {
		errs = append(errs, gone(c.Delete(ctx, export())))
		errs = append(errs, gone(c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}})))
		for _, name := range []string{policyFirst, policySecond} {
			errs = append(errs, gone(c.Delete(ctx, &mcw.WANPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}})))
		}
	}
	for _, c := range b.clusters() {
		errs = append(errs, goneBefore(ctx, c))
	}
	return errors.Join(append(errs,
		b.dummyServices(ctx, true), b.tailLossProbes(ctx, true), gatewaysHave(ctx, b.victim(), mcw.GatewayIngress), b.disallow())...)
}

func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func export() *mcs.ServiceExport {
	return &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{
		Namespace: Namespace, Name: serviceName,
		Annotations: map[string]string{mcw.AnnotationWANPolicy: policyFirst, mcw.AnnotationIdempotent: http.MethodPut},
	}}
}

func (b *Bench) export(ctx context.Context, c *story.Cluster) error {
	if err := c.Create(ctx, export()); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

func (b *Bench) unexport(ctx context.Context, c *story.Cluster) error {
	return gone(c.Delete(ctx, export()))
}

// ready waits until all is well and requests of a client take the first tunnel.
func (b *Bench) ready(ctx context.Context, from string) error {
	if err := b.allWell(ctx); err != nil {
		return err
	}
	return b.usesFirst(ctx, from)
}

// allWell waits until the consumer's import knows all exporters and every hop is healthy.
//
// A tunnel that earlier cases broke is let back after minutes; a controller that has just started knows of no earlier falls.
func (b *Bench) allWell(ctx context.Context) error {
	for _, c := range b.Exporters {
		if err := b.hopsHealthy(ctx, c.Name); err == nil || errors.Is(err, errReturning) {
			continue
		}
		if err := restart(ctx, b.Consumer, "mcw-controller"); err != nil {
			return err
		}
		break
	}
	return story.Eventually(ctx, readyWithin, "all exporters imported and their hops healthy", func(ctx context.Context) error {
		imp, err := b.imported(ctx)
		if err != nil {
			return err
		}
		if len(imp.Status.Clusters) < len(b.Exporters) || !meta.IsStatusConditionTrue(imp.Status.Conditions, string(mcs.ServiceImportConditionReady)) {
			return fmt.Errorf("exporters %v", imp.Status.Clusters)
		}
		for _, c := range b.Exporters {
			if err := b.hopsHealthy(ctx, c.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *Bench) imported(ctx context.Context) (*mcs.ServiceImport, error) {
	imp := &mcs.ServiceImport{}
	return imp, b.Consumer.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: serviceName}, imp)
}

// errReturning: the tunnel is healthy and not yet first again.
var errReturning = errors.New("has come back only now")

func (b *Bench) hopsHealthy(ctx context.Context, cluster string) error {
	peer := &mcw.Peer{}
	if err := b.Consumer.Get(ctx, client.ObjectKey{Namespace: "mc-wan", Name: cluster}, peer); err != nil {
		return err
	}
	found := 0
	for _, h := range peer.Status.Hops {
		if h.Policy != policyFirst && h.Policy != policySecond {
			continue
		}
		if found++; h.State != mcw.HopHealthy {
			return fmt.Errorf("%s at %s is %s: %s", h.Policy, cluster, h.State, h.Reason)
		}
		if h.Reason == mcw.HopReasonReturning {
			return fmt.Errorf("%w: %s at %s", errReturning, h.Policy, cluster)
		}
	}
	if found < 2 {
		return fmt.Errorf("%s offers %d of two policies", cluster, found)
	}
	return nil
}

// movePort changes the port of the first policy at the victim.
func movePort(port int) action {
	return func(ctx context.Context, b *Bench) error {
		p := &mcw.WANPolicy{ObjectMeta: metav1.ObjectMeta{Name: policyFirst}}
		return b.victim().Patch(ctx, p, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"port":%d}}`, port)))
	}
}

// apply applies manifests.
func apply(ctx context.Context, c *story.Cluster, manifests ...string) error {
	for _, text := range manifests {
		for _, doc := range splitDocuments(text) {
			o := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(doc), &o.Object); err != nil {
				return err
			}
			if err := c.ApplyObject(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}
