// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcsapi"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// TestMCS is what KEP-1645 asks for, on one fleet of three clusters; docs/mcs.md says which rule each test shows. Each
// test has services of its own.
func TestMCS(t *testing.T) {
	f := joined(t, 3)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fleet)
	}{
		{"only exported Services are imported", onlyExportsAreImported},
		{"exports without annotation", exportsWithoutAnnotation},
		{"types of Services", typesOfServices},
		{"labels and annotations", labelsAndAnnotations},
		{"protected namespaces", protectedNamespaces},
		{"status and slices", statusAndSlices},
		{"the address stays", addressStays},
		{"imports are put right", importsArePutRight},
		{"Services and exports come again", exportsComeAgain},
		{"namespaces come and go", namespacesComeAndGo},
		{"namespace of the exporter", exportersNamespace},
		{"both versions", bothVersions},
		{"conflicts", conflicts},
		{"ports", portsOfSeveral},
		{"types flip", typesFlip},
	} {
		t.Run(test.name, func(t *testing.T) {
			f.t = t
			test.run(t, f)
		})
	}
	f.t = t
}

// onlyExportsAreImported: a Service is exported by a ServiceExport in its own cluster and by nothing else, and what it is
// called in its own cluster is not touched.
func onlyExportsAreImported(t *testing.T, f *fleet) {
	one, two, three := f.members[0], f.members[1], f.members[2]
	one.service("alone", 1)
	one.service("shared", 1)
	local := &corev1.Service{}
	key := client.ObjectKey{Namespace: f.namespace, Name: "shared"}
	if err := one.Get(t.Context(), key, local); err != nil {
		t.Fatal(err)
	}
	two.service("shared", 1)
	two.export("shared", "high")
	for _, m := range f.members {
		m.imported("shared", two.id)
	}
	if err := three.gone(&mcsv1beta1.ServiceImport{}, f.namespace, "alone"); err != nil {
		t.Error(err)
	}
	after := &corev1.Service{}
	if err := one.Get(t.Context(), key, after); err != nil || after.ResourceVersion != local.ResourceVersion {
		t.Errorf("the own Service was changed: %v", err)
	}
	for _, m := range f.members {
		var all networkingv1.ServiceEntryList
		if err := m.List(t.Context(), &all, client.InNamespace(f.namespace)); err != nil {
			t.Fatal(err)
		}
		for _, se := range all.Items {
			for _, host := range se.Spec.Hosts {
				if !strings.HasSuffix(host, ".svc.clusterset.local") {
					t.Errorf("%s: ServiceEntry %s is about %s", m.id, se.Name, host)
				}
			}
		}
	}
}

func exportsWithoutAnnotation(t *testing.T, f *fleet) {
	one, two := f.members[0], f.members[1]
	two.service("plain", 1)
	two.export("plain", "")
	one.imported("plain", two.id)
	one.eventually(soon, "it goes over the default policy", func() error {
		hops, _, err := one.hops("default", two.id)
		if err == nil && (len(hops) == 0 || hops[0] != two.gatewayAddress()+":31110") {
			err = fmt.Errorf("hops %v", hops)
		}
		return err
	})
	two.exportIs("plain", v1alpha1.ConditionWANPolicy, metav1.ConditionTrue, v1alpha1.ReasonResolved)
}

// TestFleetWithoutPoliciesOfItsUsers: clusters that have nothing but the default WANPolicy, as the chart brings it, and
// know nothing of WAN policies.
func TestFleetWithoutPoliciesOfItsUsers(t *testing.T) {
	f := newFleet(t, 2)
	for _, m := range f.members {
		m.remove(policy("high", "", 0, false))
	}
	for i, m := range f.members {
		other := f.members[1-i].asPeer()
		other.Spec.Bootstrap.Policies = other.Spec.Bootstrap.Policies[:1]
		m.create(other)
	}
	one, two := f.members[0], f.members[1]
	for _, m := range f.members {
		m.service("plain", 1)
		m.export("plain", "")
	}
	for _, m := range f.members {
		si := m.imported("plain", one.id, two.id)
		m.sourcesAre("plain", sourcesOf(si, "8080", one.id, two.id))
		m.exportIs("plain", "Ready", metav1.ConditionTrue, "Ready")
		m.exportIs("plain", "Conflict", metav1.ConditionFalse, "NoConflicts")
		m.exportIs("plain", v1alpha1.ConditionWANPolicy, metav1.ConditionTrue, v1alpha1.ReasonResolved)
	}
	for _, m := range f.members {
		m.remove(&mcsv1beta1.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "plain"}})
	}
	for _, m := range f.members {
		m.nothingLeft(2*soon, "plain")
	}
}

// typesOfServices: NodePort and LoadBalancer are ClusterSetIP for others, and what they were in their own cluster.
func typesOfServices(t *testing.T, f *fleet) {
	one, two := f.members[0], f.members[1]
	before := map[string]*corev1.Service{}
	for _, kind := range []corev1.ServiceType{corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer} {
		name := strings.ToLower(string(kind))
		s := service(f.namespace, name, corev1.ServicePort{Name: "http", Port: 8080, TargetPort: intstr.FromInt32(8080)})
		s.Spec.Type = kind
		two.create(s, slice(f.namespace, name, 8080, "10.22.1.1"))
		before[name] = s
		two.export(name, "")
	}
	for _, name := range []string{"nodeport", "loadbalancer"} {
		if si := one.imported(name, two.id); si.Spec.Type != mcsv1beta1.ClusterSetIP {
			t.Errorf("%s is %s", name, si.Spec.Type)
		}
		two.imported(name, two.id)
		after := &corev1.Service{}
		if err := two.Get(t.Context(), client.ObjectKey{Namespace: f.namespace, Name: name}, after); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before[name].Spec, after.Spec); diff != "" || after.ResourceVersion != before[name].ResourceVersion || after.Spec.Ports[0].NodePort == 0 {
			t.Errorf("what %s is in its own cluster was changed (-before +after):\n%s", name, diff)
		}
	}
}

// labelsAndAnnotations: only those of ServiceExport.spec travel.
func labelsAndAnnotations(t *testing.T, f *fleet) {
	one, two := f.members[0], f.members[1]
	s := service(f.namespace, "labelled", corev1.ServicePort{Name: "http", Port: 8080, TargetPort: intstr.FromInt32(8080)})
	s.Labels, s.Annotations = map[string]string{"of": "service"}, map[string]string{"of": "service"}
	two.create(s, slice(f.namespace, "labelled", 8080, "10.22.1.1"))
	two.create(&mcsv1beta1.ServiceExport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: f.namespace, Name: "labelled",
			Labels: map[string]string{"of": "export"}, Annotations: map[string]string{"of": "export", v1alpha1.AnnotationWANPolicy: "high"},
		},
		Spec: mcsv1beta1.ServiceExportSpec{
			ExportedLabels:      map[string]string{"team": "money", v1alpha1.LabelManagedBy: "somebody"},
			ExportedAnnotations: map[string]string{"example.com/contact": "Money Team, 4th floor"},
		},
	})
	si := one.imported("labelled", two.id)
	if si.Labels["team"] != "money" || si.Labels["of"] != "" || si.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ValueManagedBy {
		t.Errorf("labels %v", si.Labels)
	}
	if !maps.Equal(si.Annotations, map[string]string{"example.com/contact": "Money Team, 4th floor"}) {
		t.Errorf("annotations %v", si.Annotations)
	}
}

func protectedNamespaces(t *testing.T, f *fleet) {
	one, two := f.members[0], f.members[1]
	s := service("kube-system", "inner", corev1.ServicePort{Name: "http", Port: 8080})
	export := &mcsv1beta1.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "inner"}}
	two.create(s, export)
	defer two.remove(s)
	defer two.remove(export)
	two.eventually(soon, "it is told", func() error {
		if err := two.Get(t.Context(), client.ObjectKeyFromObject(export), export); err != nil {
			return err
		}
		return hasCondition(export.Status.Conditions, export.Generation, "Valid", metav1.ConditionFalse, v1alpha1.RefusedNamespace)
	})
	for _, m := range []*member{one, two} {
		if err := m.gone(&mcsv1beta1.ServiceImport{}, "kube-system", "inner"); err != nil {
			t.Error(err)
		}
	}
}

// sources are the MCS EndpointSlices of a service: the endpoints and ports of each source cluster and family, which has one
// slice.
func (m *member) sources(name string) (map[string]string, error) {
	var list discoveryv1.EndpointSliceList
	if err := m.List(m.fleet.t.Context(), &list, client.InNamespace(m.fleet.namespace), client.MatchingLabels{mcsv1beta1.LabelServiceName: name}); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, s := range list.Items {
		if by := s.Labels[discoveryv1.LabelManagedBy]; by != v1alpha1.ValueManagedBy {
			return nil, fmt.Errorf("slice %s is managed by %q", s.Name, by)
		}
		key := source(s.Labels[mcsv1beta1.LabelSourceCluster], s.AddressType)
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("two slices of %s", key)
		}
		var ports []string
		for _, p := range s.Ports {
			ports = append(ports, fmt.Sprint(*p.Port))
		}
		for _, e := range s.Endpoints {
			out[key] += strings.Join(e.Addresses, ",")
		}
		out[key] += ":" + strings.Join(ports, ",")
	}
	return out, nil
}

func source(cluster string, family discoveryv1.AddressType) string {
	return cluster + " " + string(family)
}

// sourcesOf are the slices that an import has to have: its own addresses, one of each family, for every cluster.
func sourcesOf(si *mcsv1beta1.ServiceImport, ports string, clusters ...string) map[string]string {
	out := map[string]string{}
	for _, ip := range si.Spec.IPs {
		family := discoveryv1.AddressTypeIPv4
		if strings.Contains(ip, ":") {
			family = discoveryv1.AddressTypeIPv6
		}
		for _, c := range clusters {
			out[source(c, family)] = ip + ":" + ports
		}
	}
	return out
}

func (m *member) sourcesAre(name string, want map[string]string) {
	m.fleet.t.Helper()
	m.eventually(soon, "EndpointSlices of "+name, func() error {
		got, err := m.sources(name)
		if err == nil && !maps.Equal(got, want) {
			err = fmt.Errorf("slices %v, want %v", got, want)
		}
		return err
	})
}

func statusAndSlices(t *testing.T, f *fleet) {
	one, two, three := f.members[0], f.members[1], f.members[2]
	var exports []*mcsv1beta1.ServiceExport
	for _, m := range []*member{two, three} {
		m.service("sliced", 1)
		exports = append(exports, m.export("sliced", ""))
	}
	for _, m := range f.members {
		si := m.imported("sliced", two.id, three.id)
		if si.Status.EndpointSliceObjects != mcsv1beta1.EndpointSliceObjectsPresent {
			t.Errorf("%s: endpointSliceObjects is %q", m.id, si.Status.EndpointSliceObjects)
		}
		m.sourcesAre("sliced", sourcesOf(si, "8080", two.id, three.id))
	}
	three.remove(exports[1])
	one.sourcesAre("sliced", sourcesOf(one.imported("sliced", two.id), "8080", two.id))
	two.remove(exports[0])
	one.nothingLeft(2*soon, "sliced")
	one.sourcesAre("sliced", map[string]string{})
}

// addressStays: the ClusterSetIP is that of the import's life, whatever becomes of ports, exporters and controllers.
func addressStays(t *testing.T, f *fleet) {
	one, two, three := f.members[0], f.members[1], f.members[2]
	two.service("stable", 1)
	export := two.export("stable", "")
	si := one.imported("stable", two.id)
	vip, before := si.Spec.IPs[0], one.legPorts("stable")
	same := func(when string, clusters ...string) *mcsv1beta1.ServiceImport {
		t.Helper()
		si := one.imported("stable", clusters...)
		if si.Spec.IPs[0] != vip {
			t.Errorf("%s the ClusterSetIP moved from %s to %s", when, vip, si.Spec.IPs[0])
		}
		return si
	}
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "stable"}}
	change(two, s, func(s *corev1.Service) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "grpc", Port: 9090, TargetPort: intstr.FromInt32(9090)})
	})
	one.eventually(soon, "the new port is imported", func() error {
		if n := len(same("with a port more", two.id).Spec.Ports); n != 2 {
			return fmt.Errorf("%d ports", n)
		}
		return nil
	})
	if got := one.legPorts("stable")["8080"]; got != before["8080"] {
		t.Errorf("the listener of a port that stayed moved from %d to %d", before["8080"], got)
	}
	other := func(when string, carried bool, ports ...corev1.ServicePort) {
		t.Helper()
		change(two, s, func(s *corev1.Service) { s.Spec.Ports = ports })
		one.eventually(soon, when, func() error {
			si := &mcsv1beta1.ServiceImport{}
			if err := one.Get(t.Context(), client.ObjectKey{Namespace: f.namespace, Name: "stable"}, si); err != nil {
				return err
			}
			if len(si.Spec.IPs) == 0 || si.Spec.IPs[0] != vip {
				t.Fatalf("%s the ClusterSetIP moved from %s to %v", when, vip, si.Spec.IPs)
			}
			if len(si.Spec.Ports) != 1 || si.Spec.Ports[0].Name != ports[0].Name {
				return fmt.Errorf("ports %v", si.Spec.Ports)
			}
			if !carried {
				return hasCondition(si.Status.Conditions, si.Generation, "Ready", metav1.ConditionFalse, v1alpha1.ReasonUnsupportedProtocol)
			}
			return hasCondition(si.Status.Conditions, si.Generation, "Ready", metav1.ConditionTrue, "Ready")
		})
	}
	web := corev1.ServicePort{Name: "http", Port: 8080, TargetPort: intstr.FromInt32(8080)}
	other("with nothing but UDP", false, corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(53)})
	other("with TCP again", true, web)
	other("with another port instead", true, corev1.ServicePort{Name: "http-2", Port: 9999, TargetPort: intstr.FromInt32(8080)})
	other("with the first port again", true, web)
	one.down()
	three.service("stable", 1)
	three.export("stable", "")
	one.up()
	same("with an exporter more, after a restart,", two.id, three.id)
	two.remove(export)
	same("without its first exporter", three.id)
}

// importsArePutRight: only the controller manages imports.
func importsArePutRight(t *testing.T, f *fleet) {
	one, two := f.members[0], f.members[1]
	two.service("tended", 1)
	two.export("tended", "")
	si := one.imported("tended", two.id)
	vip := si.Spec.IPs[0]
	change(one, si, func(si *mcsv1beta1.ServiceImport) { si.Spec.IPs = []string{"10.1.2.3"} })
	right := func() error {
		now := &mcsv1beta1.ServiceImport{}
		if err := one.isImported(now, "tended", two.id); err != nil {
			return err
		}
		if now.Spec.IPs[0] != vip || now.DeletionTimestamp != nil {
			return fmt.Errorf("ips %v", now.Spec.IPs)
		}
		return nil
	}
	one.eventually(soon, "a changed import is put right", right)
	one.remove(si)
	one.eventually(soon, "a deleted import is back with its address", right)
	var list discoveryv1.EndpointSliceList
	if err := one.List(t.Context(), &list, client.InNamespace(f.namespace), client.MatchingLabels{mcsv1beta1.LabelServiceName: "tended"}); err != nil || len(list.Items) != 1 {
		t.Fatalf("%d slices: %v", len(list.Items), err)
	}
	one.remove(&list.Items[0])
	one.sourcesAre("tended", map[string]string{source(two.id, discoveryv1.AddressTypeIPv4): vip + ":8080"})
}

func exportsComeAgain(_ *testing.T, f *fleet) {
	one, two := f.members[0], f.members[1]
	two.service("again", 1)
	export := two.export("again", "")
	one.imported("again", two.id)
	two.remove(export)
	one.nothingLeft(2*soon, "again")
	two.export("again", "")
	one.imported("again", two.id)

	two.remove(service(f.namespace, "again"))
	two.exportIs("again", "Valid", metav1.ConditionFalse, "NoService")
	one.nothingLeft(2*soon, "again")
	two.create(service(f.namespace, "again", corev1.ServicePort{Name: "http", Port: 8081, TargetPort: intstr.FromInt32(8080)}))
	one.imported("again", two.id)
	two.exportIs("again", "Ready", metav1.ConditionTrue, "Ready")
}

// namespacesComeAndGo: a cluster imports into the namespaces that it has.
func namespacesComeAndGo(t *testing.T, f *fleet) {
	home := f.namespace
	defer func() { f.namespace = home }()
	one, two := f.members[0], f.members[1]
	f.namespace = home + "-tides"
	two.namespaceStands()
	two.service("tidal", 1)
	two.export("tidal", "")
	two.imported("tidal", two.id)
	for range 2 {
		if err := one.gone(&mcsv1beta1.ServiceImport{}, f.namespace, "tidal"); err != nil {
			t.Error(err)
		}
		one.namespaceStands()
		one.imported("tidal", two.id)
		one.namespaceGoes(f.namespace)
		one.eventually(soon, "its address and legs are gone", func() error {
			return errors.Join(
				one.gone(&corev1.Service{}, v1alpha1.Namespace, translate.DerivedServiceName(f.namespace, "tidal")),
				one.gone(&networkingv1.VirtualService{}, v1alpha1.Namespace, translate.LegName(f.namespace, "tidal", 8080)))
		})
	}
	two.imported("tidal", two.id)
}

// exportersNamespace: what a cluster exports goes with its namespace, and comes with it.
func exportersNamespace(t *testing.T, f *fleet) {
	home := f.namespace
	defer func() { f.namespace = home }()
	one, two := f.members[0], f.members[1]
	f.namespace = home + "-source"
	one.namespaceStands()
	for range 2 {
		two.namespaceStands()
		two.service("sourced", 1)
		two.export("sourced", "")
		one.imported("sourced", two.id)
		two.namespaceGoes(f.namespace)
		one.eventually(2*soon, "the import is gone", func() error { return one.gone(&mcsv1beta1.ServiceImport{}, f.namespace, "sourced") })
		one.nothingLeft(2*soon, "sourced")
		if err := one.Get(t.Context(), client.ObjectKey{Name: f.namespace}, &corev1.Namespace{}); err != nil {
			t.Errorf("the importer's own namespace: %v", err)
		}
	}
}

// namespaceGoes deletes a namespace, as the namespace controller of a real cluster does it: it is terminating first, and
// what users made in it is deleted.
func (m *member) namespaceGoes(name string) {
	t := m.fleet.t
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	m.remove(ns)
	for _, kind := range []client.Object{&mcsv1beta1.ServiceExport{}, &corev1.Service{}, &discoveryv1.EndpointSlice{}} {
		for _, obj := range m.list(t.Context(), t, kind) {
			if obj.GetNamespace() == name && obj.GetLabels()[v1alpha1.LabelManagedBy] != v1alpha1.ValueManagedBy {
				m.remove(obj)
			}
		}
	}
	m.eventually(soon, "what stood in "+name+" is gone", func() error {
		for _, kind := range []client.Object{&mcsv1beta1.ServiceImport{}, &discoveryv1.EndpointSlice{}, &networkingv1.ServiceEntry{}} {
			for _, obj := range m.list(t.Context(), t, kind) {
				if obj.GetNamespace() == name && obj.GetLabels()[v1alpha1.LabelManagedBy] == v1alpha1.ValueManagedBy {
					return fmt.Errorf("%T %s stands", kind, obj.GetName())
				}
			}
		}
		return nil
	})
	if err := m.Get(t.Context(), client.ObjectKeyFromObject(ns), ns); err != nil {
		t.Fatal(err)
	}
	ns.Spec.Finalizers = nil
	if err := m.SubResource("finalize").Update(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	m.eventually(soon, "namespace "+name+" is gone", func() error { return m.gone(&corev1.Namespace{}, "", name) })
}

// bothVersions: who reads v1alpha1 sees the same imports.
func bothVersions(t *testing.T, f *fleet) {
	one, two := f.members[0], f.members[1]
	two.service("versioned", 1)
	export := &unstructured.Unstructured{Object: map[string]any{}}
	export.SetGroupVersionKind(mcsapi.API{Version: "v1alpha1"}.Kind(mcsv1beta1.ServiceExportKindName))
	export.SetNamespace(f.namespace)
	export.SetName("versioned")
	two.create(export)
	si := one.imported("versioned", two.id)
	old := &unstructured.Unstructured{}
	old.SetGroupVersionKind(mcsapi.API{Version: "v1alpha1"}.Kind(mcsv1beta1.ServiceImportKindName))
	if err := one.Get(t.Context(), client.ObjectKeyFromObject(si), old); err != nil {
		t.Fatal(err)
	}
	ips, _, _ := unstructured.NestedStringSlice(old.Object, "spec", "ips")
	if !slices.Equal(ips, si.Spec.IPs) {
		t.Errorf("v1alpha1 has ips %v, v1beta1 %v", ips, si.Spec.IPs)
	}
}

// typesFlip: the type is that of the oldest export; with its owner goes the type.
func typesFlip(t *testing.T, f *fleet) {
	one, two, three := f.members[0], f.members[1], f.members[2]
	two.service("flipping", 1)
	first := two.export("flipping", "")
	one.imported("flipping", two.id)
	one.secondPasses(first)
	headless := service(f.namespace, "flipping", corev1.ServicePort{Name: "http", Port: 8080})
	headless.Spec.ClusterIP = corev1.ClusterIPNone
	three.create(headless, slice(f.namespace, "flipping", 8080, "10.23.1.1"))
	three.export("flipping", "")
	for _, m := range []*member{two, three} {
		m.exportIs("flipping", "Conflict", metav1.ConditionTrue, "TypeConflict")
		m.wantEvent("flipping", "TypeConflict")
	}
	one.imported("flipping", two.id, three.id)
	two.remove(first)
	one.eventually(2*soon, "it is headless", func() error {
		si := &mcsv1beta1.ServiceImport{}
		if err := one.Get(t.Context(), client.ObjectKey{Namespace: f.namespace, Name: "flipping"}, si); err != nil {
			return err
		}
		if si.Spec.Type != mcsv1beta1.Headless || len(si.Spec.IPs) > 0 {
			return fmt.Errorf("it is %s with %v", si.Spec.Type, si.Spec.IPs)
		}
		return one.gone(&corev1.Service{}, v1alpha1.Namespace, translate.DerivedServiceName(f.namespace, "flipping"))
	})
	three.exportIs("flipping", "Conflict", metav1.ConditionFalse, "NoConflicts")
}

// secondPasses waits until an export that is made now is younger than that one: creation times have seconds only.
func (m *member) secondPasses(since client.Object) {
	m.fleet.t.Helper()
	m.eventually(soon, "a second passes", func() error {
		if time.Since(since.GetCreationTimestamp().Time) < 1100*time.Millisecond {
			return errors.New("not yet")
		}
		return nil
	})
}
