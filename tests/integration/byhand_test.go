// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/cli"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// kubeconfig writes a file by which others may do everything in the cluster.
func (m *member) kubeconfig() string {
	t := m.fleet.t
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: m.env.Config.Host, CertificateAuthorityData: m.env.Config.CAData}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{ClientCertificateData: m.env.Config.CertData, ClientKeyData: m.env.Config.KeyData}
	config.Contexts[m.id] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u", Namespace: m.fleet.namespace}
	config.CurrentContext = m.id
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// mcwanctl runs the command line tool against the cluster; it returns the exit code and what it said.
func (m *member) mcwanctl(args ...string) (int, string) {
	t := m.fleet.t
	t.Helper()
	path := m.kubeconfig()
	var out bytes.Buffer
	code := cli.Run(t.Context(), append([]string{"--kubeconfig", path}, args...), cli.Env{In: os.Stdin, Out: &out, Err: &out, Version: "test"})
	return code, out.String()
}

// hops are the places where a path to a cluster over a policy leads, and what must be presented there.
func (m *member) hops(policy, cluster string) ([]string, []string, error) {
	path := &networkingv1.ServiceEntry{}
	key := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.PathName(translate.PathKey{Policy: policy, Exporter: cluster})}
	if err := m.Get(m.fleet.t.Context(), key, path); err != nil {
		return nil, nil, err
	}
	rule := &networkingv1.DestinationRule{}
	if err := m.Get(m.fleet.t.Context(), key, rule); err != nil {
		return nil, nil, err
	}
	var hops []string
	for _, e := range path.Spec.Endpoints {
		hops = append(hops, fmt.Sprintf("%s:%d", e.Address, e.Ports["h2"]))
	}
	return hops, rule.Spec.GetTrafficPolicy().GetTls().GetSubjectAltNames(), nil
}

// TestImportByHand: two clusters that never talk. What mcwanctl writes goes the way of what feeds write.
func TestImportByHand(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	one.eventually(soon, "own card", func() error {
		return one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: one.id}, &v1alpha1.ClusterAdvertisement{})
	})
	if code, said := one.mcwanctl("import", "payment", "--ingress-gw=10.99.0.5", "--trust-domain=td-9", "--wan-policy=high", "--wan-port=high=32111", "--wait"); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	si := one.imported("payment", "gw-10-99-0-5")
	one.eventually(soon, "the path leads to the gateway that was named, by the port and the identity that were named", func() error {
		hops, names, err := one.hops("high", "gw-10-99-0-5")
		if err == nil && fmt.Sprint(hops, names) != "[10.99.0.5:32111] [spiffe://td-9/ns/mc-wan/sa/mcw-ingress]" {
			err = fmt.Errorf("hops %v, identities %v", hops, names)
		}
		return err
	})
	if code, said := one.mcwanctl("status", "payment"); code != 0 || !bytes.Contains([]byte(said), []byte("gw-10-99-0-5 (by hand)")) {
		t.Errorf("exit code %d: %s", code, said)
	}
	// Nobody is let in by an import.
	if err := one.lets("gw-10-99-0-5", "spiffe://td-9/ns/mc-wan/sa/mcw-egress", false); err != nil {
		t.Error(err)
	}

	// A second cluster by hand, and this one: one service. Taken back one by one, the address stays.
	if code, said := one.mcwanctl("import", "payment", "--ingress-gw=10.98.0.5", "--cluster=far"); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	one.service("payment", 1)
	export := one.export("payment", "high")
	if now := one.imported("payment", one.id, "far", "gw-10-99-0-5"); now.Spec.IPs[0] != si.Spec.IPs[0] {
		t.Errorf("the ClusterSetIP moved from %v to %v", si.Spec.IPs, now.Spec.IPs)
	}
	one.exportIs("payment", v1alpha1.ConditionWANPolicy, metav1.ConditionFalse, v1alpha1.ReasonPolicyConflict)
	if code, said := one.mcwanctl("unimport", "payment", "--cluster=far"); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	one.imported("payment", one.id, "gw-10-99-0-5")
	one.remove(export)
	one.imported("payment", "gw-10-99-0-5")
	if code, said := one.mcwanctl("unimport", "payment"); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	one.nothingLeft(soon, "payment")
}

// TestNobodySpeaksForAnotherByHand: what a person wrote for the own cluster, or for one that is joined, does not count,
// whichever was first; and it does not stand in the way of what counts.
func TestNobodySpeaksForAnotherByHand(t *testing.T) {
	f := newFleet(t, 2)
	one, two := f.members[0], f.members[1]
	one.eventually(soon, "own card", func() error {
		return one.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: one.id}, &v1alpha1.ClusterAdvertisement{})
	})
	if code, said := one.mcwanctl("import", "payment", "--ingress-gw=10.99.0.5", "--cluster="+two.id, "--port=http:9999"); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	si := one.imported("payment", two.id)
	if si.Spec.Ports[0].Port != 9999 {
		t.Errorf("ports %v", si.Spec.Ports)
	}
	two.service("payment", 1)
	two.export("payment", "high")
	one.create(two.asPeer())
	two.create(one.asPeer())
	one.eventually(2*soon, "what the feed says counts", func() error {
		si := &mcsv1beta1.ServiceImport{}
		if err := one.isImported(si, "payment", two.id); err != nil {
			return err
		}
		if len(si.Spec.Ports) != 1 || si.Spec.Ports[0].Port != 8080 {
			return fmt.Errorf("ports %v", si.Spec.Ports)
		}
		hops, _, err := one.hops("high", two.id)
		if err == nil && (len(hops) == 0 || hops[0] != two.gatewayAddress()+":31111") {
			err = fmt.Errorf("hops %v", hops)
		}
		return err
	})
	name := translate.HandWrittenAdvertisementName(two.id, f.namespace, "payment")
	one.refusedByHand(name, v1alpha1.RefusedCluster)
	for _, id := range []string{one.id, two.id} {
		if code, said := one.mcwanctl("import", "ledger", "--ingress-gw=10.99.0.5", "--cluster="+id); code != cli.ExitFailed {
			t.Errorf("for %s: exit code %d: %s", id, code, said)
		}
	}
	// Written with kubectl.
	forged := &v1alpha1.ServiceAdvertisement{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: "forged", Labels: map[string]string{
			v1alpha1.LabelManual: "true", v1alpha1.LabelSourceCluster: one.id,
		}},
		Spec: v1alpha1.ServiceAdvertisementSpec{
			ClusterID: one.id, Namespace: f.namespace, Name: "forged", ExportedAt: metav1.Now(), Type: "ClusterSetIP",
			Ports: []v1alpha1.AdvertisedPort{{Name: "http", Protocol: "TCP", Port: 80, ReadyBackends: 1}},
		},
	}
	one.create(forged)
	one.refusedByHand("forged", v1alpha1.RefusedCluster)
	one.always(time.Second, "nothing is imported", func() error { return one.gone(&mcsv1beta1.ServiceImport{}, f.namespace, "forged") })
	if code, said := one.mcwanctl("unimport", "payment"); code != 0 {
		t.Errorf("exit code %d: %s", code, said)
	}
	one.imported("payment", two.id)
}

// refusedByHand waits for the Event that says that an advertisement is not acted on.
func (m *member) refusedByHand(name, reason string) {
	m.fleet.t.Helper()
	m.told(reason+" of "+name, func(e eventsv1.Event) bool { return e.Regarding.Name == name && e.Reason == reason })
}
