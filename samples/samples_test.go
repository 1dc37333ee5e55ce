// SPDX-License-Identifier: Apache-2.0

// Package samples_test holds the samples, and the documentation that quotes them, to the schemas that API servers check.
package samples_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	networkingv1beta1 "istio.io/client-go/pkg/apis/networking/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/cel"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	"sigs.k8s.io/yaml"
)

const crdDir = "../manifests/charts/mc-wan/crds"

// kind is what an API server knows of one custom kind.
type kind struct {
	validator  validation.SchemaValidator
	structural *structuralschema.Structural
	cel        *schemacel.Validator
}

// kinds reads the chart's CRDs.
func kinds(t *testing.T) map[schema.GroupVersionKind]kind {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(crdDir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	out := map[schema.GroupVersionKind]kind{}
	for _, file := range files {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(read(t, file), &crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, version := range crd.Spec.Versions {
			gvk := schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
			out[gvk] = kindOf(t, version.Schema.OpenAPIV3Schema)
		}
	}
	return out
}

func kindOf(t *testing.T, v1 *apiextensionsv1.JSONSchemaProps) kind {
	t.Helper()
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v1, &props, nil); err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(&props)
	if err != nil {
		t.Fatal(err)
	}
	structural, err := structuralschema.NewStructural(&props)
	if err != nil {
		t.Fatal(err)
	}
	return kind{validator: validator, structural: structural, cel: schemacel.NewValidator(structural, true, cel.PerCallLimit)}
}

// check says what an API server would say to an object: unknown fields, schema, rules.
func (k kind) check(t *testing.T, u *unstructured.Unstructured) {
	t.Helper()
	pruned := u.DeepCopy().Object
	unknown := pruning.PruneWithOptions(pruned, k.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(unknown) > 0 {
		t.Errorf("%s %s: unknown fields %v", u.GetKind(), u.GetName(), unknown)
	}
	for _, err := range validation.ValidateCustomResource(nil, u.Object, k.validator) {
		t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
	}
	errs, _ := k.cel.Validate(t.Context(), nil, k.structural, u.Object, nil, cel.RuntimeCELCostBudget)
	for _, err := range errs {
		t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
	}
}

func TestSamplesAreValid(t *testing.T) {
	t.Parallel()
	builtin := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, networkingv1beta1.AddToScheme, gatewayv1.Install, gatewayv1beta1.Install, securityv1.AddToScheme} {
		if err := add(builtin); err != nil {
			t.Fatal(err)
		}
	}
	strict := serializer.NewCodecFactory(builtin, serializer.EnableStrict).UniversalDeserializer()
	custom := kinds(t)
	for _, file := range sampleFiles(t) {
		t.Run(file, func(t *testing.T) {
			for _, doc := range documents(string(read(t, file))) {
				u := object(t, doc)
				if known, ok := custom[u.GroupVersionKind()]; ok {
					known.check(t, u)
				} else if _, _, err := strict.Decode([]byte(doc), nil, nil); err != nil {
					t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
				}
			}
		})
	}
}

// These texts are the interface that mc-wan was asked for, before there was an implementation: the samples hold them word
// for word. Only the group of ServiceExport is the one that was really published.
func TestRequestedInterfaceVerbatim(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"01-wan-policies.yaml": `apiVersion: mcw.l7mp.io/v1alpha1
kind: WANPolicy
metadata:
  name: sd-wan-priority-high
spec:
  tunnel: business
  port: 31111
  sla:
    jitter-ms: 50
    latency-ms: 100
    loss-percent: 1
`,
		"03-export-payment.yaml": `apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceExport
metadata:
  name: payment
  namespace: secure
  annotations:
    mcw.l7mp.io/mc-wan-policy: sd-wan-priority-high
`,
		// The indentation of the second route aside, which was wrong.
		"10-l7-virtualservice.yaml": `apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: payment
  namespace: secure
spec:
  hosts:
  - payment.secure.svc.clusterset.local
  http:
  - match: [ uri: { prefix: "/payment" }, method: { exact: GET } ]
    route:
    - destination:
        host: payment-high-prio.secure.svc.clusterset.local
`,
		// match is a list here, as Istio's schema wants it.
		"20-cookie-virtualservice.yaml": `apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: payment
  namespace: secure
spec:
  hosts:
  - payment.secure.svc.cluster.local
  - payment.secure.svc.clusterset.local
  http:
  - match:
    - headers:
        cookie:
          regex: "^(.*?;)?(user=test)(;.*)?"
    route:
    - destination:
        host: payment-v2.secure.svc.cluster.local
  - route:
    - destination:
        host: payment-v1.secure.svc.clusterset.local
`,
		"08-l7-import.yaml": `apiVersion: mc-wan.l7mp.io/v1alpha1
kind: ServiceImport
metadata:
  name: payment
  namespace: secure
spec:
  http:
     rules:
      - matches:
          - method: GET
            path:
              type: PathPrefix
              value: /payment
        backendRefs:
`,
	} {
		if !strings.Contains(string(read(t, file)), want) {
			t.Errorf("%s does not hold, word for word:\n%s", file, want)
		}
	}
}

// Every YAML block of the user documentation is a piece of a sample, so it is valid and tried.
func TestDocumentationQuotesSamples(t *testing.T) {
	t.Parallel()
	var samples strings.Builder
	for _, file := range sampleFiles(t) {
		text := string(read(t, file))
		samples.WriteString(text)
		// The export that was asked for is v1alpha1; pages show it in the version that is stored, which has the same fields.
		samples.WriteString(strings.ReplaceAll(text, "multicluster.x-k8s.io/v1alpha1", "multicluster.x-k8s.io/v1beta1"))
	}
	pages := []string{"getting-started.md", "concepts.md", "security.md", "uninstall.md", "chart.md", "steering.md", "headless.md", "import-by-hand.md", "protocols.md"}
	perKind, err := filepath.Glob("../docs/kinds/*.md")
	if err != nil || len(perKind) == 0 {
		t.Fatalf("no pages of kinds: %v", err)
	}
	for _, page := range pages {
		perKind = append(perKind, filepath.Join("../docs", page))
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, page := range perKind {
		for _, match := range block.FindAllStringSubmatch(string(read(t, page)), -1) {
			if !strings.Contains(samples.String(), match[1]) {
				t.Errorf("%s quotes what no sample holds:\n%s", page, match[1])
			}
		}
	}
}

func sampleFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	return files
}

// object reads one document with numbers as API servers have them.
func object(t *testing.T, doc string) *unstructured.Unstructured {
	t.Helper()
	json, err := yaml.YAMLToJSON([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(json); err != nil {
		t.Fatal(err)
	}
	return u
}

func documents(text string) []string {
	var out []string
	for _, doc := range strings.Split(text, "\n---\n") {
		if len(bytes.TrimSpace([]byte(doc))) > 0 {
			out = append(out, doc)
		}
	}
	return out
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
