// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

func TestDummyPorts(t *testing.T) {
	service := merged(8080, 9090, -53)
	both := []translate.Dummy{{Policy: "high"}, {Policy: "low"}}
	legs, _ := LegPorts(ports.New(), service, secure("payment"))
	table := DummyPorts(legs, service, secure("payment"), both)
	if got := len(table.Keys()) - len(legs.Keys()); got != 4 {
		t.Fatalf("one per TCP port and policy, got %d", got)
	}
	if again := DummyPorts(table, service, secure("payment"), both); !again.Equal(table) {
		t.Error("a second look changes nothing")
	}
	if again, _ := LegPorts(table, service, secure("payment")); !again.Equal(table) {
		t.Error("the import's own ports are not theirs")
	}
	fewer := DummyPorts(table, service, secure("payment"), both[:1])
	if got := len(fewer.Keys()) - len(legs.Keys()); got != 2 {
		t.Errorf("what is gone is released, got %d", got)
	}
	if none := DummyPorts(table, service, secure("payment"), nil); len(none.Keys()) != len(legs.Keys()) {
		t.Errorf("switched off, none is left: %v", none.Keys())
	}
}

// The last ports are for imports: a dummy Service that comes too late says so, those that are there stay.
func TestDummyServicesLeavePortsToImports(t *testing.T) {
	service := merged(8080)
	early := DummyPorts(ports.New(), service, secure("payment"), []translate.Dummy{{Policy: "high"}})
	full, _, err := early.Allocate(ports.Key{Namespace: "other", Name: "large", Port: 1}, early.Free()-portsForImports, nil)
	if err != nil {
		t.Fatal(err)
	}
	dummies := []translate.Dummy{{Policy: "high"}, {Policy: "low"}}
	full = DummyPorts(full, service, secure("payment"), dummies)
	got := withPorts(dummies, full, service, secure("payment"))
	if got[0].Problem != nil || got[0].Ports[8080] == 0 {
		t.Errorf("what has its ports keeps them: %+v", got[0])
	}
	if got[1].Problem == nil || got[1].Problem.Reason != v1alpha1.ReasonOutOfPorts {
		t.Errorf("it has to be told: %+v", got[1])
	}
	if _, legs := LegPorts(full, service, secure("payment")); len(legs) != 1 {
		t.Error("imports go on")
	}
}
