// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// corefile has CoreDNS answer as in the sandbox's clusters (sandbox/dns), from the objects of one cluster.
const corefile = `.:%d {
    bind 127.0.0.1
    errors
    kubernetes cluster.local clusterset.local in-addr.arpa ip6.arpa {
        kubeconfig %s
        multicluster clusterset.local
    }
}
`

// nameServer runs CoreDNS, as the sandbox's clusters have it, on the cluster's objects, and returns who asks it.
func (m *member) nameServer() *net.Resolver {
	t := m.fleet.t
	t.Helper()
	binary := filepath.Join(m.env.ControlPlane.APIServer.Path, "..", "node", "coredns")
	if _, err := os.Stat(binary); err != nil {
		t.Skipf("needs CoreDNS, which `make sandbox-build` builds: %v", err)
	}
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := probe.LocalAddr().(*net.UDPAddr)
	if err := probe.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "Corefile")
	if err := os.WriteFile(file, fmt.Appendf(nil, corefile, address.Port, m.kubeconfig()), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	server := exec.Command(binary, "-conf", file)
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = server.Wait() // it was killed
		if t.Failed() {
			t.Logf("CoreDNS: %s", said.String())
		}
	})
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", address.String())
	}}
}

// hasAddresses waits until the name server says exactly these addresses of one family; none stands for "no such name".
func (m *member) hasAddresses(asked *net.Resolver, network, name string, want ...string) {
	t := m.fleet.t
	t.Helper()
	slices.Sort(want)
	m.eventually(2*soon, network+" of "+name, func() error {
		got, err := asked.LookupNetIP(t.Context(), network, name+".")
		if absent := (*net.DNSError)(nil); errors.As(err, &absent) && absent.IsNotFound && len(want) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		var addresses []string
		for _, a := range got {
			addresses = append(addresses, a.Unmap().String())
		}
		if slices.Sort(addresses); !slices.Equal(addresses, want) {
			return fmt.Errorf("%v, want %v", addresses, want)
		}
		return nil
	})
}

// TestNamesOfBothFamilies: a name server of a cluster that has both address families answers A and AAAA, of services with an
// address and of single endpoints, whatever family the pods have elsewhere.
func TestNamesOfBothFamilies(t *testing.T) {
	f := joined(t, 3)
	two, three := f.members[1], f.members[2]
	asked := three.nameServer()
	two.service("payment", 1)
	two.export("payment", "high")
	both := headlessService(f.namespace, "db")
	policy := corev1.IPFamilyPolicyRequireDualStack
	both.Spec.IPFamilyPolicy = &policy
	three.create(both, three.headlessSlice("db", "db-0", "db-1"))
	three.export("db", "")

	host := func(name string) string { return name + "." + f.namespace + ".svc.clusterset.local" }
	ips := three.imported("payment", two.id).Spec.IPs
	if len(ips) != 2 || !netip.MustParseAddr(ips[1]).Is6() {
		t.Fatalf("the ClusterSetIPs are %v", ips)
	}
	three.hasAddresses(asked, "ip4", host("payment"), ips[0])
	three.hasAddresses(asked, "ip6", host("payment"), ips[1])
	three.hasAddresses(asked, "ip", three.id+"."+host("payment"))

	endpoints := []string{"db-0.cluster-3", "db-1.cluster-3"}
	four := three.named("db", endpoints...)
	var six map[string]string
	three.eventually(soon, "IPv6 addresses", func() error {
		if six = three.names("db", discoveryv1.AddressTypeIPv6); len(six) != len(endpoints) {
			return fmt.Errorf("they are %v", six)
		}
		return nil
	})
	three.hasAddresses(asked, "ip4", host("db"), four[endpoints[0]], four[endpoints[1]])
	three.hasAddresses(asked, "ip6", host("db"), six[endpoints[0]], six[endpoints[1]])
	for _, e := range endpoints {
		three.hasAddresses(asked, "ip4", e+"."+host("db"), four[e])
		three.hasAddresses(asked, "ip6", e+"."+host("db"), six[e])
	}
	three.hasServices(asked, "tcp-db", "tcp", host("db"), "5432 db-0.cluster-3."+host("db"), "5432 db-1.cluster-3."+host("db"))
}

// hasServices waits until the name server says exactly these SRV records, as "port target"; none stands for "no such name".
func (m *member) hasServices(asked *net.Resolver, port, protocol, name string, want ...string) {
	t := m.fleet.t
	t.Helper()
	slices.Sort(want)
	m.eventually(2*soon, fmt.Sprintf("SRV of _%s._%s.%s", port, protocol, name), func() error {
		_, records, err := asked.LookupSRV(t.Context(), port, protocol, name+".")
		if absent := (*net.DNSError)(nil); errors.As(err, &absent) && absent.IsNotFound && len(want) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		var got []string
		for _, r := range records {
			got = append(got, fmt.Sprintf("%d %s", r.Port, strings.TrimSuffix(r.Target, ".")))
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("%v, want %v", got, want)
		}
		return nil
	})
}

// TestNamesThatAreNotThere: ports without a name have no SRV record, addresses no name in clusterset.local, and what is
// not exported, or not any more, no record at all. A port that the gateways do not carry is one of the service's.
func TestNamesThatAreNotThere(t *testing.T) {
	f := joined(t, 3)
	two, three := f.members[1], f.members[2]
	asked := three.nameServer()
	host := func(name string) string { return name + "." + f.namespace + ".svc.clusterset.local" }

	two.create(service(f.namespace, "unnamed", corev1.ServicePort{Port: 8080, TargetPort: intstr.FromInt32(8080)}))
	two.create(slice(f.namespace, "unnamed", 8080, "10.22.1.1"))
	two.export("unnamed", "")
	unnamed := three.imported("unnamed", two.id).Spec.IPs
	three.hasAddresses(asked, "ip4", host("unnamed"), unnamed[0])
	for _, port := range []string{"8080", "http", "p8080", "port-8080"} {
		three.hasServices(asked, port, "tcp", host("unnamed"))
	}

	two.create(service(f.namespace, "mixed",
		corev1.ServicePort{Name: "http", Port: 80, TargetPort: intstr.FromInt32(80)},
		corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(53)}))
	two.create(slice(f.namespace, "mixed", 80, "10.22.1.2"))
	export := two.export("mixed", "")
	mixed := three.imported("mixed", two.id).Spec.IPs
	three.hasServices(asked, "http", "tcp", host("mixed"), "80 "+host("mixed"))
	three.hasServices(asked, "dns", "udp", host("mixed"), "53 "+host("mixed"))
	three.hasServices(asked, "dns", "tcp", host("mixed"))

	for _, ip := range append(unnamed, mixed...) {
		names, err := asked.LookupAddr(t.Context(), ip)
		if err != nil || len(names) != 1 || !strings.HasSuffix(names[0], "."+v1alpha1.Namespace+".svc.cluster.local.") {
			t.Errorf("PTR of %s: %v, %v, want the Service's in the cluster", ip, names, err)
		}
	}

	three.service("local", 1)
	three.hasAddresses(asked, "ip", host("local"))
	two.remove(export)
	three.hasAddresses(asked, "ip", host("mixed"))
	three.hasServices(asked, "http", "tcp", host("mixed"))
}
