// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// who works out the card of the other cluster.
func (b *byHand) who(ctx context.Context, a *app, here side, o importOptions) error {
	if o.card != "" {
		peer, err := a.readCard(o.card)
		if err != nil {
			return err
		}
		b.card = cardOf(peer)
	}
	if len(o.gateways) > 0 {
		b.card.Addresses = o.gateways
	}
	if err := b.name(o.cluster); err != nil {
		return err
	}
	before, err := getOrNil(ctx, here.Access, types.NamespacedName{Namespace: v1alpha1.Namespace, Name: translate.HandWrittenCardName(b.card.ClusterID)}, &v1alpha1.ClusterAdvertisement{})
	if err != nil {
		return err
	}
	b.card.Generation = 1
	if before != nil {
		b.card.Generation = before.Spec.Generation + 1
		if o.card == "" {
			b.card.ClusterUID, b.card.Identities, b.card.Policies = before.Spec.ClusterUID, before.Spec.Identities, before.Spec.Policies
		}
	}
	b.pin(here.card.Identities, o)
	return b.offers(ctx, here.Access, o.wanPorts)
}

// name gives the other cluster an id: the flag's, the card's, else one made of its first address, so that all services
// from the same gateway are of one cluster.
func (b *byHand) name(flag string) error {
	if flag != "" && b.card.ClusterID != "" && flag != b.card.ClusterID {
		return usagef("--cluster says %s and the card says %s", flag, b.card.ClusterID)
	}
	b.card.ClusterID = cmp.Or(flag, b.card.ClusterID)
	if b.card.ClusterID == "" {
		address := strings.NewReplacer(".", "-", ":", "-").Replace(strings.ToLower(b.card.Addresses[0]))
		b.card.ClusterID = strings.Trim("gw-"+address, "-")
		if len(validation.IsDNS1123Label(b.card.ClusterID)) > 0 {
			return usagef("--ingress-gw: %q is not an IP address", b.card.Addresses[0])
		}
		return nil
	}
	if len(validation.IsDNS1123Label(b.card.ClusterID)) > 0 {
		return usagef("--cluster: %q is not a cluster id: a DNS label such as cluster-2", b.card.ClusterID)
	}
	return nil
}

// pin settles what the other cluster's gateways must present. Nothing is ever learned from whoever answers.
func (b *byHand) pin(own v1alpha1.Identities, o importOptions) {
	if o.trustDomain == "" && o.identity == "" && b.card.Identities.Ingress != "" {
		return
	}
	domain := cmp.Or(o.trustDomain, translate.TrustDomainOf(o.identity), translate.TrustDomainOf(own.Ingress))
	b.card.Identities = v1alpha1.Identities{
		Ingress: cmp.Or(o.identity, translate.Identity(domain, v1alpha1.IngressName)),
		// Nobody is let in by this: only Peers are.
		Egress: translate.Identity(domain, v1alpha1.EgressName),
	}
	if o.trustDomain == "" && o.identity == "" {
		b.remarks = append(b.remarks, fmt.Sprintf("neither --card, --trust-domain nor --ingress-identity: taking the identity of an %s gateway in this cluster's own trust domain, %s", v1alpha1.IngressName, domain))
	}
}

// offers settles on which ports the other cluster receives which WAN policies.
func (b *byHand) offers(ctx context.Context, c Access, wanPorts []string) error {
	if len(wanPorts) == 0 && len(b.card.Policies) > 0 {
		return nil
	}
	all, err := policies(ctx, c)
	if err != nil {
		return err
	}
	b.card.Policies = nil
	if len(wanPorts) == 0 {
		for _, p := range translate.UsablePolicies(all) {
			b.card.Policies = append(b.card.Policies, v1alpha1.OfferedPolicy{Name: p.Name, Tunnel: p.Spec.Tunnel, Port: p.Spec.Port})
		}
		b.remarks = append(b.remarks, "no --wan-port: taking the ports that this cluster's WANPolicies have: "+listOffers(b.card.Policies))
		return nil
	}
	for _, text := range wanPorts {
		name, number, ok := strings.Cut(text, "=")
		port, err := strconv.ParseUint(number, 10, 16)
		if !ok || err != nil || port == 0 {
			return usagef("--wan-port: %q is not POLICY=PORT, such as sd-wan-priority-high=31111", text)
		}
		p, err := findPolicy(all, name)
		if err != nil {
			return fmt.Errorf("--wan-port: %w", err)
		}
		b.card.Policies = append(b.card.Policies, v1alpha1.OfferedPolicy{Name: p.Name, Tunnel: p.Spec.Tunnel, Port: int32(port)})
	}
	return nil
}

func listOffers(offers []v1alpha1.OfferedPolicy) string {
	out := make([]string, 0, len(offers))
	for _, o := range offers {
		out = append(out, fmt.Sprintf("%s=%d", o.Name, o.Port))
	}
	return strings.Join(out, ", ")
}

// ports settles the ports of the service: those of the flags, else those that were written before, else those of the own
// Service of that name (in a clusterset a name means the same everywhere), else defaultPort.
func (b *byHand) ports(ctx context.Context, c Access, flags []string) ([]v1alpha1.AdvertisedPort, error) {
	if len(flags) > 0 {
		return parsePorts(flags)
	}
	before, err := getOrNil(ctx, c, advertKey(b.card.ClusterID, b.key), &v1alpha1.ServiceAdvertisement{})
	if err != nil || before != nil {
		return portsOf(before), err
	}
	service, err := getOrNil(ctx, c, b.key, &corev1.Service{})
	if err != nil {
		return nil, err
	}
	if out := servicePorts(service); len(out) > 0 {
		b.remarks = append(b.remarks, fmt.Sprintf("no --port: taking the ports of this cluster's own Service %s", short(b.key)))
		return out, nil
	}
	b.remarks = append(b.remarks, "no --port: taking "+defaultPort)
	return parsePorts([]string{defaultPort})
}

func portsOf(a *v1alpha1.ServiceAdvertisement) []v1alpha1.AdvertisedPort {
	if a == nil {
		return nil
	}
	return a.Spec.Ports
}

// parsePorts reads NAME:PORT or PORT. How many backends are ready is not known, so one stands for some.
func parsePorts(flags []string) ([]v1alpha1.AdvertisedPort, error) {
	var out []v1alpha1.AdvertisedPort
	for _, text := range flags {
		name, number, named := strings.Cut(text, ":")
		if !named {
			name, number = "", text
		}
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil || port == 0 || (named && len(validation.IsDNS1123Label(name)) > 0) {
			return nil, usagef("--port: %q is not NAME:PORT or PORT, such as %s", text, defaultPort)
		}
		if !named && len(flags) > 1 {
			return nil, usagef("--port: %q needs a name, as in http:%s, since the service has several ports", text, text)
		}
		if slices.ContainsFunc(out, func(p v1alpha1.AdvertisedPort) bool { return p.Name == name || p.Port == int32(port) }) {
			return nil, usagef("--port: %q repeats a name or a number", text)
		}
		out = append(out, v1alpha1.AdvertisedPort{Name: name, Protocol: corev1.ProtocolTCP, Port: int32(port), ReadyBackends: 1})
	}
	return out, nil
}

// servicePorts are the ports of a Service that gateways can carry.
func servicePorts(s *corev1.Service) []v1alpha1.AdvertisedPort {
	if s == nil {
		return nil
	}
	var out []v1alpha1.AdvertisedPort
	for _, p := range s.Spec.Ports {
		if mcs.Carried(p.Protocol) {
			out = append(out, v1alpha1.AdvertisedPort{Name: p.Name, Protocol: corev1.ProtocolTCP, Port: p.Port, AppProtocol: p.AppProtocol, ReadyBackends: 1})
		}
	}
	return out
}
