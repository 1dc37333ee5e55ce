// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// annotationReplicas remembers how many pods a Deployment had before it was killed.
const annotationReplicas = "mcw.l7mp.io/test-replicas"

// killed ends all pods of a Deployment of the victim without grace, and lets none come back.
func killed(namespace, name string) action {
	return func(ctx context.Context, b *Bench) error { return kill(ctx, b.victim(), namespace, name) }
}

func scaledBack(namespace, name string) action {
	return func(ctx context.Context, b *Bench) error { return scaleBack(ctx, b.victim(), namespace, name) }
}

func kill(ctx context.Context, c *story.Cluster, namespace, name string) error {
	d, err := deployment(ctx, c, namespace, name)
	if err != nil {
		return err
	}
	before := d.DeepCopy()
	metav1.SetMetaDataAnnotation(&d.ObjectMeta, annotationReplicas, strconv.Itoa(int(*d.Spec.Replicas)))
	none := int32(0)
	d.Spec.Replicas = &none
	if err := c.Patch(ctx, d, client.MergeFrom(before)); err != nil {
		return err
	}
	return c.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), client.MatchingLabels(d.Spec.Selector.MatchLabels), client.GracePeriodSeconds(0))
}

// scaleBack has the pods back and waits for them.
func scaleBack(ctx context.Context, c *story.Cluster, namespace, name string) error {
	d, err := deployment(ctx, c, namespace, name)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(d.Annotations[annotationReplicas])
	if err != nil {
		return nil // it was not killed
	}
	before, replicas := d.DeepCopy(), int32(n)
	d.Spec.Replicas = &replicas
	delete(d.Annotations, annotationReplicas)
	if err := c.Patch(ctx, d, client.MergeFrom(before)); err != nil {
		return err
	}
	return rolledOut(ctx, c, namespace, name)
}

func deployment(ctx context.Context, c *story.Cluster, namespace, name string) (*appsv1.Deployment, error) {
	d := &appsv1.Deployment{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, d); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return d, nil
}

// rolledOutWithin bounds two pods that come up one after the other and two that drain for a minute, on a busy machine.
const rolledOutWithin = 5 * time.Minute

// rolledOut waits until all pods of a Deployment are new and ready, and no old one is left.
func rolledOut(ctx context.Context, c *story.Cluster, namespace, name string) error {
	return story.Eventually(ctx, rolledOutWithin, "rollout of "+name+" in "+c.Name, func(ctx context.Context) error {
		d, err := deployment(ctx, c, namespace, name)
		if err != nil {
			return err
		}
		s := d.Status
		if s.ObservedGeneration < d.Generation || s.UpdatedReplicas != *d.Spec.Replicas || s.Replicas != s.UpdatedReplicas || s.ReadyReplicas != s.UpdatedReplicas {
			return fmt.Errorf("%d pods, %d new, %d ready", s.Replicas, s.UpdatedReplicas, s.ReadyReplicas)
		}
		return nil
	})
}

// rollGateways restarts the gateways on the way as `kubectl rollout restart` does, one Deployment after the other.
func rollGateways(ctx context.Context, b *Bench) error {
	for _, g := range []struct {
		cluster *story.Cluster
		name    string
	}{{b.victim(), "mcw-ingress"}, {b.Consumer, "mcw-egress"}} {
		if err := restart(ctx, g.cluster, g.name); err != nil {
			return err
		}
	}
	return nil
}

// restart replaces the pods of a Deployment of ours as `kubectl rollout restart` does, and waits for the new ones.
func restart(ctx context.Context, c *story.Cluster, name string) error {
	if err := annotatePods(ctx, c, "mc-wan", name, "kubectl.kubernetes.io/restartedAt", time.Now().Format(time.RFC3339)); err != nil {
		return err
	}
	return rolledOut(ctx, c, "mc-wan", name)
}

// leaves has one cluster forget another, as `mcwanctl leave` does.
func leaves(who, whom func(*Bench) *story.Cluster) action {
	return func(ctx context.Context, b *Bench) error {
		card, err := who(b).CardOf(ctx, whom(b))
		if err != nil {
			return err
		}
		b.left = card
		return who(b).Delete(ctx, card.DeepCopy())
	}
}

// joinsAgain gives it the other's card back.
func joinsAgain(who func(*Bench) *story.Cluster) action {
	return func(ctx context.Context, b *Bench) error { return who(b).Create(ctx, b.left) }
}

// exportHere has the consumer export the service, too, and waits until its import says so.
func exportHere(ctx context.Context, b *Bench) error {
	if err := apply(ctx, b.Consumer, fmt.Sprintf(clusterName, b.Consumer.Name), backend); err != nil {
		return err
	}
	if err := rolledOut(ctx, b.Consumer, Namespace, serviceName); err != nil {
		return err
	}
	return b.export(ctx, b.Consumer)
}

// unexportHere takes that back, and the backends, whose processor others need.
func unexportHere(ctx context.Context, b *Bench) error {
	if err := b.unexport(ctx, b.Consumer); err != nil {
		return err
	}
	backends := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: serviceName}}
	if err := gone(b.Consumer.Delete(ctx, backends)); err != nil {
		return err
	}
	return story.Eventually(ctx, readyWithin, "the consumer's own export is gone", func(ctx context.Context) error {
		imp, err := b.imported(ctx)
		if err == nil && len(imp.Status.Clusters) != len(b.Exporters) {
			err = fmt.Errorf("exporters %v", imp.Status.Clusters)
		}
		return err
	})
}

// failsOver sets where the consumer's traffic of the first policy goes when its tunnel fails.
func failsOver(to mcw.Failover) action {
	return func(ctx context.Context, b *Bench) error {
		policy := &mcw.WANPolicy{}
		if err := b.Consumer.Get(ctx, client.ObjectKey{Name: policyFirst}, policy); err != nil {
			return err
		}
		before := policy.DeepCopy()
		policy.Spec.Failover = &to
		return b.Consumer.Patch(ctx, policy, client.MergeFrom(before))
	}
}

func annotatePods(ctx context.Context, c *story.Cluster, namespace, name, key, value string) error {
	d, err := deployment(ctx, c, namespace, name)
	if err != nil {
		return err
	}
	before := d.DeepCopy()
	metav1.SetMetaDataAnnotation(&d.Spec.Template.ObjectMeta, key, value)
	return c.Patch(ctx, d, client.MergeFrom(before))
}

// annotationProxyConfig is how an injected proxy is told things.
const annotationProxyConfig = "proxy.istio.io/config"

// certificatesLast has the gateways' certificates expire after so long, "" for what the mesh says; they are renewed at
// half of it. It rolls the gateways, so it belongs before and after a load.
func certificatesLast(ttl string) action {
	return func(ctx context.Context, b *Bench) error {
		for _, g := range []struct {
			cluster *story.Cluster
			name    string
		}{{b.victim(), "mcw-ingress"}, {b.Consumer, "mcw-egress"}} {
			d, err := deployment(ctx, g.cluster, "mc-wan", g.name)
			if err != nil {
				return err
			}
			config := withTTL(d.Spec.Template.Annotations[annotationProxyConfig], ttl)
			if err := annotatePods(ctx, g.cluster, "mc-wan", g.name, annotationProxyConfig, config); err != nil {
				return err
			}
			if err := rolledOut(ctx, g.cluster, "mc-wan", g.name); err != nil {
				return err
			}
		}
		return nil
	}
}

// withTTL adds pilot-agent's SECRET_TTL to the proxyMetadata of a proxy configuration, or takes it out.
func withTTL(config, ttl string) string {
	const key = "  SECRET_TTL: "
	var out bytes.Buffer
	for line := range bytes.Lines([]byte(config)) {
		if bytes.HasPrefix(line, []byte(key)) {
			continue
		}
		out.Write(line)
		if ttl != "" && bytes.Equal(bytes.TrimSpace(line), []byte("proxyMetadata:")) {
			fmt.Fprintf(&out, "%s%s\n", key, ttl)
		}
	}
	return out.String()
}

// drained has the consumer's operator drain the victim, by policies.
func drained(policies ...string) action {
	return func(ctx context.Context, b *Bench) error {
		peer := &mcw.Peer{ObjectMeta: metav1.ObjectMeta{Namespace: "mc-wan", Name: b.victim().Name}}
		patch, err := json.Marshal(map[string]any{"spec": map[string]any{"drain": policies}})
		if err != nil {
			return err
		}
		return b.Consumer.Patch(ctx, peer, client.RawPatch("application/merge-patch+json", patch))
	}
}

// drainedTunnel has the consumer's operator drain the first policy's tunnel, or take that back.
func drainedTunnel(yes bool) action {
	return func(ctx context.Context, b *Bench) error {
		policy := &mcw.WANPolicy{ObjectMeta: metav1.ObjectMeta{Name: policyFirst}}
		return b.Consumer.Patch(ctx, policy, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"drain":%t}}`, yes)))
	}
}
