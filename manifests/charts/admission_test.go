// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// rendered returns the object of a kind and name, or fails.
func rendered[T any](t *testing.T, manifests, kind, name string) T {
	t.Helper()
	for doc := range strings.SplitSeq(manifests, "\n---\n") {
		var head struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			t.Fatal(err)
		}
		if head.Kind == kind && head.Metadata.Name == name {
			var obj T
			if err := yaml.UnmarshalStrict([]byte(doc), &obj); err != nil {
				t.Fatal(err)
			}
			return obj
		}
	}
	t.Fatalf("the chart renders no %s %s", kind, name)
	panic("unreachable")
}

// evaluate works out a CEL expression over an object and variables, as the API server does.
func evaluate(t *testing.T, expression string, object, variables map[string]any) any {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("object", cel.DynType), cel.Variable("variables", cel.MapType(cel.StringType, cel.DynType)))
	if err != nil {
		t.Fatal(err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	program, err := env.Program(ast)
	if err != nil {
		t.Fatal(err)
	}
	result, _, err := program.Eval(map[string]any{"object": object, "variables": variables})
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return result.Value()
}

// admits says whether the policy lets a Gateway of another namespace with this selector in.
func admits(t *testing.T, policy admissionv1.ValidatingAdmissionPolicy, selector map[string]any) bool {
	t.Helper()
	object := map[string]any{"spec": map[string]any{"selector": selector}}
	if selector == nil {
		object = map[string]any{"spec": map[string]any{}}
	}
	variables := map[string]any{}
	for _, variable := range policy.Spec.Variables {
		variables[variable.Name] = evaluate(t, variable.Expression, object, nil)
	}
	return evaluate(t, policy.Spec.Validations[0].Expression, object, variables).(bool)
}

// No selector that matches a gateway pod is admitted: Istio applies a Gateway to every pod that has all labels of its
// selector, and to all gateways if it has none.
func TestForeignGatewayCannotSelectOurPods(t *testing.T) {
	out, err := template(t, "--set", "clusterID=cluster-1", "--set", "gateways.podLabels.team=net", "--set", "istio.revision=canary")
	if err != nil {
		t.Fatal(out)
	}
	policy := rendered[admissionv1.ValidatingAdmissionPolicy](t, out, "ValidatingAdmissionPolicy", "mcw-foreign-gateways")
	if admits(t, policy, nil) || admits(t, policy, map[string]any{}) {
		t.Error("a Gateway without a selector is admitted")
	}
	for _, name := range []string{"mcw-egress", "mcw-ingress"} {
		labels := map[string]any{}
		for key, value := range rendered[appsv1.Deployment](t, out, "Deployment", name).Spec.Template.Labels {
			labels[key] = value
		}
		// What Kubernetes and Istio add.
		for key, value := range map[string]any{
			"pod-template-hash": "df869c96f", "service.istio.io/canonical-name": name, "service.istio.io/canonical-revision": "0.1.0",
			"topology.kubernetes.io/zone": "a", "topology.istio.io/network": "n1", "kubernetes.io/hostname": "node-1",
		} {
			labels[key] = value
		}
		for key, value := range labels {
			if admits(t, policy, map[string]any{key: value}) {
				t.Errorf("a Gateway that selects %s by %s=%v is admitted", name, key, value)
			}
		}
		if admits(t, policy, labels) {
			t.Errorf("a Gateway that selects %s by all its labels is admitted", name)
		}
		own := maps.Clone(labels)
		own["istio"] = "ingressgateway"
		if !admits(t, policy, own) {
			t.Errorf("a Gateway with a label that %s has not is refused", name)
		}
		other := maps.Clone(labels)
		other["app"] = "shop-gateway"
		if !admits(t, policy, other) {
			t.Errorf("a Gateway with another value of label app than %s has is refused", name)
		}
	}
}

// Istio knows a Gateway of another namespace by several spellings; a VirtualService may name ours by none of them.
func TestForeignRoutesCannotBindToOurGateways(t *testing.T) {
	out, err := template(t, "--set", "clusterID=cluster-1")
	if err != nil {
		t.Fatal(out)
	}
	policy := rendered[admissionv1.ValidatingAdmissionPolicy](t, out, "ValidatingAdmissionPolicy", "mcw-foreign-routes")
	for name, c := range map[string]struct {
		gateways []any
		admitted bool
	}{
		"namespace and name":               {[]any{"mc-wan/mcw-exports"}, false},
		"name and namespace":               {[]any{"mcw-exports.mc-wan"}, false},
		"FQDN":                             {[]any{"mcw-exports.mc-wan.svc.cluster.local"}, false},
		"FQDN of another domain":           {[]any{"mcw-exports.mc-wan.svc.example.org"}, false},
		"name, namespace and a dot":        {[]any{"mcw-exports.mc-wan."}, false},
		"among others":                     {[]any{"mesh", "shop/front", "mcw-exports.mc-wan.svc"}, false},
		"none":                             {nil, true},
		"mesh":                             {[]any{"mesh"}, true},
		"own namespace":                    {[]any{"front", "./front"}, true},
		"own Gateway named as we are":      {[]any{"mc-wan", "./mc-wan"}, true},
		"Gateway mc-wan of another":        {[]any{"shop/mc-wan", "mc-wan.shop", "mc-wan.shop.svc.cluster.local"}, true},
		"namespace that begins as ours":    {[]any{"mc-wan-lab/front", "front.mc-wan-lab", "front.mc-wan-lab.svc.cluster.local"}, true},
		"namespace that ends as ours":      {[]any{"my-mc-wan/front", "front.my-mc-wan", "front.my-mc-wan.svc.cluster.local"}, true},
		"ours in another part of the name": {[]any{"front.shop.mc-wan", "front.shop.svc.mc-wan.local", "shop/front.mc-wan"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			spec := map[string]any{"hosts": []any{"pay.example.org"}}
			if c.gateways != nil {
				spec["gateways"] = c.gateways
			}
			object := map[string]any{"spec": spec}
			if got := evaluate(t, policy.Spec.Validations[0].Expression, object, nil); got != c.admitted {
				t.Errorf("admitted: %v, want %v", got, c.admitted)
			}
		})
	}
}
