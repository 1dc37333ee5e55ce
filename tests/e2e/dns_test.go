// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/tests/story"
)

// dnsAnswer is what a name server says: its status, and the data of the answer's records, sorted.
type dnsAnswer struct {
	status string
	data   []string
}

// dig asks from a client's pod; a sidecar with DNS capture answers in the place of the cluster's name server.
func dig(ctx context.Context, c *story.Client, kind, name string) (dnsAnswer, error) {
	out, err := c.Run(ctx, "dig", "+tries=1", "+time=3", "+nosearch", "+noall", "+comments", "+answer", kind, name+".")
	if err != nil {
		return dnsAnswer{}, err
	}
	var a dnsAnswer
	for _, line := range strings.Split(out, "\n") {
		if _, status, ok := strings.Cut(line, "status: "); ok {
			a.status, _, _ = strings.Cut(status, ",")
		}
		if fields := strings.Fields(line); len(fields) > 4 && !strings.HasPrefix(line, ";") && fields[3] == kind {
			data := fields[4:]
			if kind == "SRV" {
				data = data[2:] // priority and weight are the name server's own
			}
			a.data = append(a.data, strings.Join(data, " "))
		}
	}
	slices.Sort(a.data)
	return a, nil
}

// isSaid waits until a client is told exactly these records.
func (r *ring) isSaid(sidecar bool, kind, name string, want ...string) {
	r.t.Helper()
	slices.Sort(want)
	r.eventually(time.Minute, fmt.Sprintf("%s of %s (sidecar %v)", kind, name, sidecar), func(ctx context.Context) error {
		a, err := dig(ctx, r.clients[sidecar], kind, name)
		if err == nil && (a.status != "NOERROR" || !slices.Equal(a.data, want)) {
			err = fmt.Errorf("%s %v, want %v", a.status, a.data, want)
		}
		return err
	})
}

// isAbsent waits until a client is told that there is no such name.
func (r *ring) isAbsent(sidecar bool, name string) {
	r.t.Helper()
	r.eventually(time.Minute, fmt.Sprintf("%s does not exist (sidecar %v)", name, sidecar), func(ctx context.Context) error {
		a, err := dig(ctx, r.clients[sidecar], "A", name)
		if err == nil && a.status != "NXDOMAIN" {
			err = fmt.Errorf("%s %v", a.status, a.data)
		}
		return err
	})
}

// TestDNS: the records of KEP-1645's specification, for a headless service and for one with an address, as a client with a
// sidecar and one without are told them.
func TestDNS(t *testing.T) {
	r := newRing(t)
	first := r.exporters[0]
	whole := object("v1", "Service", stateful, "ring-any")
	whole.Object["spec"] = map[string]any{
		"selector": map[string]any{"app": "ring"},
		"ports":    []any{map[string]any{"name": "http", "port": int64(80), "protocol": "TCP", "targetPort": "http"}},
	}
	export := object("multicluster.x-k8s.io/v1beta1", "ServiceExport", stateful, "ring-any")
	r.must(first.ApplyObject(t.Context(), whole))
	r.must(first.ApplyObject(t.Context(), export))
	t.Cleanup(func() {
		for _, o := range []client.Object{export, whole} {
			if err := first.Delete(context.WithoutCancel(t.Context()), o); err != nil {
				t.Error(err)
			}
		}
	})
	families := r.families(r.env.Consumer)
	var ips []string
	r.eventually(time.Minute, "the import of ring-any", func(ctx context.Context) error {
		si := &mcs.ServiceImport{}
		if err := r.env.Consumer.Get(ctx, client.ObjectKey{Namespace: stateful, Name: "ring-any"}, si); err != nil {
			return err
		}
		if ips = si.Spec.IPs; len(ips) != len(families) {
			return fmt.Errorf("it has the addresses %v, and the cluster the families %v", ips, families)
		}
		return nil
	})
	var members []string
	for _, c := range r.exporters {
		members = append(members, "ring-0."+c.Name, "ring-1."+c.Name)
	}
	known := r.names(members...)
	for _, sidecar := range []bool{false, true} {
		r.recordsOfAddress(sidecar, ips)
		r.recordsOfHeadless(sidecar, known)
		r.otherRecords(sidecar)
	}
	t.Run("IPv6", func(t *testing.T) { r.in(t).anyAnswersByIPv6(inFamily(ips, corev1.IPv6Protocol)) })
	for _, c := range r.exporters {
		r.scale(c, 0)
	}
	for _, sidecar := range []bool{false, true} {
		r.isAbsent(sidecar, ringHost)
	}
}

// anyHost is a service that has an address.
const anyHost = "ring-any.stateful.svc.clusterset.local"

// anyAnswersByIPv6 asks the service that has an address by its name and by its IPv6 address.
func (r *ring) anyAnswersByIPv6(ips []string) {
	r.t.Helper()
	r.needsIPv6(r.env.Consumer)
	for _, sidecar := range []bool{true, false} {
		r.anyAnswers(sidecar, anyHost, func(a *story.Answer) error { return r.seenAs(sidecar, a) })
		for _, ip := range ips {
			r.anyAnswers(sidecar, "["+ip+"]", func(*story.Answer) error { return nil })
		}
	}
}

// anyAnswers asks for one answer over IPv6.
func (r *ring) anyAnswers(sidecar bool, host string, check func(*story.Answer) error) {
	r.t.Helper()
	r.eventually(time.Minute, fmt.Sprintf("HTTP answer of %s over IPv6 (sidecar %v)", host, sidecar), func(ctx context.Context) error {
		a, err := r.clients[sidecar].Get(ctx, "http://"+host+"/", "-6")
		switch {
		case err != nil:
			return err
		case !strings.HasPrefix(a.Pod, "ring-"):
			return fmt.Errorf("%s answers", a.Pod)
		}
		return check(a)
	})
}

func (r *ring) recordsOfAddress(sidecar bool, ips []string) {
	r.t.Helper()
	r.isSaid(sidecar, "A", anyHost, inFamily(ips, corev1.IPv4Protocol)...)
	r.isSaid(sidecar, "AAAA", anyHost, inFamily(ips, corev1.IPv6Protocol)...)
	r.isSaid(sidecar, "SRV", "_http._tcp."+anyHost, "80 "+anyHost+".")
	r.isAbsent(sidecar, r.exporters[0].Name+"."+anyHost)
}

func (r *ring) recordsOfHeadless(sidecar bool, members addresses) {
	r.t.Helper()
	for kind, family := range map[string]corev1.IPFamily{"A": corev1.IPv4Protocol, "AAAA": corev1.IPv6Protocol} {
		r.isSaid(sidecar, kind, ringHost, slices.Collect(maps.Values(members.in(family)))...)
	}
	var http, tcp []string
	for name, all := range members {
		r.isSaid(sidecar, "A", name+"."+ringHost, inFamily(all, corev1.IPv4Protocol)...)
		r.isSaid(sidecar, "AAAA", name+"."+ringHost, inFamily(all, corev1.IPv6Protocol)...)
		http = append(http, fmt.Sprintf("8080 %s.%s.", name, ringHost))
		tcp = append(tcp, fmt.Sprintf("5432 %s.%s.", name, ringHost))
	}
	r.isSaid(sidecar, "SRV", "_http._tcp."+ringHost, http...)
	r.isSaid(sidecar, "SRV", "_tcp-ring._tcp."+ringHost, tcp...)
	for _, c := range r.exporters {
		r.isAbsent(sidecar, c.Name+"."+ringHost)
		r.isAbsent(sidecar, "ring-9."+c.Name+"."+ringHost)
	}
}

// otherRecords: the version, and cluster.local as ever.
func (r *ring) otherRecords(sidecar bool) {
	r.t.Helper()
	r.isSaid(sidecar, "TXT", "dns-version.clusterset.local", `"1.1.0"`)
	r.isAbsent(sidecar, "ring.stateful.svc.cluster.local")
	r.eventually(time.Minute, "the address of the API server", func(ctx context.Context) error {
		a, err := dig(ctx, r.clients[sidecar], "A", "kubernetes.default.svc.cluster.local")
		if err == nil && len(a.data) != 1 {
			err = fmt.Errorf("%s %v", a.status, a.data)
		}
		return err
	})
}
