// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

func file(text string) File { return File{Name: "fleet.yaml", Data: []byte(text)} }

func mustRead(t testing.TB, files ...File) *Files {
	t.Helper()
	f, err := Read(Options{ClusterID: "c1", TrustDomain: "td-1"}, files...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReadSaysWhereItIsWrong(t *testing.T) {
	const good = "# comment\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n"
	for _, tc := range []struct {
		name string
		text string
		want []string
	}{
		{"no YAML", good + "a: [", []string{"fleet.yaml:6 (document 2)"}},
		{"no kind", good + "\n---\nx: 1\n", []string{"fleet.yaml:8 (document 3)", "apiVersion and kind"}},
		{"unknown field", good + "apiVersion: mcw.l7mp.io/v1alpha1\nkind: WANPolicy\nmetadata: {name: high}\nspec: {tunel: x}\n",
			[]string{"fleet.yaml:6 (document 2)", "WANPolicy /high", "tunel"}},
		{"wrong type", good + "apiVersion: mcw.l7mp.io/v1alpha1\nkind: WANPolicy\nmetadata: {name: high}\nspec: {port: many}\n",
			[]string{"document 2", "WANPolicy /high", "port"}},
		{"unknown kind of ours", "apiVersion: mcw.l7mp.io/v1alpha1\nkind: WanPolicy\nmetadata: {name: high}\n", []string{"fleet.yaml:1", "unknown kind"}},
		{"unknown MCS kind", "apiVersion: multicluster.x-k8s.io/v1beta1\nkind: Export\nmetadata: {name: x}\n", []string{"unknown kind"}},
		{"the unpublished group", "apiVersion: multicluster.k8s.io/v1alpha1\nkind: ServiceExport\nmetadata: {name: x}\n", []string{"multicluster.x-k8s.io/v1beta1"}},
		{"in a list", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n- kind: x\n", []string{"items[1]", "apiVersion"}},
		{"bad group", "apiVersion: a/b/c\nkind: X\n", []string{"apiVersion"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Read(Options{ClusterID: "c1"}, file(tc.text))
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q should say %q", err, w)
				}
			}
		})
	}
}

func TestReadTakesWhatKubectlPrints(t *testing.T) {
	f := mustRead(t, file(`apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: v1
  kind: Service
  metadata:
    name: payment
    namespace: secure
    uid: 0c6d9d6c-0000-4000-8000-000000000000
    managedFields: [{manager: kubectl, operation: Apply, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {}}}]
  spec: {clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7], ports: [{port: 80, targetPort: http}]}
  status: {loadBalancer: {}}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: payment, namespace: secure}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: payment-1, namespace: secure, labels: {kubernetes.io/service-name: payment}}
  addressType: IPv4
  endpoints: []
- apiVersion: multicluster.x-k8s.io/v1alpha1
  kind: ServiceExport
  metadata: {name: payment, namespace: secure}
`))
	if s := f.Service("secure", "payment"); s == nil || s.Spec.Ports[0].Port != 80 {
		t.Errorf("got %v", s)
	}
	if len(f.Slices("secure", "payment")) != 1 || f.Export("secure", "payment") == nil || f.Export("secure", "x") != nil {
		t.Error("slices and exports are found by their service")
	}
	if f.Namespace("secure") == nil {
		t.Error("without any Namespace in the files all are there")
	}
	if f := mustRead(t, file("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}")); f.Namespace("a") == nil || f.Namespace("b") != nil {
		t.Error("with Namespaces in the files only those are there")
	}
}

func TestReadSharesInUseAndPorts(t *testing.T) {
	path := translate.PathKey{Policy: "high", TCP: translate.WireKey{Namespace: "secure", Name: "db", Port: 5432}}
	table, got, err := ports.New().Allocate(ports.Key{Namespace: "secure", Name: "payment", Port: 8080}, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := table.Data()
	if err != nil {
		t.Fatal(err)
	}
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mcw-leg-ports, namespace: mc-wan}\ndata:\n"
	for k, v := range data {
		text += "  " + k + ": |\n    " + strings.ReplaceAll(v, "\n", "\n    ") + "\n"
	}
	f := mustRead(t, file(text), file(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: `+translate.LegName("secure", "payment", 8080)+`
  namespace: mc-wan
  annotations: {mcw.l7mp.io/shares: "c2=75,c3=25"}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: `+translate.PathName(path)+`
  namespace: mc-wan
  annotations: {mcw.l7mp.io/shares: "c2=100"}
`))
	if s := f.LegShares("secure", "payment", 8080).String(); s != "c2=75,c3=25" {
		t.Errorf("got %q", s)
	}
	if s := f.PathShares(path).String(); s != "c2=100" {
		t.Errorf("got %q", s)
	}
	if f.LegShares("secure", "payment", 80) != nil {
		t.Error("another port has no shares")
	}
	if kept := f.PortTable().Get(ports.Key{Namespace: "secure", Name: "payment", Port: 8080}); len(kept) != 2 || kept[0] != got[0] {
		t.Errorf("the table is read back: %v, want %v", kept, got)
	}
}

func TestSelfComesFromTheOwnCard(t *testing.T) {
	if s := mustRead(t).Self(); s.Identities.Egress != "spiffe://td-1/ns/mc-wan/sa/mcw-egress" || s.Controller != "spiffe://td-1/ns/mc-wan/sa/mcw-controller" {
		t.Errorf("got %+v", s)
	}
	s := mustRead(t, file(`apiVersion: mcw.l7mp.io/v1alpha1
kind: ClusterAdvertisement
metadata: {name: c1}
spec:
  clusterID: c1
  clusterUID: u-1
  generation: 1
  identities: {egress: spiffe://own/ns/mc-wan/sa/mcw-egress-c1, ingress: spiffe://own/ns/mc-wan/sa/mcw-ingress-c1}
  advertisements: 0
`)).Self()
	if s.UID != "u-1" || s.TrustDomain != "own" || s.Controller != "spiffe://own/ns/mc-wan/sa/mcw-controller" ||
		s.Identities.Ingress != "spiffe://own/ns/mc-wan/sa/mcw-ingress-c1" {
		t.Errorf("got %+v", s)
	}
}

func secure(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "secure", Name: name}
}
