// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

const (
	// stateful has the sample's StatefulSet and a client with a sidecar, statefulPlain a client without one.
	stateful      = "stateful"
	statefulPlain = "stateful-plain"
	ringHost      = "ring.stateful.svc.clusterset.local"
	sampleRing    = "11-headless.yaml"
	// ringPort is that of the WAN policy which the sample's export names.
	ringPort = "31111"
)

// ring is the sample of a headless service in the clusters that export it, and the clients that call it.
type ring struct {
	t         *testing.T
	env       *story.Env
	exporters []*story.Cluster
	// clients are by whether they have a sidecar.
	clients map[bool]*story.Client
}

// newRing applies the sample to cluster-2 and, where there is one, cluster-3, and waits until the first cluster knows
// two members of each.
func newRing(t *testing.T) *ring {
	t.Helper()
	env := environment(t)
	r := &ring{t: t, env: env, exporters: []*story.Cluster{env.Exporter}, clients: map[bool]*story.Client{}}
	if env.WAN != nil {
		if third, err := story.Connect(sandboxKubeconfig(t, env.WAN.Command), "cluster-3"); err == nil {
			r.exporters = append(r.exporters, third)
		}
	}
	for _, c := range r.all() {
		r.must(c.ApplyPoliciesForBusyMachines(t.Context(), "../../samples/01-wan-policies.yaml"))
	}
	for _, c := range r.exporters {
		r.must(c.ApplyObject(t.Context(), namespace(stateful, true)))
		id := object("v1", "ConfigMap", stateful, "cluster")
		id.Object["data"] = map[string]any{"id": c.Name}
		r.must(c.ApplyObject(t.Context(), id))
		t.Cleanup(func() {
			if err := c.DeleteFile(context.WithoutCancel(t.Context()), filepath.Join(env.Samples, sampleRing)); err != nil {
				t.Error(err)
			}
		})
		r.must(c.ApplyFile(t.Context(), filepath.Join(env.Samples, sampleRing)))
	}
	r.startClients()
	var want []string
	for _, c := range r.exporters {
		want = append(want, "ring-0."+c.Name, "ring-1."+c.Name)
	}
	r.names(want...)
	return r
}

func (r *ring) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *ring) eventually(within time.Duration, what string, check func(context.Context) error) {
	r.t.Helper()
	r.must(story.Eventually(r.t.Context(), patience(within), what, check))
}

// patience stretches all bounds on machines that do other things at the same time (MCWAN_TEST_PATIENCE, default 1).
func patience(bound time.Duration) time.Duration {
	if factor, err := strconv.Atoi(os.Getenv("MCWAN_TEST_PATIENCE")); err == nil && factor > 0 {
		return bound * time.Duration(factor)
	}
	return bound
}

// startClients starts the sample's clients in namespaces of this test's own.
func (r *ring) startClients() {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.env.Samples, "05-clients.yaml"))
	r.must(err)
	in := map[string]string{story.NamespaceSidecar: stateful, story.NamespacePlain: statefulPlain}
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		o := &unstructured.Unstructured{}
		if d.Decode(o) != nil {
			break
		}
		if o.GetKind() == "Namespace" {
			r.must(r.env.Consumer.ApplyObject(r.t.Context(), namespace(in[o.GetName()], o.GetName() == story.NamespaceSidecar)))
			continue
		}
		o.SetNamespace(in[o.GetNamespace()])
		r.must(r.env.Consumer.ApplyObject(r.t.Context(), o))
	}
	for ns, sidecar := range map[string]bool{stateful: true, statefulPlain: false} {
		r.eventually(2*time.Minute, "the client in "+ns, func(ctx context.Context) (err error) {
			r.clients[sidecar], err = r.env.Consumer.ClientPod(ctx, ns)
			return err
		})
	}
}

func namespace(name string, injection bool) *unstructured.Unstructured {
	o := object("v1", "Namespace", "", name)
	o.SetLabels(map[string]string{"istio-injection": map[bool]string{true: "enabled", false: "disabled"}[injection]})
	return o
}

func object(apiVersion, kind, ns, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	o.SetNamespace(ns)
	o.SetName(name)
	return o
}

// addresses are those of the members of a headless service by their names, hostname.cluster, in the order of families.
type addresses map[string][]string

// in are the addresses of one family, by name.
func (a addresses) in(family corev1.IPFamily) map[string]string {
	out := map[string]string{}
	for name, all := range a {
		if of := inFamily(all, family); len(of) > 0 {
			out[name] = of[0]
		}
	}
	return out
}

func inFamily(all []string, family corev1.IPFamily) []string {
	return slices.DeleteFunc(slices.Clone(all), func(a string) bool { return strings.Contains(a, ":") != (family == corev1.IPv6Protocol) })
}

// names waits until the members that the first cluster knows have exactly these names, hostname.cluster, and an address of
// each family that all clusters have, and returns the addresses.
func (r *ring) names(want ...string) addresses {
	r.t.Helper()
	slices.Sort(want)
	families := r.families(r.all()...)
	var got addresses
	r.eventually(2*time.Minute, "the members of ring", func(ctx context.Context) error {
		got = addresses{}
		var list discoveryv1.EndpointSliceList
		if err := r.env.Consumer.List(ctx, &list, client.InNamespace(stateful), client.MatchingLabels{mcs.LabelServiceName: "ring"}); err != nil {
			return err
		}
		for _, s := range list.Items {
			for _, e := range s.Endpoints {
				name := *e.Hostname + "." + s.Labels[mcs.LabelSourceCluster]
				got[name] = append(got[name], e.Addresses...)
			}
		}
		for name, all := range got {
			if len(all) != len(families) {
				return fmt.Errorf("%s has the addresses %v, and the clusters the families %v", name, all, families)
			}
			slices.SortFunc(all, func(a, b string) int {
				return cmp.Compare(strings.Count(a, ":"), strings.Count(b, ":"))
			})
		}
		if have := slices.Sorted(maps.Keys(got)); !slices.Equal(have, want) {
			return fmt.Errorf("they are %v, want %v", have, want)
		}
		return nil
	})
	return got
}

func (r *ring) scale(c *story.Cluster, replicas int32) {
	r.t.Helper()
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: stateful, Name: "ring"}}
	r.must(c.Patch(r.t.Context(), set, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))))
}

// answers asks one member by its name, by HTTP and by TCP: that very pod must answer.
func (r *ring) answers(sidecar bool, hostname, cluster string) {
	r.t.Helper()
	r.answersHTTP(sidecar, hostname, cluster)
	r.answersTCP(sidecar, memberHost(hostname, cluster), hostname, cluster)
}

func memberHost(hostname, cluster string) string { return hostname + "." + cluster + "." + ringHost }

// answersHTTP asks one member by its name.
func (r *ring) answersHTTP(sidecar bool, hostname, cluster string, curlArgs ...string) {
	r.t.Helper()
	host := memberHost(hostname, cluster)
	r.eventually(time.Minute, fmt.Sprintf("HTTP answer of %s %v", host, curlArgs), func(ctx context.Context) error {
		a, err := r.clients[sidecar].Get(ctx, "http://"+host+":8080/", curlArgs...)
		switch {
		case err != nil:
			return err
		case a.Pod != hostname || a.Cluster != cluster:
			r.t.Fatalf("%s is answered by %s of %s", host, a.Pod, a.Cluster)
		case a.Headers.Get(mcw.HeaderWANPort) != ringPort:
			return fmt.Errorf("it came over WAN port %q, want that of the export's policy, %s", a.Headers.Get(mcw.HeaderWANPort), ringPort)
		}
		return r.seenAs(sidecar, a)
	})
}

// seenAs says of an answer whether the backend knows who called: a client with a sidecar, and none without.
func (r *ring) seenAs(sidecar bool, a *story.Answer) error {
	if source := a.Headers.Get("X-Mcw-Source"); strings.Contains(source, "/ns/"+stateful+"/") != sidecar {
		return fmt.Errorf("the backend sees the source %q", source)
	}
	return nil
}

// answersTCP asks one member by its name or address.
func (r *ring) answersTCP(sidecar bool, host, hostname, cluster string) {
	r.t.Helper()
	r.eventually(time.Minute, "TCP answer of "+host, func(ctx context.Context) error {
		line, err := r.clients[sidecar].Banner(ctx, host, 5432, len("ping"))
		if err == nil && line != "mcwan-echo "+hostname+" "+cluster {
			r.t.Fatalf("%s says %q", host, line)
		}
		return err
	})
}

// TestHeadless: the pods of a StatefulSet are called one by one from another cluster, with a sidecar and without.
func TestHeadless(t *testing.T) {
	r := newRing(t)
	si := &mcs.ServiceImport{}
	r.must(r.env.Consumer.Get(t.Context(), client.ObjectKey{Namespace: stateful, Name: "ring"}, si))
	if si.Spec.Type != mcs.Headless || len(si.Spec.IPs) > 0 || len(si.Spec.Ports) != 2 {
		t.Errorf("the import is %+v", si.Spec)
	}
	for _, sidecar := range []bool{true, false} {
		for _, c := range r.exporters {
			for _, hostname := range []string{"ring-0", "ring-1"} {
				r.answers(sidecar, hostname, c.Name)
			}
		}
		r.wholeAnswers(sidecar)
	}
	t.Run("IPv6", func(t *testing.T) { r.in(t).answersByIPv6() })
	r.scales()
	r.goes()
}

// in is the same for a subtest.
func (r *ring) in(t *testing.T) *ring {
	return &ring{t: t, env: r.env, exporters: r.exporters, clients: r.clients}
}

// families are the address families that the Services of all these clusters have.
func (r *ring) families(clusters ...*story.Cluster) []corev1.IPFamily {
	r.t.Helper()
	var common []corev1.IPFamily
	for i, c := range clusters {
		policy := corev1.IPFamilyPolicyPreferDualStack
		s := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: stateful, GenerateName: "families-"},
			Spec:       corev1.ServiceSpec{IPFamilyPolicy: &policy, Ports: []corev1.ServicePort{{Port: 80}}},
		}
		r.must(c.Create(r.t.Context(), s, client.DryRunAll))
		if i == 0 {
			common = s.Spec.IPFamilies
		}
		common = slices.DeleteFunc(common, func(f corev1.IPFamily) bool { return !slices.Contains(s.Spec.IPFamilies, f) })
	}
	return common
}

// needsIPv6 leaves a test out where a cluster has no IPv6.
func (r *ring) needsIPv6(clusters ...*story.Cluster) {
	r.t.Helper()
	for _, c := range clusters {
		if families := r.families(c); !slices.Contains(families, corev1.IPv6Protocol) {
			r.t.Skipf("needs IPv6, and %s has %v only", c.Name, families)
		}
	}
}

func (r *ring) all() []*story.Cluster {
	return append([]*story.Cluster{r.env.Consumer}, r.exporters...)
}

// answersByIPv6 asks each member over IPv6, by HTTP and by TCP: that very pod must answer.
func (r *ring) answersByIPv6() {
	r.t.Helper()
	r.needsIPv6(r.all()...)
	var want []string
	for _, c := range r.exporters {
		want = append(want, "ring-0."+c.Name, "ring-1."+c.Name)
	}
	for name, address := range r.names(want...).in(corev1.IPv6Protocol) {
		hostname, cluster, _ := strings.Cut(name, ".")
		for _, sidecar := range []bool{true, false} {
			r.answersHTTP(sidecar, hostname, cluster, "-6")
			r.answersTCP(sidecar, address, hostname, cluster)
		}
	}
}

// wholeAnswers asks the service as a whole: each member answers in its turn.
func (r *ring) wholeAnswers(sidecar bool) {
	r.t.Helper()
	seen := map[string]bool{}
	r.eventually(time.Minute, "answers of all members", func(ctx context.Context) error {
		line, err := r.clients[sidecar].Banner(ctx, ringHost, 5432, len("ping"))
		if err != nil {
			return err
		}
		seen[line] = true
		if len(seen) < 2 {
			return fmt.Errorf("so far: %v", slices.Sorted(maps.Keys(seen)))
		}
		return nil
	})
	r.eventually(time.Minute, "HTTP answer of the service", func(ctx context.Context) error {
		a, err := r.clients[sidecar].Get(ctx, "http://"+ringHost+":8080/")
		if err == nil && !strings.HasPrefix(a.Pod, "ring-") {
			return fmt.Errorf("%s answers", a.Pod)
		}
		return err
	})
}

// scales: members come and go, and the others keep their addresses.
func (r *ring) scales() {
	r.t.Helper()
	first, others := r.exporters[0], []string{}
	for _, c := range r.exporters[1:] {
		others = append(others, "ring-0."+c.Name, "ring-1."+c.Name)
	}
	name := func(n int) string { return fmt.Sprintf("ring-%d.%s", n, first.Name) }
	with := func(names ...string) []string { return slices.Sorted(slices.Values(append(names, others...))) }
	before := r.names(with(name(0), name(1))...)
	r.scale(first, 3)
	r.names(with(name(0), name(1), name(2))...)
	for _, sidecar := range []bool{true, false} {
		r.answers(sidecar, "ring-2", first.Name)
	}
	r.scale(first, 1)
	after := r.names(with(name(0))...)
	for n, all := range after {
		if !slices.Equal(before[n], all) {
			r.t.Errorf("%s moved from %v to %v", n, before[n], all)
		}
	}
	for _, sidecar := range []bool{true, false} {
		r.isAbsent(sidecar, name(2)+"."+ringHost)
		r.answers(sidecar, "ring-0", first.Name)
	}
}

// goes: when nobody exports the service any more, nothing of it is left.
func (r *ring) goes() {
	r.t.Helper()
	for _, c := range r.exporters {
		r.must(c.DeleteFile(r.t.Context(), filepath.Join(r.env.Samples, sampleRing)))
	}
	r.eventually(2*time.Minute, "nothing is left of ring", func(ctx context.Context) error {
		if err := r.env.Consumer.Get(ctx, client.ObjectKey{Namespace: stateful, Name: "ring"}, &mcs.ServiceImport{}); !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("the import stands"), err)
		}
		var services corev1.ServiceList
		if err := r.env.Consumer.List(ctx, &services, client.InNamespace("mc-wan"), client.MatchingLabels{"mcw.l7mp.io/service-namespace": stateful}); err != nil {
			return err
		}
		if len(services.Items) > 0 {
			return fmt.Errorf("%d derived Services stand", len(services.Items))
		}
		return nil
	})
}
