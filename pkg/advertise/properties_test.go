// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/l7mp/mc-wan/pkg/mcs"
)

func checkQuantize(t *testing.T, count, previous int32) {
	t.Helper()
	got := Quantize(count, previous)
	exact := min(max(count, 0), maxBackends)
	if got < 0 || got > maxBackends {
		t.Fatalf("Quantize(%d, %d) = %d is out of bounds", count, previous, got)
	}
	if (got == 0) != (exact == 0) || (exact <= exactUpTo && got != exact) {
		t.Fatalf("Quantize(%d, %d) = %d is not exact", count, previous, got)
	}
	if distance(got, exact)*10 > int64(exact) {
		t.Fatalf("Quantize(%d, %d) = %d is off by more than a tenth", count, previous, got)
	}
	if again := Quantize(count, got); again != got {
		t.Fatalf("Quantize(%d, %d) = %d, then %d", count, previous, got, again)
	}
}

func TestQuantize(t *testing.T) {
	for count := int32(-2); count < 3000; count++ {
		checkQuantize(t, count, 0)
		if Quantize(count+1, 0) < Quantize(count, 0) {
			t.Fatalf("more backends, fewer advertised: %d", count)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		count := r.Int32N(1 << r.Int32N(21))
		checkQuantize(t, count, r.Int32N(1<<r.Int32N(21)))
	}
}

// TestQuantizeIsQuiet: from any value on, going to and fro by a twentieth says nothing new.
func TestQuantizeIsQuiet(t *testing.T) {
	for count := int32(20); count < 5000; count++ {
		advertised := Quantize(count, 0)
		for swing := -advertised / 20; swing <= advertised/20; swing++ {
			if got := Quantize(advertised+swing, advertised); got != advertised {
				t.Fatalf("%d advertised, %d ready: %d is news", advertised, advertised+swing, got)
			}
		}
	}
}

func FuzzQuantize(f *testing.F) {
	f.Add(int32(0), int32(0))
	f.Add(int32(11), int32(10))
	f.Add(int32(1<<31-1), int32(-1<<31))
	f.Fuzz(checkQuantize)
}

// TestProperties: the order of slices, endpoints and policies does not matter, the input is untouched, the same input
// gives the same result, and the merge takes whatever is advertised.
func TestProperties(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 7))
		in := someInput(r)
		before := clone(t, in)
		first := Advertise(in)
		if diff := cmp.Diff(before, in); diff != "" {
			t.Fatalf("seed %d: the input was changed (-before +after):\n%s", seed, diff)
		}
		r.Shuffle(len(in.Slices), func(i, j int) { in.Slices[i], in.Slices[j] = in.Slices[j], in.Slices[i] })
		r.Shuffle(len(in.Policies), func(i, j int) { in.Policies[i], in.Policies[j] = in.Policies[j], in.Policies[i] })
		for _, s := range in.Slices {
			r.Shuffle(len(s.Endpoints), func(i, j int) { s.Endpoints[i], s.Endpoints[j] = s.Endpoints[j], s.Endpoints[i] })
		}
		if diff := cmp.Diff(first, Advertise(in)); diff != "" {
			t.Fatalf("seed %d: order matters (-first +shuffled):\n%s", seed, diff)
		}
		if first.Advertisement != nil {
			if err := mcs.Validate(*first.Advertisement); err != nil {
				t.Fatalf("seed %d: the merge refuses what is advertised: %v", seed, err)
			}
			in.Previous = first.Advertisement
			if diff := cmp.Diff(first.Advertisement, Advertise(in).Advertisement); diff != "" {
				t.Fatalf("seed %d: advertising again changes it:\n%s", seed, diff)
			}
		}
	}
}

func someInput(r *rand.Rand) Input {
	in := payment()
	in.Slices = nil
	for range r.IntN(4) {
		family := []discoveryv1.AddressType{v4, v6, discoveryv1.AddressTypeFQDN}[r.IntN(3)]
		s := slice(family, []string{"http"})
		for range r.IntN(30) {
			e := pod(string(rune('a' + r.IntN(26))))
			e.Conditions.Ready, e.Conditions.Terminating = new(r.IntN(4) > 0), new(r.IntN(6) == 0)
			if r.IntN(4) == 0 {
				e.TargetRef = nil
				e.Addresses = []string{string(rune('a' + r.IntN(26)))}
			}
			s.Endpoints = append(s.Endpoints, e)
		}
		in.Slices = append(in.Slices, s)
	}
	for i := range r.IntN(4) {
		p := policy(string(rune('a'+i)), int64(r.IntN(2)))
		p.Spec.Default = r.IntN(2) == 0
		in.Policies = append(in.Policies, p)
	}
	if r.IntN(2) == 0 {
		annotated(string(rune('a' + r.IntN(5))))(&in)
	}
	in.Service.Spec.Type = []corev1.ServiceType{"", corev1.ServiceTypeNodePort, corev1.ServiceTypeExternalName}[r.IntN(3)]
	in.Service.Spec.PublishNotReadyAddresses = r.IntN(2) == 0
	in.Draining = r.IntN(3) == 0
	return in
}

// clone copies an input by way of JSON, which is how objects reach the controller.
func clone(t *testing.T, in Input) Input {
	t.Helper()
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Input
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// FuzzAdvertise takes any slices and any service, as another controller may write them.
func FuzzAdvertise(f *testing.F) {
	for seed := range uint64(20) {
		raw, err := json.Marshal(someInput(rand.New(rand.NewPCG(seed, 8))))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var in Input
		if json.Unmarshal(raw, &in) != nil {
			return
		}
		first := Advertise(in)
		if diff := cmp.Diff(first, Advertise(in)); diff != "" {
			t.Fatalf("twice is not the same:\n%s", diff)
		}
		for _, c := range first.Conditions {
			if c.Reason == "" || c.Message == "" || len(c.Message) > 32768 {
				t.Fatalf("the API server refuses %+v", c)
			}
		}
	})
}
