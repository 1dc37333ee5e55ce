// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/pkg/translate"
)

// Each has its own time, whoever becomes surplus after it.
func TestLingerOfEach(t *testing.T) {
	now := noon
	l, key := newLinger[string](30*time.Second, func() time.Time { return now }), types.NamespacedName{Name: "all"}
	for i, tc := range []struct {
		after   time.Duration
		surplus []string
		want    []string
		next    time.Duration
	}{
		{0, []string{"a"}, []string{"a"}, 30 * time.Second},
		{20 * time.Second, []string{"a", "b"}, []string{"a", "b"}, 10 * time.Second},
		{10 * time.Second, []string{"a", "b"}, []string{"b"}, 20 * time.Second},
		{5 * time.Second, []string{"a", "b"}, []string{"b"}, 15 * time.Second}, // what is read may lag behind what was written
		{15 * time.Second, []string{"b"}, nil, 0},
		{time.Second, nil, nil, 0},
		{time.Second, []string{"a"}, []string{"a"}, 30 * time.Second}, // again
	} {
		now = now.Add(tc.after)
		if got, next := l.staying(key, tc.surplus); !slices.Equal(got, tc.want) || next != tc.next {
			t.Errorf("look %d: %v, next %s; want %v, %s", i, got, next, tc.want, tc.next)
		}
	}
}

// A peer that left is turned away when its own time is over, though another one has left since.
func TestFormerPeersAreDismissedOneByOne(t *testing.T) {
	now := noon
	r := &fleetReconciler{leaving: newLinger[string](30*time.Second, func() time.Time { return now })}
	look := func(after time.Duration, former ...string) ([]string, time.Duration) {
		now = now.Add(after)
		in := translate.FleetInput{FormerPeers: former}
		next := r.dismissFormerPeers(&in)
		return in.FormerPeers, next
	}
	if got, _ := look(0, "a", "b"); len(got) != 2 {
		t.Fatalf("found at the start: %v", got)
	}
	r.welcome["c"] = true
	if got, next := look(20*time.Second, "a", "c"); !slices.Equal(got, []string{"a", "c"}) || next != 10*time.Second {
		t.Errorf("%v, next %s", got, next)
	}
	if got, next := look(10*time.Second, "a", "c", "stranger"); !slices.Equal(got, []string{"c"}) || next != 20*time.Second {
		t.Errorf("%v, next %s", got, next)
	}
}
