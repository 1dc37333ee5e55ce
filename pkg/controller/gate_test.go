// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestGateHoldsNewImportsUntilPeersAreReadOrGivenUp(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newGate(30*time.Second, func() time.Time { return now })
	key := types.NamespacedName{Namespace: "secure", Name: "payment"}
	peers := []string{"a", "b"}

	if left := g.wait(peers, key); left != 30*time.Second {
		t.Fatalf("at first: %s", left)
	}
	if keys := g.sync("a"); len(keys) != 1 || keys[0] != key {
		t.Fatalf("what waited: %v", keys)
	}
	now = now.Add(10 * time.Second)
	if left := g.wait(peers, key); left != 20*time.Second {
		t.Fatalf("one peer missing: %s", left)
	}
	now = now.Add(20 * time.Second)
	if left := g.wait(peers, key); left != 0 {
		t.Fatalf("after the time: %s", left)
	}
	if up, _ := g.givenUp("b"); !up {
		t.Error("b has not been given up on")
	}
	if up, _ := g.givenUp("a"); up {
		t.Error("a has been given up on, though it was read")
	}
	if keys := g.sync("b"); len(keys) != 0 {
		t.Errorf("something still waited: %v", keys)
	}
	if up, _ := g.givenUp("b"); up {
		t.Error("b is still given up on after it was read")
	}
	if keys := g.forget("b"); len(keys) != 0 {
		t.Errorf("%v waited for a peer that had been read", keys)
	}
	if left := g.wait(peers, key); left != 30*time.Second {
		t.Errorf("joined anew: %s", left)
	}
	if keys := g.forget("b"); len(keys) != 1 || keys[0] != key {
		t.Errorf("left before it was read: %v go on", keys)
	}
	if left := g.wait([]string{"a"}, key); left != 0 {
		t.Errorf("without b: %s", left)
	}
}
