// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// l7Rule is a rule for what begins with a path, to dummy Services.
func l7Rule(path string, refs ...string) mcwanv1alpha1.HTTPRule {
	kind := gatewayv1.PathMatchPathPrefix
	r := mcwanv1alpha1.HTTPRule{Matches: []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Type: &kind, Value: &path}}}}
	for _, name := range refs {
		r.BackendRefs = append(r.BackendRefs, mcwanv1alpha1.BackendRef{Name: gatewayv1.ObjectName(name)})
	}
	return r
}

// dummy names the dummy Service of a service of the test's namespace.
func (m *member) dummy(service, policy string) string {
	return translate.DummyServiceName(m.fleet.namespace, service, policy)
}

func (m *member) rules(name string, rules ...mcwanv1alpha1.HTTPRule) *mcwanv1alpha1.ServiceImport {
	m.fleet.t.Helper()
	si := &mcwanv1alpha1.ServiceImport{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.fleet.namespace, Name: name},
		Spec:       mcwanv1alpha1.ServiceImportSpec{HTTP: mcwanv1alpha1.HTTPRules{Rules: rules}},
	}
	m.create(si)
	return si
}

// rulesAre waits for a condition whose message says all of the words.
func (m *member) rulesAre(name, kind string, status metav1.ConditionStatus, reason string, words ...string) {
	m.fleet.t.Helper()
	m.eventually(soon, fmt.Sprintf("rules of %s have %s=%s/%s", name, kind, status, reason), func() error {
		si := &mcwanv1alpha1.ServiceImport{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: m.fleet.namespace, Name: name}, si); err != nil {
			return err
		}
		if err := hasCondition(si.Status.Conditions, si.Generation, kind, status, reason); err != nil {
			return err
		}
		for _, w := range words {
			if message := meta.FindStatusCondition(si.Status.Conditions, kind).Message; !strings.Contains(message, w) {
				return fmt.Errorf("%q is not in %q", w, message)
			}
		}
		return nil
	})
}

// routesAre waits until a leg's routes are these: "path prefix -> policy" or "-> status", each once.
func (m *member) routesAre(name string, want ...string) {
	m.fleet.t.Helper()
	m.eventually(soon, "routes of "+name, func() error {
		vs := &networkingv1.VirtualService{}
		key := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.LegName(m.fleet.namespace, name, 8080)}
		if err := m.Get(m.fleet.t.Context(), key, vs); err != nil {
			return err
		}
		var got []string
		for _, h := range vs.Spec.Http {
			from, to := "", fmt.Sprint(h.DirectResponse.GetStatus())
			if len(h.Match) > 0 {
				from = h.Match[0].GetUri().GetExact() + h.Match[0].GetUri().GetPrefix()
			}
			if len(h.Route) > 0 {
				to, _, _ = strings.Cut(strings.TrimPrefix(h.Route[0].Destination.Host, "path-"), "-cluster")
			}
			got = append(got, from+" -> "+to)
		}
		if got = slices.Compact(got); !slices.Equal(got, want) {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
}

func TestRulesChooseTunnels(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]

	early := one.rules("payment", l7Rule("/payment", one.dummy("payment", "high")), l7Rule("/stats", one.dummy("payment", "default")))
	one.rulesAre("payment", mcwanv1alpha1.ConditionAccepted, metav1.ConditionTrue, mcwanv1alpha1.ReasonAccepted)
	one.rulesAre("payment", mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, mcwanv1alpha1.ReasonNotImported, f.namespace+"/payment")

	two.service("payment", 1)
	export := two.export("payment", "high")
	one.imported("payment", two.id)
	for _, kind := range []string{mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ConditionResolvedRefs, mcwanv1alpha1.ConditionProgrammed} {
		one.rulesAre("payment", kind, metav1.ConditionTrue, kind)
	}
	one.routesAre("payment", "/payment -> high", "/stats -> default", " -> 403")
	path := &networkingv1.ServiceEntry{}
	if err := one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.PathName(translate.PathKey{Policy: "default", Exporter: two.id})}, path); err != nil {
		t.Errorf("the path that a rule leads to: %v", err)
	}

	one.remove(early)
	one.routesAre("payment", " -> high")

	one.rules("payment", l7Rule("/", one.dummy("payment", "default")))
	one.routesAre("payment", "/ -> default", " -> 403")
	two.remove(export)
	one.nothingLeft(2*soon, "payment")
	one.rulesAre("payment", mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, mcwanv1alpha1.ReasonNotImported)
	one.rulesAre("payment", mcwanv1alpha1.ConditionResolvedRefs, metav1.ConditionUnknown, mcwanv1alpha1.ReasonPending)
}

// TestBadRules: each gives a condition that names rule and field, and an Event.
func TestBadRules(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	one.create(service(f.namespace, "payment",
		corev1.ServicePort{Name: "http", Port: 8080, TargetPort: intstr.FromInt32(8080)},
		corev1.ServicePort{Name: "tcp-db", Port: 5432, TargetPort: intstr.FromInt32(5432)}))
	one.create(slice(f.namespace, "payment", 8080, "10.21.1.1"))
	one.export("payment", "high")
	one.imported("payment", one.id)
	high := one.dummy("payment", "high")
	wrong := l7Rule("/", high)
	expression := gatewayv1.PathMatchRegularExpression
	open := "/(open"
	wrong.Matches[0].Path = &gatewayv1.HTTPPathMatch{Type: &expression, Value: &open}
	tcp := l7Rule("/", high)
	tcp.Ports = []int32{5432}
	missing := l7Rule("/", high)
	missing.Ports = []int32{81}
	for _, tc := range []struct {
		name, kind, reason string
		rules              []mcwanv1alpha1.HTTPRule
		words              []string
		routes             []string
	}{
		{"unknown dummy Service", mcwanv1alpha1.ConditionResolvedRefs, mcwanv1alpha1.ReasonBackendNotFound,
			[]mcwanv1alpha1.HTTPRule{l7Rule("/a", high), l7Rule("/b", "payment-elsewhere-high")},
			[]string{"rules[1].backendRefs[0].name", "payment-elsewhere-high", high}, []string{"/a -> high", "/b -> 500", " -> 403"}},
		{"policy that nobody offers", mcwanv1alpha1.ConditionResolvedRefs, mcwanv1alpha1.ReasonPolicyNotOffered,
			[]mcwanv1alpha1.HTTPRule{l7Rule("/a", one.dummy("payment", "twin"))},
			[]string{"rules[0].backendRefs[0].name", "twin"}, []string{"/a -> 500", " -> 403"}},
		{"invalid regular expression", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonUnsupportedValue,
			[]mcwanv1alpha1.HTTPRule{l7Rule("/a", high), wrong},
			[]string{"rules[1].matches[0].path.value", "RE2"}, []string{"/a -> high", " -> 500", " -> 403"}},
		{"port without HTTP", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonNotHTTP,
			[]mcwanv1alpha1.HTTPRule{l7Rule("/a", high), tcp}, []string{"rules[1].ports[0]", "5432"}, []string{"/a -> high", " -> 403"}},
		{"port that is not there", mcwanv1alpha1.ConditionAccepted, mcwanv1alpha1.ReasonNoSuchPort,
			[]mcwanv1alpha1.HTTPRule{missing}, []string{"rules[0].ports[0]", "81"}, []string{" -> high"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.reason == mcwanv1alpha1.ReasonPolicyNotOffered {
				twin := policy("twin", "lte", 31111, false)
				one.create(twin)
				defer one.remove(twin)
				one.policyIs("twin", metav1.ConditionFalse, v1alpha1.ReasonPortConflict)
			}
			si := one.rules("payment", tc.rules...)
			defer one.remove(si)
			one.rulesAre("payment", tc.kind, metav1.ConditionFalse, tc.reason, tc.words...)
			one.routesAre("payment", tc.routes...)
			one.told(tc.reason, func(e eventsv1.Event) bool { return e.Regarding.UID == si.UID && e.Reason == tc.reason })
		})
	}
	one.routesAre("payment", " -> high")
}

// dummyIs waits until a dummy Service of a service stands, and returns it.
func (m *member) dummyIs(name, policy string) *corev1.Service {
	m.fleet.t.Helper()
	s := &corev1.Service{}
	m.eventually(soon, "dummy Service of "+name+" over "+policy, func() error {
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: m.dummy(name, policy)}, s); err != nil {
			return err
		}
		if s.Labels[v1alpha1.LabelServiceName] != name {
			return fmt.Errorf("it is of %s", s.Labels[v1alpha1.LabelServiceName])
		}
		return nil
	})
	return s
}

func (m *member) dummiesAre(namespace, name string, status metav1.ConditionStatus, reason string) {
	m.fleet.t.Helper()
	m.eventually(soon, fmt.Sprintf("%s of %s is %s/%s", v1alpha1.ConditionDummyServices, name, status, reason), func() error {
		si := &mcsv1beta1.ServiceImport{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, si); err != nil {
			return err
		}
		return hasCondition(si.Status.Conditions, si.Generation, v1alpha1.ConditionDummyServices, status, reason)
	})
}

func TestDummyServicesComeAndGo(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	one.service("payment", 1)
	one.export("payment", "high")
	one.imported("payment", one.id)
	targets := map[int32]int32{}
	for _, p := range one.dummyIs("payment", "high").Spec.Ports {
		targets[p.Port] = p.TargetPort.IntVal
	}
	if targets[8080] == 0 || targets[8080] != targets[31111] {
		t.Errorf("the service's port and the policy's lead to one listener: %v", targets)
	}
	one.dummyIs("payment", "default")
	one.dummiesAre(f.namespace, "payment", metav1.ConditionTrue, v1alpha1.ReasonDummiesReady)

	late := policy("late", "lte", 31118, false)
	one.create(late)
	one.dummyIs("payment", "late")
	one.remove(late)
	one.eventually(soon, "the dummy Service goes with its policy", func() error {
		return one.gone(&corev1.Service{}, v1alpha1.Namespace, one.dummy("payment", "late"))
	})

	rules := one.rules("payment", l7Rule("/", one.dummy("payment", "default")))
	change(one, rules, func(si *mcwanv1alpha1.ServiceImport) {
		si.Annotations = map[string]string{mcwanv1alpha1.AnnotationDummyServices: "false"}
	})
	one.eventually(soon, "switched off for the import", func() error {
		return errors.Join(one.gone(&corev1.Service{}, v1alpha1.Namespace, one.dummy("payment", "high")),
			one.gone(&corev1.Service{}, v1alpha1.Namespace, one.dummy("payment", "default")))
	})
	one.routesAre("payment", "/ -> default", " -> 403")
	one.remove(rules)

	// The ports stay for life, also when the table has to be made anew from what stands.
	before := one.dummyIs("payment", "high").Spec.Ports
	one.down()
	one.remove(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "mcw-leg-ports"}})
	one.up()
	one.service("other", 1)
	one.export("other", "high")
	one.imported("other", one.id)
	one.dummyIs("other", "high")
	after := one.dummyIs("payment", "high").Spec.Ports
	for i := range before {
		if before[i].TargetPort != after[i].TargetPort {
			t.Errorf("port %d led to %s and leads to %s", before[i].Port, before[i].TargetPort.String(), after[i].TargetPort.String())
		}
	}
}

// TestDummyServiceNames: a name that two imports would have belongs to the older one, and the other one says so.
func TestDummyServiceNames(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	short := f.namespace
	one.service("x-a", 1)
	export := one.export("x-a", "high")
	one.imported("x-a", one.id)
	one.dummyIs("x-a", "high")

	f.namespace = "a-" + short
	one.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.namespace}})
	one.service("x", 1)
	one.export("x", "high")
	one.imported("x", one.id)
	one.dummiesAre(f.namespace, "x", metav1.ConditionFalse, v1alpha1.ReasonNameTaken)
	one.remove(export)
	one.dummyIs("x", "high")
	one.dummiesAre(f.namespace, "x", metav1.ConditionTrue, v1alpha1.ReasonDummiesReady)

	long := "a-service-with-a-name-that-is-longer-than-most"
	one.service(long, 1)
	one.export(long, "high")
	one.imported(long, one.id)
	one.dummiesAre(f.namespace, long, metav1.ConditionFalse, v1alpha1.ReasonNameTooLong)
}

// TestPluralMeansTheStandardKind: `kubectl get serviceimports` is about the Multi-Cluster Services API.
func TestPluralMeansTheStandardKind(t *testing.T) {
	client, err := discovery.NewDiscoveryClientForConfig(shared.clusters[0].env.Config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil {
		t.Fatal(err)
	}
	mapper := restmapper.NewShortcutExpander(restmapper.NewDiscoveryRESTMapper(groups), client, nil)
	for word, group := range map[string]string{
		"serviceimports": mcsv1beta1.GroupName, "serviceimport": mcsv1beta1.GroupName, "svcim": mcsv1beta1.GroupName,
		"l7serviceimports": mcwanv1alpha1.GroupName, "l7si": mcwanv1alpha1.GroupName,
		"serviceexports": mcsv1beta1.GroupName, "svcex": mcsv1beta1.GroupName,
		"l7serviceexports": mcwanv1alpha1.GroupName, "l7se": mcwanv1alpha1.GroupName,
	} {
		got, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: word})
		if err != nil || got.Group != group {
			t.Errorf("%s is of group %q, want %s: %v", word, got.Group, group, err)
		}
	}
	kind, err := mapper.RESTMapping(schema.GroupKind{Group: mcwanv1alpha1.GroupName, Kind: mcwanv1alpha1.ServiceImportKind})
	if err != nil || kind.Resource.Resource != "l7serviceimports" {
		t.Errorf("documents name the kind: %v %v", kind, err)
	}
}

// TestOwnerRules: what the owner says in one cluster is followed in the other, gives way to a consumer's own rules or does
// not, is kept at the owner's ingress gateway, and is told of in both.
func TestOwnerRules(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	owner := &mcwanv1alpha1.ServiceExport{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "payment"},
		Spec: mcwanv1alpha1.ServiceExportSpec{HTTP: mcwanv1alpha1.HTTPRules{Rules: []mcwanv1alpha1.HTTPRule{
			l7Rule("/payment", two.dummy("payment", "high")), l7Rule("/stats", two.dummy("payment", "nowhere")),
		}}},
	}
	two.create(owner)
	two.ownerIs(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, mcwanv1alpha1.ReasonNotExported)
	two.ownerIs(mcwanv1alpha1.ConditionResolvedRefs, metav1.ConditionUnknown, mcwanv1alpha1.ReasonPending)

	two.service("payment", 1)
	two.export("payment", "high")
	one.imported("payment", two.id)
	two.ownerIs(mcwanv1alpha1.ConditionProgrammed, metav1.ConditionTrue, mcwanv1alpha1.ReasonProgrammed)
	two.ownerIs(mcwanv1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, mcwanv1alpha1.ReasonBackendNotFound)
	two.ownerIs(mcwanv1alpha1.ConditionConflict, metav1.ConditionFalse, mcwanv1alpha1.ReasonNoConflict)
	one.routesAre("payment", "/payment -> high", "/stats -> 500", " -> 403")
	two.routesAre("payment", "/payment -> high", "/stats -> 500", " -> 403")
	two.ingressIs("/payment", "/stats", " denied")

	change(two, owner, func(e *mcwanv1alpha1.ServiceExport) {
		e.Spec.HTTP.Rules[1] = l7Rule("/stats", two.dummy("payment", "default"))
	})
	two.ownerIs(mcwanv1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, mcwanv1alpha1.ReasonResolvedRefs)
	one.routesAre("payment", "/payment -> high", "/stats -> default", " -> 403")

	own := one.rules("payment", l7Rule("/", one.dummy("payment", "default")))
	one.routesAre("payment", "/ -> default", " -> 403")
	change(two, owner, func(e *mcwanv1alpha1.ServiceExport) { e.Spec.ConsumerRules = mcwanv1alpha1.ConsumerRulesRefused })
	one.routesAre("payment", "/payment -> high", "/stats -> default", " -> 403")
	one.rulesAre("payment", mcwanv1alpha1.ConditionAccepted, metav1.ConditionFalse, mcwanv1alpha1.ReasonNotAllowedByOwner, "consumerRules")
	one.remove(own)

	two.remove(owner)
	one.routesAre("payment", " -> high")
	two.ingressIs("")
}

// ownerIs waits for a condition of the owner's rules for payment.
func (m *member) ownerIs(kind string, status metav1.ConditionStatus, reason string) {
	m.fleet.t.Helper()
	m.eventually(soon, fmt.Sprintf("the owner's rules have %s=%s/%s", kind, status, reason), func() error {
		e := &mcwanv1alpha1.ServiceExport{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: m.fleet.namespace, Name: "payment"}, e); err != nil {
			return err
		}
		return hasCondition(e.Status.Conditions, e.Generation, kind, status, reason)
	})
}

// ingressIs waits until the ingress gateway's routes for payment begin with these paths; " denied" is the last one's name.
func (m *member) ingressIs(want ...string) {
	m.fleet.t.Helper()
	m.eventually(soon, "ingress routes of payment", func() error {
		vs := &networkingv1.VirtualService{}
		key := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.ExportName(translate.WireKey{Namespace: m.fleet.namespace, Name: "payment", Port: 8080})}
		if err := m.Get(m.fleet.t.Context(), key, vs); err != nil {
			return err
		}
		var got []string
		for _, h := range vs.Spec.Http {
			from := ""
			if len(h.Match) > 0 {
				from = h.Match[0].GetUri().GetExact()
			}
			if h.DirectResponse != nil {
				from += " " + h.Name
			}
			got = append(got, from)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
}
