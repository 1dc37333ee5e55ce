// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"slices"
	"strings"
	"testing"

	"github.com/l7mp/mc-wan/pkg/snapshot"
)

// What does not stand in a cluster carries nothing there, whatever is exported to it.
func TestLive(t *testing.T) {
	const (
		ours  = "labels: {app.kubernetes.io/managed-by: mc-wan}"
		space = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n"
		here  = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: secure}\n"
		dying = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: secure}\nstatus: {phase: Terminating}\n"
	)
	base := string(read(t, "../translate/testdata/l7-rules/in.yaml"))
	managed := strings.Replace(base, "kind: ServiceImport\nmetadata:\n", "kind: ServiceImport\nmetadata:\n  "+ours+"\n", 1)
	none := base[:strings.Index(base, "# The address that the API server gave.")]
	dummy := "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: payment-secure-sd-wan-priority-low\n  namespace: mc-wan\n  labels: {app.kubernetes.io/managed-by: mc-wan, " +
		"mcw.l7mp.io/wan-policy: sd-wan-priority-low, mcw.l7mp.io/service-namespace: secure, mcw.l7mp.io/service-name: payment}\n"
	for name, tc := range map[string]struct{ text, service, err string }{
		"all is there":      {managed + here, "payment/secure", ""},
		"no namespace":      {managed + space, "payment/secure", "namespace secure is not there"},
		"namespace goes":    {managed + dying, "payment/secure", "namespace secure is not there, or is going away"},
		"no import":         {none + here, "payment/secure", "not imported here yet"},
		"somebody else's":   {base + here, "payment/secure", "is somebody else's"},
		"no dummy Service":  {managed + here, "payment-secure-sd-wan-priority-low/mc-wan", "there is no Service mc-wan/payment-secure-sd-wan-priority-low"},
		"the dummy Service": {managed + here + dummy, "payment-secure-sd-wan-priority-low/mc-wan", ""},
	} {
		t.Run(name, func(t *testing.T) {
			state, err := snapshot.Read(snapshot.Options{ClusterID: "cluster-1", DummyServices: true}, snapshot.File{Name: "in.yaml", Data: []byte(tc.text)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Explain(state, Mesh{Live: true}, Question{Service: tc.service})
			if (err == nil) != (tc.err == "") || (err != nil && !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("%v, want %q", err, tc.err)
			}
		})
	}
}

// VirtualServices for sidecars that bind the name, and no others.
func TestElsewhere(t *testing.T) {
	state, err := snapshot.Read(snapshot.Options{ClusterID: "cluster-1"}, snapshot.File{Name: "in.yaml", Data: read(t, "../translate/testdata/l7-rules/in.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	host := []string{"payment.secure.svc.clusterset.local"}
	a, err := Explain(state, Mesh{VirtualServices: []VirtualService{
		{Namespace: "secure", Name: "exact", Hosts: host}, {Namespace: "plain", Name: "mesh", Hosts: host, Gateways: []string{"gw", "mesh"}},
		{Namespace: "secure", Name: "wildcard", Hosts: []string{"a.example", "*.clusterset.local"}},
		{Namespace: "secure", Name: "gateway", Hosts: host, Gateways: []string{"gw"}}, {Namespace: "secure", Name: "other", Hosts: []string{"payment.secure.svc.cluster.local"}},
	}}, Question{Service: "payment/secure"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"plain/mesh", "secure/exact", "secure/wildcard"}; len(a.Elsewhere) != 3 || slices.ContainsFunc(want, func(w string) bool {
		return !slices.Contains(a.Elsewhere, "VirtualService.networking.istio.io "+w)
	}) {
		t.Errorf("%v", a.Elsewhere)
	}
}
