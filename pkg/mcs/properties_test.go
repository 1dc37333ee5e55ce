// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
)

const rounds = 2000

// compareErrors compares the errors of ignored exports by what a person reads.
func compareErrors() cmp.Option {
	return cmp.Comparer(func(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
}

func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// someExports draws exports from a small world, so that they often agree, collide, tie, or are invalid.
func someExports(r *rand.Rand) []export {
	var out []export
	for range r.IntN(6) {
		out = append(out, someExport(r))
	}
	return out
}

func someExport(r *rand.Rand) export {
	e := export{
		ClusterID: pick(r, "a", "b", "c", "d", "e", "f", "Not_A_Label", ""), Namespace: "secure", Name: "payment",
		ExportedAt:      at(int64(r.IntN(3))),
		MinReader:       pick[int32](r, 0, 1, 1, 1, 2),
		Type:            pick(r, "ClusterSetIP", "ClusterSetIP", "Headless", "Other"),
		SessionAffinity: pick(r, "", corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP),
		WANPolicy:       pick(r, "", "high", "low"),
		Draining:        r.IntN(4) == 0,
		IPFamilies:      pick(r, nil, []corev1.IPFamily{corev1.IPv4Protocol}, []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}),
	}
	e.IdempotentMethods = pick(r, nil, []string{"PUT"}, []string{"PUT", "DELETE"}, []string{"PATCH", "DELETE"}, []string{"PUT", "PUT"})
	for range r.IntN(4) {
		e.Ports = append(e.Ports, v1alpha1.AdvertisedPort{
			Name: pick(r, "", "http", "grpc", "x"), Protocol: pick(r, "", corev1.ProtocolTCP, corev1.ProtocolUDP, "ICMP"),
			Port: pick[int32](r, 80, 81, 82, 65535, 70000), AppProtocol: pick(r, nil, new("http"), new("")), ReadyBackends: r.Int32N(9),
		})
	}
	if r.IntN(3) == 0 {
		e.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(pick[int32](r, 0, 60, 10800))}}
	}
	if r.IntN(3) == 0 {
		e.TrafficDistribution = new(pick(r, "", "PreferClose"))
		e.InternalTrafficPolicy = new(pick(r, corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal))
	}
	if r.IntN(3) == 0 {
		e.ExportedLabels = map[string]string{"team": pick(r, "a", "b"), pick(r, "x", "bad key", "mcw.l7mp.io/part"): "1"}
		e.ExportedAnnotations = map[string]string{"note": pick(r, "a", "b")}
	}
	if r.IntN(3) == 0 {
		e.Failover = &v1alpha1.Failover{Mode: pick(r, v1alpha1.FailoverAutomatic, v1alpha1.FailoverOrdered), To: pick(r, nil, []string{"low"})}
	}
	if r.IntN(3) == 0 {
		e.Rules = rulesFor(pick(r, "/a", "/b"))
	}
	for range r.IntN(3) {
		e.Endpoints = append(e.Endpoints, v1alpha1.AdvertisedEndpoint{Hostname: pick(r, "db-0", "db-1", "db-2", "Not_A_Label")})
	}
	return e
}

// rulesFor are an owner's rules about one path.
func rulesFor(path string) *mcwanv1alpha1.ServiceExportSpec {
	return &mcwanv1alpha1.ServiceExportSpec{HTTP: mcwanv1alpha1.HTTPRules{Rules: []mcwanv1alpha1.HTTPRule{{
		Matches: []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Value: &path}}},
	}}}}
}

func shuffled(r *rand.Rand, in []export) []export {
	out := slices.Clone(in)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func clone(in []export) []export {
	if in == nil {
		return nil
	}
	out := make([]export, len(in))
	for i := range in {
		out[i] = *in[i].DeepCopy()
	}
	return out
}

// wantSame fails unless two merges are the same; ignored exports are compared only on demand.
func wantSame(t *testing.T, rule string, want, got Merged, opts ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, append(opts, compareErrors())...); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", rule, diff)
	}
}

// checkProperties holds for any exports whatsoever.
func checkProperties(t *testing.T, r *rand.Rand, exports []export) {
	t.Helper()
	before := clone(exports)
	m := Merge(exports)
	if diff := cmp.Diff(before, exports); diff != "" {
		t.Fatalf("the input was changed (-before +after):\n%s", diff)
	}
	wantSame(t, "order of input matters", m, Merge(shuffled(r, exports)))

	noIgnored := cmpopts.IgnoreFields(Merged{}, "Ignored")
	valid := slices.DeleteFunc(clone(exports), func(e export) bool { return Validate(e) != nil })
	wantSame(t, "an invalid export does not equal an absent one", Merge(valid), m, noIgnored)

	checkAddedAndRemoved(t, r, exports, m)
	checkMerged(t, valid, m)
	checkOracle(t, valid, m)
}

// checkAddedAndRemoved has exports of another cluster come, at any place and of any age, and go again while all are
// merged each time: nothing of them is left. Removed they are by cluster, as a peer's copies are.
func checkAddedAndRemoved(t *testing.T, r *rand.Rand, exports []export, m Merged) {
	t.Helper()
	const guest = "guest"
	all := slices.DeleteFunc(clone(exports), func(e export) bool { return e.ClusterID == guest })
	if len(all) != len(exports) {
		return // a fuzzer's idea
	}
	for range 1 + r.IntN(3) {
		come := someExport(r)
		come.ClusterID = guest
		all = slices.Insert(all, r.IntN(len(all)+1), come)
		with := Merge(all)
		if !with.ExportedBy(guest) && Validate(come) == nil {
			t.Fatalf("a valid export is not merged: %+v", come)
		}
	}
	all = slices.DeleteFunc(all, func(e export) bool { return e.ClusterID == guest })
	wantSame(t, "adding and then removing an export is not a no-op", m, Merge(all))
}

// checkMerged is what KEP-1645 promises of any merged service.
func checkMerged(t *testing.T, valid []export, m Merged) {
	t.Helper()
	if m.Exported() != (len(valid) > 0) {
		t.Fatalf("exported by %v although %d exports are valid", m.Clusters, len(valid))
	}
	if !slices.IsSorted(m.Clusters) || len(slices.Compact(slices.Clone(m.Clusters))) != len(m.Clusters) {
		t.Fatalf("clusters are not a sorted set: %v", m.Clusters)
	}
	names, numbers := map[string]bool{}, map[portNumber]bool{}
	for _, p := range m.Ports {
		number := portNumber{p.Protocol, p.Port}
		if names[p.Name] || numbers[number] {
			t.Fatalf("port %s is there twice: %v", portLabel(p.Name, number), seen(m))
		}
		names[p.Name], numbers[number] = true, true
		if len(p.Clusters) == 0 {
			t.Fatalf("nobody has port %s", portLabel(p.Name, number))
		}
		for _, c := range p.Clusters {
			if !m.ExportedBy(c) {
				t.Fatalf("port %s goes to %q, which does not export", portLabel(p.Name, number), c)
			}
		}
	}
	count := map[string]int{}
	for _, e := range valid {
		count[e.ClusterID]++
	}
	for _, e := range valid {
		if count[e.ClusterID] > 1 {
			continue // only one of them counts
		}
		for _, p := range e.Ports {
			if !names[p.Name] && !numbers[numberOf(p)] {
				t.Fatalf("the union lacks port %s of %q: %v", portLabel(p.Name, numberOf(p)), e.ClusterID, seen(m))
			}
		}
	}
	reasons := map[string]bool{}
	for _, c := range m.Conflicts {
		if reasons[string(c.Reason)] || c.Message == "" {
			t.Fatalf("bad conflict %+v in %v", c, m.Conflicts)
		}
		reasons[string(c.Reason)] = true
	}
	if len(m.Clusters) < 2 && (len(m.Conflicts) > 0 || m.PolicyConflict != nil) {
		t.Fatalf("a single export conflicts with itself: %v", m.Conflicts)
	}
}

func TestProperties(t *testing.T) {
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 1))
		checkProperties(t, r, someExports(r))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestMergeSharesNoMemory changes everything that is reachable from the result and looks at the input.
func TestMergeSharesNoMemory(t *testing.T) {
	e := exportOf("a", 1, func(e *export) {
		e.Ports[0].AppProtocol = new("http")
		e.SessionAffinity = corev1.ServiceAffinityClientIP
		e.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(int32(5))}}
		e.InternalTrafficPolicy, e.TrafficDistribution = new(corev1.ServiceInternalTrafficPolicyLocal), new("PreferClose")
		e.ExportedLabels, e.ExportedAnnotations = map[string]string{"a": "1"}, map[string]string{"a": "1"}
	})
	before := *e.DeepCopy()
	m := Merge([]export{e})
	*m.Ports[0].AppProtocol = "x"
	*m.SessionAffinityConfig.ClientIP.TimeoutSeconds = 7
	*m.InternalTrafficPolicy, *m.TrafficDistribution = "x", "x"
	m.Labels["a"], m.Annotations["a"], m.IPFamilies[0] = "x", "x", "x"
	if diff := cmp.Diff(before, e); diff != "" {
		t.Errorf("the input was changed (-before +after):\n%s", diff)
	}
}

// FuzzMerge takes any JSON for the exports, as a peer could send it.
func FuzzMerge(f *testing.F) {
	for seed := range uint64(20) {
		raw, err := json.Marshal(someExports(rand.New(rand.NewPCG(seed, 2))))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte, seed uint64) {
		var exports []export
		if json.Unmarshal(raw, &exports) != nil {
			return
		}
		checkProperties(t, rand.New(rand.NewPCG(seed, 3)), exports)
	})
}

func BenchmarkMerge20Exporters(b *testing.B) {
	var exports []export
	for i := range 20 {
		exports = append(exports, exportOf(fmt.Sprintf("cluster-%d", i), int64(i%3), ports(tcp("http", 80), tcp("grpc", int32(90+i%2)))))
	}
	b.ReportAllocs()
	for b.Loop() {
		Merge(exports)
	}
}
