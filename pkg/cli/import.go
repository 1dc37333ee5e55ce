// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// defaultPort is the service port of an import of which neither flags nor anything in the cluster say one (`mcwanctl import
// --help` states it).
const defaultPort = "http:8080"

type importOptions struct {
	gateways []string
	cluster  string
	card     string
	// trustDomain or identity say what the other cluster's ingress gateway must present.
	trustDomain string
	identity    string
	ports       []string
	policy      string
	wanPorts    []string
	wait        bool
	timeout     time.Duration
}

func newImportCmd(a *app) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import NAME/NAMESPACE (--ingress-gw=IP | --card=CARD)",
		Short: "Import a service by hand from a cluster that this one does not talk to",
		Long: `import makes a service of another cluster callable here without joining that cluster: what a joined
cluster would say of itself and of the service is written down by hand, once, and nothing keeps it
up to date. Prefer join where the clusters can talk.

What is not said by a flag is taken from what was written by hand for the same cluster before, else
from --card, else:
  --cluster     gw- and the first address, such as gw-10-2-0-5
  --port        the ports of this cluster's own Service of that name, else ` + defaultPort + `
  --wan-port    the ports of this cluster's WANPolicies
  identity      that of an mcw-ingress gateway in this cluster's own trust domain

The other cluster's gateway must present the pinned identity, or nothing is sent to it. A wrong one
fails safe: no request gets through. Name it by --card, --ingress-identity or --trust-domain
wherever trust domains differ.

The exporting cluster must export the service under the same name, and its ingress gateway must
admit this cluster's egress gateway; see docs/import-by-hand.md.

Importing from several clusters, one after the other, spreads requests over them. unimport takes an
import back.`,
		Example: `  # From the cluster whose ingress gateway is 10.2.0.5 on the SD-WAN, in the same trust domain.
  mcwanctl --context cluster-1 import payment/secure --ingress-gw=10.2.0.5

  # With the card that "mcwanctl card" printed there: its id, identities, addresses and ports.
  mcwanctl import payment/secure --card=cluster-2.yaml --port=http:8080 --port=grpc:9090

  # Everything said: who it is, what it presents, on which ports it receives.
  mcwanctl import payment/secure --ingress-gw=10.2.0.5,10.2.0.6 --cluster=cluster-2 \
    --trust-domain=td-2 --wan-policy=high --wan-port=sd-wan-priority-high=31111`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(o.gateways) == 0 && o.card == "":
				return usagef("name the other cluster's gateway by --ingress-gw, or its card by --card")
			case o.trustDomain != "" && o.identity != "":
				return usagef("--ingress-identity says the trust domain already; leave --trust-domain out")
			}
			return exactly("NAME/NAMESPACE")(cmd, args)
		},
		ValidArgsFunction: a.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importByHand(cmd.Context(), args[0], o)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.gateways, "ingress-gw", nil, "IP addresses of the other cluster's ingress gateway, as they are routed over the SD-WAN")
	flags.StringVar(&o.cluster, "cluster", "", "id of the other cluster")
	flags.StringVar(&o.card, "card", "", "file with the other cluster's card, as mcwanctl card prints it; - is standard input")
	flags.StringVar(&o.trustDomain, "trust-domain", "", "trust domain of the other cluster's mesh")
	flags.StringVar(&o.identity, "ingress-identity", "", "SPIFFE id of the other cluster's ingress gateway, where --trust-domain does not say it all")
	flags.StringArrayVar(&o.ports, "port", nil, "port of the service as NAME:PORT or PORT, may be given several times; the name says the protocol, as in http, grpc or tcp-db")
	flags.StringVar(&o.policy, "wan-policy", "", "WANPolicy of this cluster to use, or a unique ending of its name (default: the default policy)")
	flags.StringArrayVar(&o.wanPorts, "wan-port", nil, "POLICY=PORT: on which port the other cluster receives a WAN policy, may be given several times; only those named are used")
	flags.BoolVar(&o.wait, "wait", false, "wait until the service can be called here")
	addTimeout(cmd, &o.timeout, 30*time.Second, "how long --wait waits")
	a.complete(cmd, "wan-policy", a.completePolicies)
	return cmd
}

// byHand is one import by hand, worked out.
type byHand struct {
	key  types.NamespacedName
	card v1alpha1.ClusterAdvertisementSpec
	spec v1alpha1.ServiceAdvertisementSpec
	// remarks tell what was not said and is assumed.
	remarks []string
}

func (a *app) importByHand(ctx context.Context, arg string, o importOptions) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	key, err := a.target(arg, c.Namespace)
	if err != nil {
		return err
	}
	here, err := openSide(ctx, a.Open(a.kubeconfig), a.context)
	if err != nil {
		return err
	}
	if err := checkTarget(ctx, c, key); err != nil {
		return err
	}
	b, err := a.work(ctx, here, key, o)
	if err != nil {
		return err
	}
	policy, err := a.exportPolicy(ctx, c, b.spec.WANPolicy)
	if err != nil {
		return err
	}
	if b.spec.WANPolicy != "" {
		b.spec.WANPolicy = policy.Name
	}
	if err := b.check(ctx, here); err != nil {
		return err
	}
	if err := b.write(ctx, c); err != nil {
		return err
	}
	for _, remark := range b.remarks {
		a.say("%s", remark)
	}
	a.say("%s of %s is imported by hand as %s over %s (tunnel %s)", short(key), b.card.ClusterID, host(key), policy.Name, policy.Spec.Tunnel)
	a.say("its gateway at %s must present %s, and must admit %s", strings.Join(b.card.Addresses, ", "), b.card.Identities.Ingress, here.card.Identities.Egress)
	if !o.wait {
		return nil
	}
	if err := a.until(ctx, o.timeout, func(ctx context.Context) (bool, string, error) { return importReady(ctx, c, key, b.card.ClusterID) }); err != nil {
		return fmt.Errorf("%s is not ready: %w", short(key), err)
	}
	a.say("%s is ready", short(key))
	return nil
}

// checkTarget says why nothing can be imported under that name.
func checkTarget(ctx context.Context, c Access, key types.NamespacedName) error {
	if !snapshot.MayImport(nil, key.Namespace) {
		return fmt.Errorf("nothing is imported into namespace %s: it is protected (kube-*, istio-system, %s)", key.Namespace, v1alpha1.Namespace)
	}
	err := c.Get(ctx, client.ObjectKey{Name: key.Namespace}, &corev1.Namespace{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no namespace %s in context %s, so nothing can be imported into it; create it first", key.Namespace, c.Context)
	}
	if err != nil {
		return c.explain("reading namespace "+key.Namespace, err)
	}
	return nil
}

// work puts together what is said by flags, by a card, by what was written before, and by default, in this order.
func (a *app) work(ctx context.Context, here side, key types.NamespacedName, o importOptions) (*byHand, error) {
	b := &byHand{key: key}
	if err := b.who(ctx, a, here, o); err != nil {
		return nil, err
	}
	ports, err := b.ports(ctx, here.Access, o.ports)
	if err != nil {
		return nil, err
	}
	b.spec = v1alpha1.ServiceAdvertisementSpec{
		ClusterID: b.card.ClusterID, Namespace: key.Namespace, Name: key.Name,
		ExportedAt: metav1.NewTime(time.Now().Truncate(time.Second)),
		Type:       string(mcsv1beta1.ClusterSetIP), Ports: ports, WANPolicy: o.policy,
	}
	before, err := getOrNil(ctx, here.Access, advertKey(b.card.ClusterID, key), &v1alpha1.ServiceAdvertisement{})
	if err != nil {
		return nil, err
	}
	if before != nil {
		b.spec.ExportedAt = before.Spec.ExportedAt // it is the same export still
		b.spec.WANPolicy = cmp.Or(o.policy, before.Spec.WANPolicy)
	}
	return b, nil
}

// check says what the controller would refuse.
func (b *byHand) check(ctx context.Context, here side) error {
	id := b.card.ClusterID
	if id == here.card.ClusterID {
		return fmt.Errorf("%s is this cluster itself: what it exports it imports anyway; name the other cluster by --cluster", id)
	}
	peer, err := getOrNil(ctx, here.Access, types.NamespacedName{Namespace: v1alpha1.Namespace, Name: id}, &v1alpha1.Peer{})
	if err != nil {
		return err
	}
	if peer != nil {
		return fmt.Errorf("%s has joined, so what it exports is imported without doing anything; see: mcwanctl --context %s status", id, here.Context)
	}
	if err := mcs.Validate(b.spec); err != nil {
		return &usageError{err: err}
	}
	self := translate.Cluster{ID: here.card.ClusterID, UID: here.card.ClusterUID}
	if err := translate.CheckHandWrittenCard(self, b.card); err != nil {
		return &usageError{err: err}
	}
	return b.checkAddresses(ctx, here)
}

// checkAddresses: an address that means something else here would turn requests against this cluster.
func (b *byHand) checkAddresses(ctx context.Context, here side) error {
	var services corev1.ServiceList
	if err := here.List(ctx, &services); err != nil {
		return here.explain("listing Services", err)
	}
	taken := map[string]string{}
	for i := range services.Items {
		for _, ip := range services.Items[i].Spec.ClusterIPs {
			taken[ip] = "the ClusterIP of this cluster's Service " + named(&services.Items[i])
		}
	}
	for _, ip := range here.card.Addresses {
		taken[ip] = "this cluster's own ingress gateway"
	}
	for _, ip := range b.card.Addresses {
		if what := taken[ip]; what != "" {
			return fmt.Errorf("%s is %s; --ingress-gw must be the other cluster's ingress gateway as it is routed over the SD-WAN", ip, what)
		}
	}
	return nil
}

// write writes the card before what is reached by it.
func (b *byHand) write(ctx context.Context, c Access) error {
	labels := map[string]string{
		v1alpha1.LabelManagedBy: fieldManager, v1alpha1.LabelManual: "true", v1alpha1.LabelSourceCluster: b.card.ClusterID,
	}
	card := &v1alpha1.ClusterAdvertisement{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: "ClusterAdvertisement"},
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: translate.HandWrittenCardName(b.card.ClusterID), Labels: with(labels, v1alpha1.LabelPart, v1alpha1.PartCard)},
		Spec:       b.card,
	}
	if err := apply(ctx, c, card); err != nil {
		return c.explain("writing the card of "+b.card.ClusterID, err)
	}
	advert := advertKey(b.card.ClusterID, b.key)
	of := with(with(labels, v1alpha1.LabelServiceNamespace, b.key.Namespace), v1alpha1.LabelServiceName, b.key.Name)
	adv := &v1alpha1.ServiceAdvertisement{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: "ServiceAdvertisement"},
		ObjectMeta: metav1.ObjectMeta{Namespace: advert.Namespace, Name: advert.Name, Labels: with(of, v1alpha1.LabelPart, v1alpha1.PartAdvertisement)},
		Spec:       b.spec,
	}
	if err := apply(ctx, c, adv); err != nil {
		return c.explain("writing the advertisement of "+short(b.key), err)
	}
	return nil
}

func advertKey(cluster string, key types.NamespacedName) types.NamespacedName {
	return types.NamespacedName{Namespace: v1alpha1.Namespace, Name: translate.HandWrittenAdvertisementName(cluster, key.Namespace, key.Name)}
}

func with(labels map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range labels {
		out[k] = v
	}
	return out
}

// importReady says whether the service can be called here and is imported from the cluster.
func importReady(ctx context.Context, c Access, key types.NamespacedName, cluster string) (bool, string, error) {
	var imported mcsv1beta1.ServiceImport
	err := c.Get(ctx, key, &imported)
	if apierrors.IsNotFound(err) {
		return false, "there is no ServiceImport yet", nil
	}
	if err != nil {
		return false, "", err
	}
	if ok, why := importState(&imported); !ok {
		return false, "the import is " + why, nil
	}
	for _, from := range imported.Status.Clusters {
		if from.Cluster == cluster {
			return true, "", nil
		}
	}
	return false, "it is not imported from " + cluster + " yet", nil
}
