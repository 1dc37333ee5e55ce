// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

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
		{Name: "foreign-virtualservice", Title: "Another namespace's VirtualService tries to route what comes in at payment's leg", Run: foreignVirtualService},
		{Name: "pinned-identity", Title: "What answers at a peer's address has another identity than the pinned one", Run: otherIdentity},
		{Name: "left-cluster", Title: "A cluster that is not joined is turned away, and comes back by its card", Run: leaveAndRejoin},
	}
}

// knockAtIngress calls the exporter's ingress gateway with a sidecar's valid mesh identity, and without a certificate.
func knockAtIngress(ctx context.Context, e *Env) error {
	ips, err := e.Exporter.GatewayAddresses(ctx, mcw.GatewayIngress)
	if err != nil {
		return err
	}
	d := door{name: "knock-ingress", virtual: "240.7.7.7", address: ips[0], port: int32(wayHigh().Port), sni: "wan.svc.clusterset.local"}
	if err := e.deniedAt(ctx, d, "p8080.payment.secure.svc.clusterset.local", "/"); err != nil {
		return err
	}
	return e.closedTo(ctx, d)
}

// knockAtFeed calls the own egress gateway where it takes the controller's calls to the peer's feed.
func knockAtFeed(ctx context.Context, e *Env) error {
	if err := e.waitFeed(ctx, mcw.ReasonSynced); err != nil {
		return fmt.Errorf("the controller itself: %w", err)
	}
	ips, err := e.Consumer.GatewayAddresses(ctx, mcw.GatewayEgress)
	if err != nil {
		return err
	}
	const host = "mcw-egress.mc-wan.svc.cluster.local"
	d := door{name: "knock-feed", virtual: "240.7.7.8", address: ips[0], port: mcw.EgressFeedPort, sni: host}
	path := fmt.Sprintf("/peers/%s/apis/mcw.l7mp.io/v1alpha1/namespaces/mc-wan/serviceadvertisements", e.Exporter.Name)
	if err := e.deniedAt(ctx, d, host, path); err != nil {
		return err
	}
	return e.closedTo(ctx, d)
}

// door is a port that a workload of the mesh can reach and must not get through.
type door struct {
	name string
	// virtual is the address by which a sidecar is led to the door.
	virtual string
	address string
	port    int32
	sni     string
}

// deniedAt calls a door from the client with a sidecar, with that workload's own certificate: its identity is known, and
// RBAC denies it.
func (e *Env) deniedAt(ctx context.Context, d door, host, path string) error {
	objects := d.objects()
	for _, o := range objects {
		if err := e.Consumer.ApplyObject(ctx, o); err != nil {
			return err
		}
	}
	defer func() {
		for _, o := range objects {
			_ = e.Consumer.Delete(context.WithoutCancel(ctx), o)
		}
	}()
	c, err := e.Consumer.ClientPod(ctx, NamespaceSidecar)
	if err != nil {
		return err
	}
	name := d.name + ".example"
	url := fmt.Sprintf("http://%s:%d%s", name, d.port, path)
	var text string
	if err := Eventually(ctx, patience, "403 for a workload's own identity", func(ctx context.Context) error {
		code, body, err := c.Status(ctx, url, "-H", "Host: "+host, "--connect-to", fmt.Sprintf("%s:%d:%s:%d", name, d.port, d.virtual, d.port))
		if err != nil {
			return err
		}
		if text = body; code != 403 || !strings.HasPrefix(body, rbacDenied) {
			return fmt.Errorf("HTTP %d %s", code, body)
		}
		return nil
	}); err != nil {
		return err
	}
	e.Say("client in %s, with its own mesh identity, to %s: HTTP 403 %s", NamespaceSidecar, net.JoinHostPort(d.address, fmt.Sprint(d.port)), text)
	return nil
}

// rbacDenied is how the answer begins that Envoy gives to whom an AuthorizationPolicy turns away. The feed leg says more.
const rbacDenied = "RBAC: access denied"

// closedTo calls a door from the client without a sidecar, which has no certificate: in TLS and in plain text the
// connection is closed before there is an answer.
func (e *Env) closedTo(ctx context.Context, d door) error {
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	at := net.JoinHostPort(d.address, fmt.Sprint(d.port))
	for _, scheme := range []string{"https", "http"} {
		code, text, err := c.Status(ctx, scheme+"://"+at+"/", "-k")
		if err != nil {
			return err
		}
		if code != 0 || !closedByPeer.MatchString(text) {
			return fmt.Errorf("%s without a certificate to %s: HTTP %d %s, want a closed connection", scheme, at, code, text)
		}
		e.Say("client in %s, without a certificate, %s to %s: %s", NamespacePlain, scheme, at, text)
	}
	return nil
}

// closedByPeer is what curl says when it got through to the port and was thrown out: in the TLS handshake (35), without a
// byte of an answer (52), while it sent (16 with HTTP/2, 55) or waited (56). A port that nobody listens on or that does not answer is something else.
var closedByPeer = regexp.MustCompile(`^curl: \((16|35|52|55|56)\)`)

// objects lead a sidecar to the door with the workload's own certificate.
func (d door) objects() []*unstructured.Unstructured {
	host := d.name + ".example"
	entry := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"hosts": []any{host}, "addresses": []any{d.virtual}, "exportTo": []any{"."},
			"location": "MESH_EXTERNAL", "resolution": "STATIC",
			"ports":     []any{map[string]any{"name": "tcp", "number": int64(d.port), "protocol": "TCP"}},
			"endpoints": []any{map[string]any{"address": d.address}},
		},
	}}
	rule := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"host": host, "exportTo": []any{"."},
			"trafficPolicy": map[string]any{"tls": map[string]any{"mode": "ISTIO_MUTUAL", "sni": d.sni}},
		},
	}}
	for kind, o := range map[string]*unstructured.Unstructured{"ServiceEntry": entry, "DestinationRule": rule} {
		o.SetAPIVersion(istioNetworking)
		o.SetKind(kind)
		o.SetNamespace(NamespaceSidecar)
		o.SetName(d.name)
	}
	return []*unstructured.Unstructured{entry, rule}
}

const istioNetworking = "networking.istio.io/v1"

func foreignGateway(ctx context.Context, e *Env) error {
	gw := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"selector": map[string]any{mcw.LabelGateway: mcw.GatewayEgress},
			"servers":  []any{map[string]any{"port": map[string]any{"number": int64(20001), "name": "http", "protocol": "HTTP"}, "hosts": []any{"*"}}},
		},
	}}
	gw.SetKind("Gateway")
	refusal, err := e.refusedAtAdmission(ctx, gw)
	if err != nil {
		return err
	}
	e.Say("%s", refusal)
	return nil
}

// foreignVirtualService tries every way in which Istio lets a VirtualService name a Gateway of another namespace.
func foreignVirtualService(ctx context.Context, e *Env) error {
	leg, err := e.legOfPayment(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{"mc-wan/" + leg, leg + ".mc-wan.svc.cluster.local", leg + ".mc-wan.svc", leg + ".mc-wan"} {
		vs := &unstructured.Unstructured{Object: map[string]any{
			"spec": map[string]any{
				"hosts": []any{"*"}, "gateways": []any{name},
				"http": []any{map[string]any{"directResponse": map[string]any{"status": int64(418)}}},
			},
		}}
		vs.SetKind("VirtualService")
		refusal, err := e.refusedAtAdmission(ctx, vs)
		if err != nil {
			return fmt.Errorf("gateways: [%s]: %w", name, err)
		}
		e.Say("gateways: [%s]: %s", name, refusal)
	}
	return nil
}

// legOfPayment names the Gateway by which the consumer's egress gateway takes requests to payment.
func (e *Env) legOfPayment(ctx context.Context) (string, error) {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(istioNetworking)
	list.SetKind("GatewayList")
	if err := e.Consumer.List(ctx, list, client.InNamespace(mcw.Namespace), serviceLabels("secure", "payment")); err != nil {
		return "", err
	}
	for _, o := range list.Items {
		if o.GetLabels()[mcw.LabelPolicy] == "" { // those with a policy are the dummy Services'
			return o.GetName(), nil
		}
	}
	return "", errors.New("payment has no Gateway in mc-wan")
}

// refusedAtAdmission tries to create an object in the plain client's namespace, and returns the API server's message.
func (e *Env) refusedAtAdmission(ctx context.Context, o *unstructured.Unstructured) (string, error) {
	o.SetAPIVersion(istioNetworking)
	o.SetNamespace(NamespacePlain)
	o.SetName("takeover")
	err := e.Consumer.ApplyObject(ctx, o)
	if err == nil {
		return "", errors.Join(fmt.Errorf("the %s was admitted", o.GetKind()), e.Consumer.Delete(ctx, o))
	}
	// An API server of another version may say Invalid.
	if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
		return "", err
	}
	text := oneLine(err.Error())
	if _, why, ok := strings.Cut(text, "denied request: "); ok {
		text = why
	}
	return "refused: " + text, nil
}

// otherIdentity joins a cluster at the exporter's address whose card pins what does not answer there.
func otherIdentity(ctx context.Context, e *Env) (err error) {
	const id = "impostor"
	other, err := e.Consumer.CardOf(ctx, e.Exporter)
	if err != nil {
		return err
	}
	other.Name = id
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
	e.Say("a card with the address of %s and the identity %s: its Peer says %s; client in %s, GET %s: answered as before",
		e.Exporter.Name, other.Spec.Identities.Ingress, mcw.ReasonIdentityMismatch, NamespacePlain, PaymentURL)
	return nil
}

// CardOf is what a person applies to have a cluster as a peer as it is now: a Peer may have been bootstrapped with the
// addresses of gateways that have been rolled since.
func (c *Cluster) CardOf(ctx context.Context, other *Cluster) (*mcw.Peer, error) {
	peer := &mcw.Peer{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: mcw.Namespace, Name: other.Name}, peer); err != nil {
		return nil, err
	}
	addresses, err := other.GatewayAddresses(ctx, mcw.GatewayIngress)
	if err != nil {
		return nil, err
	}
	card := &mcw.Peer{
		TypeMeta:   metav1.TypeMeta{APIVersion: mcw.GroupVersion().String(), Kind: "Peer"},
		ObjectMeta: metav1.ObjectMeta{Namespace: peer.Namespace, Name: peer.Name}, Spec: *peer.Spec.DeepCopy(),
	}
	card.Spec.Bootstrap.Addresses = addresses
	return card, nil
}

// leaveAndRejoin takes the consumer's Peer away from the exporter, sees it turned away, and applies its card again.
func leaveAndRejoin(ctx context.Context, e *Env) error {
	card, err := e.Exporter.CardOf(ctx, e.Consumer)
	if err != nil {
		return err
	}
	if err := e.Exporter.Delete(ctx, card.DeepCopy()); err != nil {
		return err
	}
	err = e.turnedAway(ctx)
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
	a, err := answered(ctx, c, PaymentURL)
	if err != nil {
		return err
	}
	if err := e.waitFeed(ctx, mcw.ReasonSynced); err != nil {
		return err
	}
	e.Say("its card is applied again: answered by pod %s of %s over port %s, the feed is %s", a.Pod, a.Cluster, a.Headers.Get(mcw.HeaderWANPort), mcw.ReasonSynced)
	return nil
}

func (e *Env) turnedAway(ctx context.Context) error {
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if err := Eventually(ctx, patience, "403 for a cluster that has left", func(ctx context.Context) error {
		code, body, err := c.Status(ctx, PaymentURL)
		if err != nil {
			return err
		}
		if code != 403 || body != rbacDenied {
			return fmt.Errorf("HTTP %d %s", code, body)
		}
		return nil
	}); err != nil {
		return err
	}
	e.Say("without its Peer in %s: client in %s, GET %s: HTTP 403 %s", e.Exporter.Name, NamespacePlain, PaymentURL, rbacDenied)
	if e.WAN != nil {
		// Envoy's workers hear of it one after the other.
		if err := Eventually(ctx, patience, "every request turned away", func(ctx context.Context) error {
			return e.turnedAwayAt(ctx, c, wayHigh())
		}); err != nil {
			return err
		}
	}
	if err := e.waitFeed(ctx, mcw.ReasonRefused); err != nil {
		return err
	}
	if _, err = e.Consumer.readyImport(ctx, "payment"); err != nil {
		return err
	}
	e.Say("the feed says %s, and the import stays", mcw.ReasonRefused)
	return nil
}

// turnedAwayAt sends large requests, all of which are denied, and looks at which port of the peer: the egress gateway has
// knocked there with the identity of the cluster that has left.
func (e *Env) turnedAwayAt(ctx context.Context, c *Client, way Way) error {
	used, err := e.used(ctx, func(ctx context.Context) error {
		replies, err := c.Large(ctx, largeRequests, PaymentURL)
		if err != nil {
			return err
		}
		for _, r := range replies {
			if r.Code != 403 || r.Body != rbacDenied {
				return fmt.Errorf("HTTP %d %.200s", r.Code, r.Body)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	what := sent{n: largeRequests, each: largeBytes}
	if err := used.onlyOn(way, what); err != nil {
		return err
	}
	e.Say("%s, each turned away at the peer's port %d; counted: %s", what, way.Port, used)
	return nil
}

// waitFeed waits for the reason of the consumer's FeedReady condition on the exporter's Peer.
func (e *Env) waitFeed(ctx context.Context, reason string) error {
	return e.waitFeedOf(ctx, e.Exporter.Name, reason)
}

func (e *Env) waitFeedOf(ctx context.Context, cluster, reason string) error {
	return Eventually(ctx, patience, "feed "+reason, func(ctx context.Context) error {
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
