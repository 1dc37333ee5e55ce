// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
)

func at(seconds int64) metav1.Time { return metav1.NewTime(time.Unix(1_700_000_000+seconds, 0).UTC()) }

func policy(name string, created int64, edits ...func(*v1alpha1.WANPolicy)) v1alpha1.WANPolicy {
	p := v1alpha1.WANPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: at(created)},
		Spec: v1alpha1.WANPolicySpec{Tunnel: "business", Port: 31111}}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

func isDefault(p *v1alpha1.WANPolicy) { p.Spec.Default = true }

func notReady(reason string) func(*v1alpha1.WANPolicy) {
	return func(p *v1alpha1.WANPolicy) {
		p.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: "Port 31111 is taken; choose another."}}
	}
}

// payment is the export of the samples: one HTTP port, one pod, a default policy.
func payment(edits ...func(*Input)) Input {
	objectMeta := metav1.ObjectMeta{Namespace: "secure", Name: "payment", Generation: 3, CreationTimestamp: at(5)}
	in := Input{
		ClusterID: "cluster-2",
		Export:    &mcsv1beta1.ServiceExport{ObjectMeta: *objectMeta.DeepCopy()},
		Service: &corev1.Service{ObjectMeta: *objectMeta.DeepCopy(), Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.0.1", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			SessionAffinity: corev1.ServiceAffinityNone, InternalTrafficPolicy: new(corev1.ServiceInternalTrafficPolicyCluster),
			Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080, AppProtocol: new("http")}},
		}},
		Slices:   []discoveryv1.EndpointSlice{slice(discoveryv1.AddressTypeIPv4, []string{"http"}, pod("p1"))},
		Policies: []v1alpha1.WANPolicy{policy("internet", 1, isDefault), policy("sd-wan-priority-high", 2)},
	}
	in.Export.CreationTimestamp = at(7)
	for _, edit := range edits {
		edit(&in)
	}
	return in
}

func annotated(policy string) func(*Input) {
	return func(in *Input) { in.Export.Annotations = map[string]string{v1alpha1.AnnotationWANPolicy: policy} }
}

// slice is an EndpointSlice of payment with TCP ports of these names.
func slice(family discoveryv1.AddressType, portNames []string, endpoints ...discoveryv1.Endpoint) discoveryv1.EndpointSlice {
	s := discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "secure", Name: "payment-x", Labels: map[string]string{discoveryv1.LabelServiceName: "payment"}},
		AddressType: family, Endpoints: endpoints,
	}
	for i, n := range portNames {
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: new(n), Protocol: new(corev1.ProtocolTCP), Port: new(int32(1000 + i))})
	}
	return s
}

func pod(name string, edits ...func(*discoveryv1.Endpoint)) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{"10.1.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "secure", Name: name, UID: types.UID(name)}}
	for _, edit := range edits {
		edit(&e)
	}
	return e
}

func bare(address string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{address}}
}

func summary(conditions []metav1.Condition) []string {
	var out []string
	for _, c := range conditions {
		out = append(out, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	return out
}

func TestAdvertisement(t *testing.T) {
	got := Advertise(payment(annotated("sd-wan-priority-high")))
	want := &v1alpha1.ServiceAdvertisementSpec{
		ClusterID: "cluster-2", Namespace: "secure", Name: "payment", MinReader: 1, ExportedAt: at(7), Type: "ClusterSetIP",
		Ports:      []v1alpha1.AdvertisedPort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080, AppProtocol: new("http"), ReadyBackends: 1}},
		IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, SessionAffinity: corev1.ServiceAffinityNone,
		InternalTrafficPolicy: new(corev1.ServiceInternalTrafficPolicyCluster), WANPolicy: "sd-wan-priority-high",
	}
	if diff := cmp.Diff(want, got.Advertisement); diff != "" {
		t.Errorf("advertisement (-want +got):\n%s", diff)
	}
	if got.Policy != "sd-wan-priority-high" {
		t.Errorf("policy = %q", got.Policy)
	}
	if diff := cmp.Diff([]string{"Valid=True/Valid", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=True/Resolved"}, summary(got.Conditions)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	for _, c := range got.Conditions {
		if c.ObservedGeneration != 3 || !c.LastTransitionTime.IsZero() || c.Message == "" {
			t.Errorf("condition %+v", c)
		}
	}
	if err := mcs.Validate(*got.Advertisement); err != nil {
		t.Errorf("the merge refuses it: %v", err)
	}
}

func TestValidity(t *testing.T) {
	serviceType := func(s corev1.ServiceType) func(*Input) { return func(in *Input) { in.Service.Spec.Type = s } }
	for name, tc := range map[string]struct {
		edit func(*Input)
		want string // Valid, and the type that is advertised
	}{
		"ClusterIP":     {func(*Input) {}, "True/Valid ClusterSetIP"},
		"by default":    {serviceType(""), "True/Valid ClusterSetIP"},
		"NodePort":      {serviceType(corev1.ServiceTypeNodePort), "True/Valid ClusterSetIP"},
		"LoadBalancer":  {serviceType(corev1.ServiceTypeLoadBalancer), "True/Valid ClusterSetIP"},
		"headless":      {func(in *Input) { in.Service.Spec.ClusterIP = corev1.ClusterIPNone }, "True/Valid Headless"},
		"ExternalName":  {serviceType(corev1.ServiceTypeExternalName), "False/InvalidServiceType -"},
		"future types":  {serviceType("Satellite"), "False/InvalidServiceType -"},
		"no Service":    {func(in *Input) { in.Service = nil }, "False/NoService -"},
		"protected":     {func(in *Input) { in.Export.Namespace = "kube-system" }, "False/NamespaceNotAllowed -"},
		"without ports": {func(in *Input) { in.Service.Spec.ClusterIP, in.Service.Spec.Ports = corev1.ClusterIPNone, nil }, "True/Valid Headless"},
		"300 ports": {func(in *Input) {
			for i := range int32(300) {
				in.Service.Spec.Ports = append(in.Service.Spec.Ports, corev1.ServicePort{Name: fmt.Sprint("p", i), Port: i + 1})
			}
		}, "False/TooManyPorts -"},
		"no backends yet": {func(in *Input) { in.Slices = nil }, "True/Valid ClusterSetIP"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Advertise(payment(tc.edit))
			valid := meta.FindStatusCondition(got.Conditions, "Valid")
			kind := "-"
			if got.Advertisement != nil {
				kind = got.Advertisement.Type
			}
			if s := fmt.Sprintf("%s/%s %s", valid.Status, valid.Reason, kind); s != tc.want {
				t.Errorf("got %s, want %s", s, tc.want)
			}
			if valid.Status != metav1.ConditionTrue && len(got.Conditions) != 1 {
				t.Errorf("an invalid export has more to say: %v", summary(got.Conditions))
			}
		})
	}
}

func TestNoExport(t *testing.T) {
	for name, in := range map[string]Input{
		"none":          payment(func(in *Input) { in.Export = nil }),
		"being deleted": payment(func(in *Input) { in.Export.DeletionTimestamp = new(at(9)) }),
	} {
		if got := Advertise(in); got.Advertisement != nil || len(got.Conditions) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPolicy(t *testing.T) {
	policies := func(ps ...v1alpha1.WANPolicy) func(*Input) { return func(in *Input) { in.Policies = ps } }
	for name, tc := range map[string]struct {
		edits   []func(*Input)
		want    string // status/reason, policy here, policy advertised or - if it is held back
		message string
	}{
		"named": {[]func(*Input){annotated("sd-wan-priority-high")}, "True/Resolved sd-wan-priority-high sd-wan-priority-high",
			`WAN policy "sd-wan-priority-high": tunnel "business", port 31111.`},
		"by default": {nil, "True/Resolved internet ",
			`The export names no WAN policy, so each importing cluster uses its default; here that is "internet".`},
		"an empty annotation names none": {[]func(*Input){annotated("")}, "True/Resolved internet ", ""},
		"the oldest default": {[]func(*Input){policies(policy("b", 2, isDefault), policy("z", 1, isDefault), policy("a", 2, isDefault))},
			"True/Resolved z ", ""},
		"of equally old defaults the first by name": {[]func(*Input){policies(policy("b", 2, isDefault), policy("a", 2, isDefault))}, "True/Resolved a ", ""},
		"unknown": {[]func(*Input){annotated("hihg")}, "False/UnknownPolicy  -",
			`WAN policy "hihg", named by the annotation mcw.l7mp.io/mc-wan-policy, does not exist in this cluster; correct the annotation or create the WANPolicy. Known: "internet", "sd-wan-priority-high".`},
		"unknown, and none there": {[]func(*Input){annotated("high"), policies()}, "False/UnknownPolicy  -",
			`WAN policy "high", named by the annotation mcw.l7mp.io/mc-wan-policy, does not exist in this cluster; correct the annotation or create the WANPolicy. There is no WANPolicy in this cluster.`},
		"no default": {[]func(*Input){policies(policy("low", 1), policy("high", 2))}, "False/NoDefaultPolicy  ",
			`The export names no WAN policy and no WANPolicy of this cluster has spec.default: true; set it on one, or name one by the annotation mcw.l7mp.io/mc-wan-policy. Known: "high", "low".`},
		"not usable": {[]func(*Input){annotated("high"), policies(policy("high", 1, notReady(v1alpha1.ReasonPortConflict)))}, "False/PolicyNotReady high high",
			`WAN policy "high" cannot be used in this cluster, so traffic follows its failover: Port 31111 is taken; choose another.`},
		"not ready for a reason that closes no port": {[]func(*Input){annotated("high"), policies(policy("high", 1, notReady(v1alpha1.ReasonDiffersAtPeer)))}, "True/Resolved high high", ""},
		"default not usable": {[]func(*Input){policies(policy("internet", 1, isDefault, notReady(v1alpha1.ReasonPortReserved)))}, "False/PolicyNotReady internet ",
			`The default WAN policy "internet" cannot be used in this cluster, so traffic follows its failover: Port 31111 is taken; choose another.`},
	} {
		t.Run(name, func(t *testing.T) {
			got := Advertise(payment(tc.edits...))
			c := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionWANPolicy)
			advertised := "-"
			if got.Advertisement != nil {
				advertised = got.Advertisement.WANPolicy
			}
			if s := fmt.Sprintf("%s/%s %s %s", c.Status, c.Reason, got.Policy, advertised); s != tc.want {
				t.Errorf("got %q, want %q", s, tc.want)
			}
			if tc.message != "" && c.Message != tc.message {
				t.Errorf("message:\n got %s\nwant %s", c.Message, tc.message)
			}
		})
	}
}

func TestMessagesAreBounded(t *testing.T) {
	in := payment(annotated(strings.Repeat("x", 1<<17)), func(in *Input) {
		in.Export.Spec.ExportedLabels = map[string]string{}
		for i := range 1000 {
			in.Policies = append(in.Policies, policy(fmt.Sprintf("%s-%d", strings.Repeat("p", 55), i), 1))
			in.Export.Spec.ExportedLabels[fmt.Sprintf("%s %d", strings.Repeat("l", 1000), i)] = ""
		}
	})
	for _, c := range Advertise(in).Conditions {
		if len(c.Message) > 8192 {
			t.Errorf("message of %s has %d bytes", c.Type, len(c.Message))
		}
	}
}

func TestUncarriedPortsAreAdvertised(t *testing.T) {
	got := Advertise(payment(func(in *Input) {
		in.Service.Spec.Ports = append(in.Service.Spec.Ports, corev1.ServicePort{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53})
	}))
	c := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionPortsCarried)
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonUnsupportedProtocol || !strings.Contains(c.Message, `UDP/53 "dns"`) {
		t.Errorf("PortsCarried = %+v", c)
	}
	if len(got.Advertisement.Ports) != 2 {
		t.Errorf("ports = %+v", got.Advertisement.Ports)
	}
}

// TestOnlyTheSpecIsExported is KEP-1645 L482-486: nothing may come from the metadata of the Service or the export.
func TestOnlyTheSpecIsExported(t *testing.T) {
	got := Advertise(payment(func(in *Input) {
		in.Service.Labels, in.Service.Annotations = map[string]string{"of": "service"}, map[string]string{"of": "service"}
		in.Export.Labels, in.Export.Annotations = map[string]string{"of": "export"}, map[string]string{"of": "export"}
		in.Export.Spec.ExportedLabels = map[string]string{"team": "pay", "not valid": "x"}
		in.Export.Spec.ExportedAnnotations = map[string]string{"note": "hello", "mcw.l7mp.io/mc-wan-policy": "x"}
	}))
	if diff := cmp.Diff(map[string]string{"team": "pay"}, got.Advertisement.ExportedLabels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"note": "hello"}, got.Advertisement.ExportedAnnotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	want := `The Service can be exported. Not valid or reserved, so left out of spec.exportedLabels: "not valid".` +
		` Not valid or reserved, so left out of spec.exportedAnnotations: "mcw.l7mp.io/mc-wan-policy".`
	if c := meta.FindStatusCondition(got.Conditions, "Valid"); c.Message != want {
		t.Errorf("Valid says %q", c.Message)
	}
}

func TestDraining(t *testing.T) {
	deadline := at(60)
	got := Advertise(payment(func(in *Input) { in.Draining, in.DrainDeadline = true, &deadline })).Advertisement
	if !got.Draining || !got.DrainDeadline.Equal(&deadline) || got.Ports[0].ReadyBackends != 1 {
		t.Errorf("draining advertisement = %+v", got)
	}
	if again := Advertise(payment(func(in *Input) { in.Previous, in.DrainDeadline = got, &deadline })).Advertisement; again.Draining || again.DrainDeadline != nil {
		t.Errorf("not draining any more, but %+v", again)
	}
}

func TestDrain(t *testing.T) {
	previous := *Advertise(payment()).Advertisement
	before := *previous.DeepCopy()
	got := Drain(previous, at(60))
	want := before
	want.Draining, want.DrainDeadline = true, new(at(60))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("drained (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, previous); diff != "" {
		t.Errorf("the input was changed:\n%s", diff)
	}
	if again := Drain(got, at(99)); !again.DrainDeadline.Equal(new(at(60))) {
		t.Errorf("the deadline moved to %v", again.DrainDeadline)
	}
}

// TestFromFiles: an export that comes from a file has no creation time and a Service has no defaults.
func TestFromFiles(t *testing.T) {
	got := Advertise(payment(func(in *Input) {
		in.Export.CreationTimestamp = metav1.Time{}
		in.Service.Spec = corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}
	}))
	if m := mcs.Merge([]v1alpha1.ServiceAdvertisementSpec{*got.Advertisement}); !m.Exported() || m.Ports[0].Protocol != corev1.ProtocolTCP {
		t.Errorf("merged = %+v", m)
	}
}

// The owner's rules travel as they are; what is too large does not, and neither does what is being deleted.
func TestRulesTravel(t *testing.T) {
	rules := func(value string) *mcwanv1alpha1.ServiceExport {
		return &mcwanv1alpha1.ServiceExport{Spec: mcwanv1alpha1.ServiceExportSpec{
			ConsumerRules: mcwanv1alpha1.ConsumerRulesRefused,
			HTTP: mcwanv1alpha1.HTTPRules{Rules: []mcwanv1alpha1.HTTPRule{{
				Matches: []gatewayv1.HTTPRouteMatch{{Headers: []gatewayv1.HTTPHeaderMatch{{Name: "x", Value: value}}}},
			}}},
		}}
	}
	in := payment(func(in *Input) { in.Rules = rules("gold") })
	got := Advertise(in).Advertisement.Rules
	if diff := cmp.Diff(&in.Rules.Spec, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got.HTTP.Rules[0].Matches[0].Headers[0].Value = "other"
	if in.Rules.Spec.HTTP.Rules[0].Matches[0].Headers[0].Value != "gold" {
		t.Error("the result shares memory with the input")
	}
	in.Rules = rules(strings.Repeat("x", v1alpha1.MaxRulesBytes))
	if got := Advertise(in).Advertisement; got == nil || got.Rules != nil {
		t.Errorf("too large: %v", got)
	}
	in.Rules = rules("a\nb")
	if got := Advertise(in).Advertisement; got == nil || got.Rules != nil {
		t.Errorf("of a form that others refuse: %v", got)
	}
	in.Rules = rules("gold")
	in.Rules.DeletionTimestamp = new(at(9))
	if got := Advertise(in).Advertisement; got == nil || got.Rules != nil {
		t.Errorf("being deleted: %v", got)
	}
}
