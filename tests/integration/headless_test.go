// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// headlessService is a headless Service with an HTTP and a TCP port.
func headlessService(namespace, name string) *corev1.Service {
	s := service(namespace, name, corev1.ServicePort{Name: "http", Port: 8080}, corev1.ServicePort{Name: "tcp-db", Port: 5432})
	s.Spec.ClusterIP = corev1.ClusterIPNone
	return s
}

// headlessSlice is what the endpoint controller would write for pods of these hostnames.
func (m *member) headlessSlice(name string, hostnames ...string) *discoveryv1.EndpointSlice {
	out := slice(m.fleet.namespace, name, 8080)
	out.Labels[corev1.IsHeadlessService] = ""
	web, db, tcp := "http", "tcp-db", corev1.ProtocolTCP
	webPort, dbPort := int32(8080), int32(5432)
	out.Ports = []discoveryv1.EndpointPort{{Name: &web, Protocol: &tcp, Port: &webPort}, {Name: &db, Protocol: &tcp, Port: &dbPort}}
	out.Endpoints = m.headlessEndpoints(hostnames...)
	return out
}

func (m *member) headlessEndpoints(hostnames ...string) []discoveryv1.Endpoint {
	var out []discoveryv1.Endpoint
	for i, h := range hostnames {
		out = append(out, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.2%d.2.%d", m.number, i+1)}, Hostname: &h,
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: m.fleet.namespace, Name: h},
		})
	}
	return out
}

// names is what DNS would make of the EndpointSlices of a headless import: addresses of one family by
// "hostname.cluster".
func (m *member) names(name string, family discoveryv1.AddressType) map[string]string {
	t := m.fleet.t
	t.Helper()
	var list discoveryv1.EndpointSliceList
	if err := m.List(t.Context(), &list, client.InNamespace(m.fleet.namespace), client.MatchingLabels{mcsv1beta1.LabelServiceName: name}); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, s := range list.Items {
		for _, e := range s.Endpoints {
			if s.AddressType == family && e.Hostname != nil {
				out[*e.Hostname+"."+s.Labels[mcsv1beta1.LabelSourceCluster]] = e.Addresses[0]
			}
		}
	}
	return out
}

// named waits until the endpoints of a headless import have exactly these names, and returns their addresses.
func (m *member) named(name string, want ...string) map[string]string {
	m.fleet.t.Helper()
	var got map[string]string
	m.eventually(soon, "names of "+name, func() error {
		got = m.names(name, discoveryv1.AddressTypeIPv4)
		if have := slices.Sorted(maps.Keys(got)); !slices.Equal(have, want) {
			return fmt.Errorf("names %v, want %v", have, want)
		}
		return nil
	})
	return got
}

// headlessImport waits until the import is ready, headless and without an address.
func (m *member) headlessImport(name string, clusters ...string) {
	m.fleet.t.Helper()
	m.eventually(soon, "headless import of "+name, func() error {
		si := &mcsv1beta1.ServiceImport{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: m.fleet.namespace, Name: name}, si); err != nil {
			return err
		}
		var from []string
		for _, c := range si.Status.Clusters {
			from = append(from, c.Cluster)
		}
		switch {
		case si.Spec.Type != mcsv1beta1.Headless, len(si.Spec.IPs) > 0, len(si.Spec.Ports) != 2:
			return fmt.Errorf("spec %+v", si.Spec)
		case !slices.Equal(slices.Sorted(slices.Values(from)), clusters):
			return fmt.Errorf("imported from %v", from)
		case si.Status.EndpointSliceObjects != mcsv1beta1.EndpointSliceObjectsPresent:
			return fmt.Errorf("endpointSliceObjects is %q", si.Status.EndpointSliceObjects)
		case !meta.IsStatusConditionTrue(si.Status.Conditions, string(mcsv1beta1.ServiceImportConditionReady)):
			return fmt.Errorf("conditions %v", si.Status.Conditions)
		}
		return nil
	})
}

func TestHeadlessEndpointsOneByOne(t *testing.T) {
	f := joined(t, 3)
	one, two, three := f.members[0], f.members[1], f.members[2]
	for _, m := range []*member{two, three} {
		m.create(headlessService(f.namespace, "db"))
	}
	two.create(two.headlessSlice("db", "db-0", "db-1"))
	three.create(three.headlessSlice("db", "db-0"))
	two.export("db", "high")
	three.export("db", "high")
	all := []string{"db-0.cluster-2", "db-0.cluster-3", "db-1.cluster-2"}
	for _, m := range f.members {
		m.headlessImport("db", two.id, three.id)
		for name, address := range m.named("db", all...) {
			m.leadsToEgress("db", name, address)
		}
	}
	two.exportIs("db", v1alpha1.ConditionEndpointsCarried, metav1.ConditionTrue, v1alpha1.ReasonCarried)

	before := one.named("db", all...)
	scaled := two.headlessSlice("db")
	change(two, scaled, func(s *discoveryv1.EndpointSlice) { s.Endpoints = two.headlessEndpoints("db-0", "db-1", "db-2") })
	after := one.named("db", "db-0.cluster-2", "db-0.cluster-3", "db-1.cluster-2", "db-2.cluster-2")
	for name, address := range before {
		if after[name] != address {
			t.Errorf("%s moved from %s to %s because another endpoint came", name, address, after[name])
		}
	}
	change(two, scaled, func(s *discoveryv1.EndpointSlice) {
		ready := false
		s.Endpoints = two.headlessEndpoints("db-0", "db-1")
		s.Endpoints[1].Conditions.Ready = &ready
	})
	one.named("db", "db-0.cluster-2", "db-0.cluster-3")
	one.nothingOf("db", "db-1")
	one.nothingOf("db", "db-2")
	two.eventually(soon, "no EndpointSlice leads to the address of a pod that is gone", func() error {
		return two.backendsAre("db", "db-0")
	})
	kept := one.named("db", "db-0.cluster-2", "db-0.cluster-3")
	key := translate.EndpointKey{Cluster: two.id, Hostname: "db-0"}
	one.remove(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: translate.EndpointServiceName(f.namespace, "db", key)}})
	one.eventually(soon, "a Service that was deleted comes back with its address", func() error {
		s := &corev1.Service{}
		if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.EndpointServiceName(f.namespace, "db", key)}, s); err != nil {
			return err
		}
		if s.Spec.ClusterIP != kept["db-0.cluster-2"] {
			t.Fatalf("%s has moved from %s to %s", key, kept["db-0.cluster-2"], s.Spec.ClusterIP)
		}
		return nil
	})
	change(two, scaled, func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil })
	one.named("db", "db-0.cluster-3")
	one.headlessImport("db", two.id, three.id)
}

// leadsToEgress looks whether an endpoint's address is that of a Service whose backends are the egress gateway.
func (m *member) leadsToEgress(name, endpoint, address string) {
	t := m.fleet.t
	t.Helper()
	hostname, cluster, _ := strings.Cut(endpoint, ".")
	key := translate.EndpointKey{Cluster: cluster, Hostname: hostname}
	s := &corev1.Service{}
	if err := m.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.EndpointServiceName(m.fleet.namespace, name, key)}, s); err != nil {
		t.Fatal(err)
	}
	if s.Spec.ClusterIP != address || s.Spec.Selector[v1alpha1.LabelGateway] != v1alpha1.GatewayEgress || len(s.Spec.Ports) != 4 {
		t.Errorf("%s: %s has %s: %+v", m.id, endpoint, address, s.Spec)
	}
	for _, port := range []int32{8080, 5432} {
		leg := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.EndpointLegName(m.fleet.namespace, name, port, key)}
		m.eventually(soon, "leg of "+endpoint, func() error { return m.Get(t.Context(), leg, &networkingv1.Gateway{}) })
	}
}

// nothingOf waits until nothing of an importer's is left that was made for a hostname.
func (m *member) nothingOf(name, hostname string) {
	m.fleet.t.Helper()
	m.eventually(soon, "everything of "+hostname+" is gone", func() error {
		for _, obj := range m.ours() {
			labels := obj.GetLabels()
			if labels[v1alpha1.LabelServiceName] == name && labels[v1alpha1.LabelHostname] == hostname {
				return fmt.Errorf("%T %s stands", obj, obj.GetName())
			}
		}
		return nil
	})
}

// backendsAre compares the hostnames for which the exporter's ingress gateway has endpoints.
func (m *member) backendsAre(name string, want ...string) error {
	var got []string
	for _, obj := range m.ours() {
		labels := obj.GetLabels()
		if obj.GetObjectKind().GroupVersionKind().Kind == "EndpointSlice" && labels[v1alpha1.LabelPart] == v1alpha1.PartExport &&
			labels[v1alpha1.LabelServiceName] == name {
			got = append(got, labels[v1alpha1.LabelHostname])
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		return fmt.Errorf("backends of %v, want %v", got, want)
	}
	return nil
}

func TestHeadlessAddressesOutliveTheController(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.create(headlessService(f.namespace, "db"), two.headlessSlice("db", "db-0", "db-1"))
	two.export("db", "high")
	before := one.named("db", "db-0.cluster-2", "db-1.cluster-2")
	one.headlessImport("db", two.id)
	one.down()
	one.remove(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "mcw-leg-ports"}})
	one.up()
	one.eventually(soon, "the table of ports is back", func() error {
		return one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: "mcw-leg-ports"}, &corev1.ConfigMap{})
	})
	after := one.named("db", "db-0.cluster-2", "db-1.cluster-2")
	if !maps.Equal(before, after) {
		t.Errorf("addresses were %v, are %v", before, after)
	}
}

// The endpoints of a service whose pods have both address families have addresses of both where the cluster has both, and
// of the one that there is elsewhere; so has a ClusterSetIP, whatever families the pods have.
func TestAddressFamilies(t *testing.T) {
	f := joined(t, 3)
	one, two, three := f.members[0], f.members[1], f.members[2]
	both := headlessService(f.namespace, "db")
	policy := corev1.IPFamilyPolicyRequireDualStack
	both.Spec.IPFamilyPolicy = &policy
	three.create(both, three.headlessSlice("db", "db-0"))
	three.export("db", "high")
	two.service("payment", 1)
	two.export("payment", "high")
	for _, m := range []*member{one, three} {
		m.named("db", "db-0.cluster-3")
	}
	three.eventually(soon, "an IPv6 address too", func() error {
		if got := three.names("db", discoveryv1.AddressTypeIPv6)["db-0.cluster-3"]; !strings.HasPrefix(got, "fd00:103::") {
			return fmt.Errorf("its IPv6 address is %q", got)
		}
		return nil
	})
	if got := one.names("db", discoveryv1.AddressTypeIPv6); len(got) > 0 {
		t.Errorf("IPv6 addresses %v in a cluster that has none", got)
	}
	v4, v6 := corev1.IPv4Protocol, corev1.IPv6Protocol
	one.familiesAre("db", v4)
	three.familiesAre("db", v4, v6)
	if si := three.imported("payment", two.id); len(si.Spec.IPs) != 2 || !strings.HasPrefix(si.Spec.IPs[1], "fd00:103::") {
		t.Errorf("the ClusterSetIPs are %v", si.Spec.IPs)
	}
	one.familiesAre("payment", v4)
}

// Pods of a headless service that are not reached by the same families everywhere are told, and the import has what they
// have in common.
func TestIPFamilyConflict(t *testing.T) {
	f := joined(t, 3)
	two, three := f.members[1], f.members[2]
	two.create(headlessService(f.namespace, "db"), two.headlessSlice("db", "db-0"))
	two.export("db", "")
	both := headlessService(f.namespace, "db")
	policy := corev1.IPFamilyPolicyRequireDualStack
	both.Spec.IPFamilyPolicy = &policy
	three.create(both, three.headlessSlice("db", "db-0"))
	export := three.export("db", "")
	for _, m := range []*member{two, three} {
		m.exportIs("db", "Conflict", metav1.ConditionTrue, "IPFamilyConflict")
		m.wantEvent("db", "IPFamilyConflict")
	}
	for _, m := range f.members {
		m.headlessImport("db", two.id, three.id)
		m.familiesAre("db", corev1.IPv4Protocol)
	}
	three.remove(export)
	two.exportIs("db", "Conflict", metav1.ConditionFalse, "NoConflicts")
}

// A cluster whose gateways have addresses only of a family that the importer does not have cannot be reached: the import
// says so, and is ready when they have got others.
func TestIPFamilyNotSupported(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.service("payment", 1)
	two.export("payment", "")
	one.imported("payment", two.id)

	four := gatewaySlice(two.gatewayAddress())
	six := gatewaySlice("2001:db8::5")
	six.AddressType = discoveryv1.AddressTypeIPv6
	two.remove(four)
	two.create(six)
	one.eventually(soon, "the import says that its families are not supported", func() error {
		si := &mcsv1beta1.ServiceImport{}
		if err := one.Get(t.Context(), client.ObjectKey{Namespace: f.namespace, Name: "payment"}, si); err != nil {
			return err
		}
		return hasCondition(si.Status.Conditions, si.Generation, "Ready", metav1.ConditionFalse, "IPFamilyNotSupported")
	})
	two.remove(six)
	two.create(gatewaySlice(two.gatewayAddress()))
	one.eventually(soon, "the import is ready", func() error { return one.isImported(&mcsv1beta1.ServiceImport{}, "payment", two.id) })
}

func (m *member) familiesAre(name string, want ...corev1.IPFamily) {
	m.fleet.t.Helper()
	m.eventually(soon, "families of "+name, func() error {
		si := &mcsv1beta1.ServiceImport{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: m.fleet.namespace, Name: name}, si); err != nil {
			return err
		}
		if !slices.Equal(si.Spec.IPFamilies, want) {
			return fmt.Errorf("families %v, want %v", si.Spec.IPFamilies, want)
		}
		return nil
	})
}

func TestHeadlessServiceThatBecomesAnother(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	two.create(headlessService(f.namespace, "db"), two.headlessSlice("db", "db-0"))
	two.export("db", "high")
	one.named("db", "db-0.cluster-2")
	two.remove(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "db"}})
	two.create(service(f.namespace, "db", corev1.ServicePort{Name: "http", Port: 8080}, corev1.ServicePort{Name: "tcp-db", Port: 5432}))
	one.eventually(soon, "an import with an address", func() error { return one.isImported(&mcsv1beta1.ServiceImport{}, "db", two.id) })
	one.named("db")
	one.nothingOf("db", "db-0")
	two.remove(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "db"}})
	two.create(headlessService(f.namespace, "db"))
	one.headlessImport("db", two.id)
	one.named("db", "db-0.cluster-2")
	two.remove(&mcsv1beta1.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "db"}})
	for _, m := range f.members {
		m.nothingLeft(2*soon, "db")
	}
}

func TestHeadlessAgainstAnotherType(t *testing.T) {
	f := joined(t, 3)
	one, two, three := f.members[0], f.members[1], f.members[2]
	two.create(headlessService(f.namespace, "db"), two.headlessSlice("db", "db-0"))
	older := two.export("db", "high")
	one.named("db", "db-0.cluster-2")
	one.eventually(soon, "a second has passed", func() error {
		if !metav1.Now().After(older.CreationTimestamp.Add(1100e6)) { // creation times have seconds only
			return fmt.Errorf("not yet")
		}
		return nil
	})
	three.create(service(f.namespace, "db", corev1.ServicePort{Name: "http", Port: 8080}, corev1.ServicePort{Name: "tcp-db", Port: 5432}))
	three.export("db", "high")
	for _, m := range f.members {
		m.headlessImport("db", two.id, three.id)
		m.named("db", "db-0.cluster-2")
	}
	for _, m := range []*member{two, three} {
		m.exportIs("db", "Conflict", metav1.ConditionTrue, "TypeConflict")
	}
	two.remove(older)
	one.eventually(2*soon, "the other one's type when the oldest is gone", func() error {
		return one.isImported(&mcsv1beta1.ServiceImport{}, "db", three.id)
	})
	one.named("db")
	one.nothingOf("db", "db-0")
	three.exportIs("db", "Conflict", metav1.ConditionFalse, "NoConflicts")
}
