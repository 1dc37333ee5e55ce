// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Security knocks at doors that must stay shut.
func Security() []Step {
	return []Step{
		{Name: "ingress-identity", Title: "A workload that is no egress gateway calls the peer's port 31111", Run: knockAtIngress},
		{Name: "feed-leg", Title: "A pod that is not the controller calls the feed leg", Run: knockAtFeed},
		{Name: "foreign-gateway", Title: "Another namespace's Gateway tries to take over the egress gateway", Run: foreignGateway},
		{Name: "pinned-identity", Title: "What answers at a peer's address has another identity than the pinned one", Run: otherIdentity},
		{Name: "left-cluster", Title: "A cluster that is not joined is turned away, and comes back by its card", Run: leaveAndRejoin},
	}
}

// knockAtIngress calls the exporter's ingress gateway with a sidecar's valid mesh identity, and with none.
func knockAtIngress(ctx context.Context, e *Env) error {
	ips, err := e.Exporter.GatewayAddresses(ctx, mcw.GatewayIngress)
	if err != nil {
		return err
	}
	knock := knockObjects(ips[0])
	for _, o := range knock {
		if err := e.Consumer.ApplyObject(ctx, o); err != nil {
			return err
		}
	}
	defer func() {
		for _, o := range knock {
			_ = e.Consumer.Delete(context.WithoutCancel(ctx), o)
		}
	}()
	sidecar, err := e.Consumer.ClientPod(ctx, NamespaceSidecar)
	if err != nil {
		return err
	}
	if err := Eventually(ctx, 30*time.Second, "403 for a workload's own identity", func(ctx context.Context) error {
		code, body, err := sidecar.Status(ctx, "http://knock.example:31111/", "-H", "Host: p8080.payment.secure.svc.clusterset.local", "--connect-to", "knock.example:31111:240.7.7.7:31111")
		if err != nil {
			return err
		}
		if code != 403 || !strings.Contains(body, "RBAC") {
			return fmt.Errorf("HTTP %d %s", code, body)
		}
		return nil
	}); err != nil {
		return err
	}
	plain, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	code, body, err := plain.Status(ctx, "https://"+bracket(ips[0])+":31111/", "-k")
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("without a certificate: HTTP %d %s, want a failed TLS handshake", code, body)
	}
	e.Say("with its own mesh identity: 403 RBAC: access denied; without a certificate: no TLS session")
	return nil
}

func bracket(ip string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]"
	}
	return ip
}

// knockObjects lead a sidecar to a peer's ingress gateway with the workload's own certificate.
func knockObjects(ip string) []*unstructured.Unstructured {
	entry := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"hosts": []any{"knock.example"}, "addresses": []any{"240.7.7.7"}, "exportTo": []any{"."},
			"location": "MESH_EXTERNAL", "resolution": "STATIC",
			"ports":     []any{map[string]any{"name": "tcp", "number": int64(31111), "protocol": "TCP"}},
			"endpoints": []any{map[string]any{"address": ip}},
		},
	}}
	rule := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"host": "knock.example", "exportTo": []any{"."},
			"trafficPolicy": map[string]any{"tls": map[string]any{"mode": "ISTIO_MUTUAL", "sni": "wan.svc.clusterset.local"}},
		},
	}}
	for kind, o := range map[string]*unstructured.Unstructured{"ServiceEntry": entry, "DestinationRule": rule} {
		o.SetAPIVersion("networking.istio.io/v1")
		o.SetKind(kind)
		o.SetNamespace(NamespaceSidecar)
		o.SetName("knock")
	}
	return []*unstructured.Unstructured{entry, rule}
}

func knockAtFeed(ctx context.Context, e *Env) error {
	path := fmt.Sprintf("/peers/%s/apis/mcw.l7mp.io/v1alpha1/namespaces/mc-wan/serviceadvertisements", e.Exporter.Name)
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		code, body, err := c.Status(ctx, fmt.Sprintf("http://mcw-egress.mc-wan.svc.cluster.local:%d%s", mcw.EgressFeedPort, path))
		if err != nil {
			return err
		}
		if code == 200 || strings.Contains(body, "ServiceAdvertisement") {
			return fmt.Errorf("client in %s: the feed leg answered HTTP %d %s", ns, code, body)
		}
		e.Say("client in %s: %s", ns, refusal(code))
	}
	return nil
}

func refusal(code int) string {
	if code == 0 {
		return "the connection is closed"
	}
	return fmt.Sprintf("HTTP %d", code)
}

func foreignGateway(ctx context.Context, e *Env) error {
	gw := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"selector": map[string]any{mcw.LabelGateway: mcw.GatewayEgress},
			"servers":  []any{map[string]any{"port": map[string]any{"number": int64(20001), "name": "http", "protocol": "HTTP"}, "hosts": []any{"*"}}},
		},
	}}
	gw.SetAPIVersion("networking.istio.io/v1")
	gw.SetKind("Gateway")
	gw.SetNamespace(NamespacePlain)
	gw.SetName("takeover")
	err := e.Consumer.ApplyObject(ctx, gw)
	if err == nil {
		return errors.Join(errors.New("the Gateway was admitted"), e.Consumer.Delete(ctx, gw))
	}
	if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
		return err
	}
	e.Say("refused: %s", oneLine(err.Error()))
	return nil
}

// otherIdentity joins a cluster at the exporter's address whose card pins what does not answer there.
func otherIdentity(ctx context.Context, e *Env) (err error) {
	peer := &mcw.Peer{}
	if err := e.Consumer.Get(ctx, client.ObjectKey{Namespace: mcw.Namespace, Name: e.Exporter.Name}, peer); err != nil {
		return err
	}
	const id = "impostor"
	other := CardOf(peer, id)
	other.Spec.ClusterID, other.Spec.ClusterUID = id, ""
	other.Spec.Identities = mcw.Identities{
		Egress:  "spiffe://" + id + "/ns/mc-wan/sa/mcw-egress",
		Ingress: "spiffe://" + id + "/ns/mc-wan/sa/mcw-ingress",
	}
	if err := e.Consumer.Create(ctx, other); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Consumer.Delete(context.WithoutCancel(ctx), other)) }()
	if err := e.waitFeedOf(ctx, id, mcw.ReasonIdentityMismatch); err != nil {
		return err
	}
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if _, err := answered(ctx, c, PaymentURL); err != nil {
		return err
	}
	e.Say("the Peer says %s; payment is answered as before", mcw.ReasonIdentityMismatch)
	return nil
}

// CardOf is what a person applies to have a Peer like that one.
func CardOf(peer *mcw.Peer, name string) *mcw.Peer {
	return &mcw.Peer{
		TypeMeta:   metav1.TypeMeta{APIVersion: mcw.GroupVersion().String(), Kind: "Peer"},
		ObjectMeta: metav1.ObjectMeta{Namespace: peer.Namespace, Name: name}, Spec: *peer.Spec.DeepCopy(),
	}
}

// leaveAndRejoin takes the consumer's Peer away from the exporter, sees it turned away, and applies its card again.
func leaveAndRejoin(ctx context.Context, e *Env) error {
	peer := &mcw.Peer{}
	key := client.ObjectKey{Namespace: mcw.Namespace, Name: e.Consumer.Name}
	if err := e.Exporter.Get(ctx, key, peer); err != nil {
		return err
	}
	card := CardOf(peer, peer.Name)
	if err := e.Exporter.Delete(ctx, peer); err != nil {
		return err
	}
	err := e.turnedAway(ctx)
	if createErr := e.Exporter.Create(ctx, card); createErr != nil {
		return errors.Join(err, createErr)
	}
	if err != nil {
		return err
	}
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if _, err := answered(ctx, c, PaymentURL); err != nil {
		return err
	}
	if err := e.waitFeed(ctx, mcw.ReasonSynced); err != nil {
		return err
	}
	e.Say("its card is applied again: requests are answered, the feed is %s", mcw.ReasonSynced)
	return nil
}

func (e *Env) turnedAway(ctx context.Context) error {
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if err := Eventually(ctx, time.Minute, "403 for a cluster that has left", func(ctx context.Context) error {
		code, body, err := c.Status(ctx, PaymentURL)
		if err != nil {
			return err
		}
		if code != 403 {
			return fmt.Errorf("HTTP %d %s", code, body)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := e.waitFeed(ctx, mcw.ReasonRefused); err != nil {
		return err
	}
	e.Say("without its Peer in %s: requests get 403, the feed says %s, and the import stays", e.Exporter.Name, mcw.ReasonRefused)
	_, err = e.Consumer.readyImport(ctx, "payment")
	return err
}

// waitFeed waits for the reason of the consumer's FeedReady condition on the exporter's Peer.
func (e *Env) waitFeed(ctx context.Context, reason string) error {
	return e.waitFeedOf(ctx, e.Exporter.Name, reason)
}

func (e *Env) waitFeedOf(ctx context.Context, cluster, reason string) error {
	return Eventually(ctx, 90*time.Second, "feed "+reason, func(ctx context.Context) error {
		peer := &mcw.Peer{}
		if err := e.Consumer.Get(ctx, client.ObjectKey{Namespace: mcw.Namespace, Name: cluster}, peer); err != nil {
			return err
		}
		cond := meta.FindStatusCondition(peer.Status.Conditions, mcw.ConditionFeedReady)
		if cond == nil || cond.Reason != reason {
			return fmt.Errorf("condition %s is %+v", mcw.ConditionFeedReady, cond)
		}
		return nil
	})
}
