// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	"github.com/l7mp/mc-wan/pkg/translate"
)

func TestPathGoesWhenNobodyUsesIt(t *testing.T) {
	a := translate.PathKey{Policy: "high", Exporter: "c2"}
	b := translate.PathKey{Policy: "high", Exporter: "c3"}
	name := translate.PathName(a)
	p := newPathUse(time.Now)
	p.expect([]string{"import/x", "import/y"})
	if p.complete() {
		t.Fatal("complete before anybody spoke")
	}
	p.add("import/x", []translate.PathKey{a})
	if _, used := p.lookup(name); !used {
		t.Fatal("not in use before it was routed to")
	}
	p.set("import/x", []translate.PathKey{a, b}, 0)
	if idle := p.set("import/y", []translate.PathKey{a}, 0); len(idle) != 0 || !p.complete() {
		t.Fatalf("idle %v, complete %v", idle, p.complete())
	}
	p.sweptAll()
	if p.complete() {
		t.Error("to be swept twice")
	}
	if idle := p.set("import/x", nil, 0); len(idle) != 1 || idle[0] != translate.PathName(b) {
		t.Fatalf("idle %v", idle)
	}
	if key, used := p.lookup(name); !used || key != a {
		t.Fatalf("%v, %v", key, used)
	}
	idle := p.set("import/y", nil, 0)
	if len(idle) != 1 || idle[0] != name {
		t.Fatalf("idle %v", idle)
	}
	_, used := p.lookup(name)
	if _, mayGo := p.letGo(name); used || !mayGo {
		t.Errorf("used %v, may go %v", used, mayGo)
	}
}

func TestNoPathGoesBeforeEveryoneSpoke(t *testing.T) {
	p := newPathUse(time.Now)
	if _, mayGo := p.letGo("path-x"); mayGo {
		t.Error("a path may go before it is known who will speak")
	}
	p.set("import/early", nil, 0)
	p.expect([]string{"import/early", "import/late"})
	if _, mayGo := p.letGo("path-x"); mayGo {
		t.Error("a path may go before everyone spoke")
	}
	if p.set("import/late", nil, 0); !p.complete() {
		t.Error("not complete")
	}
	if _, mayGo := p.letGo("path-x"); !mayGo {
		t.Error("an unused path may not go")
	}
}

func TestPathStaysForAWhileAfterRoutesMoved(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a, b := translate.PathKey{Policy: "high", Exporter: "c2"}, translate.PathKey{Policy: "high", Exporter: "c3"}
	p := newPathUse(func() time.Time { return now })
	p.expect(nil)
	name := translate.PathName(a)
	stays := func(want time.Duration) {
		t.Helper()
		_, used := p.lookup(name)
		if left, mayGo := p.letGo(name); used || left != want || mayGo != (want == 0) {
			t.Errorf("used %v, stays %v, may go %v; want it to stay %v", used, left, mayGo, want)
		}
	}
	p.set("import/x", []translate.PathKey{a}, time.Second)
	p.set("import/x", []translate.PathKey{b}, time.Second)
	stays(time.Second)
	now = now.Add(700 * time.Millisecond)
	stays(300 * time.Millisecond)
	p.set("import/x", []translate.PathKey{a}, time.Second)
	p.set("import/x", []translate.PathKey{b}, time.Second)
	now = now.Add(300 * time.Millisecond)
	stays(700 * time.Millisecond)
	now = now.Add(700 * time.Millisecond)
	stays(0)

	p.add("import/y", []translate.PathKey{a})
	p.set("import/x", []translate.PathKey{a}, time.Second)
	p.set("import/x", []translate.PathKey{b}, time.Second)
	p.set("import/y", nil, 0)
	stays(time.Second) // who left it first still needs it
}

func TestPathThatIsLetGoDoesNotStand(t *testing.T) {
	a := translate.PathKey{Policy: "high", Exporter: "c2"}
	name := translate.PathName(a)
	p := newPathUse(time.Now)
	p.expect(nil)
	p.add("import/x", []translate.PathKey{a})
	p.wrote(name)
	if _, goes := p.letGo(name); goes || !p.stands(name) {
		t.Errorf("in use: goes %v, stands %v", goes, p.stands(name))
	}
	p.set("import/x", nil, 0)
	if _, goes := p.letGo(name); !goes || p.stands(name) {
		t.Errorf("left: goes %v, stands %v", goes, p.stands(name))
	}
}

func TestTrafficWaitsForPathsThatAreNew(t *testing.T) {
	now := time.Unix(1000, 0)
	fresh := translate.PathKey{Policy: "high", Exporter: "c2"}
	old := translate.PathKey{Policy: "low", Exporter: "c2"}
	p := newPathUse(func() time.Time { return now })
	p.created(translate.PathName(fresh))
	now = now.Add(500 * time.Millisecond)
	for _, c := range []struct {
		keys []translate.PathKey
		want time.Duration
	}{
		{[]translate.PathKey{old}, 0},
		{[]translate.PathKey{old, fresh}, 1500 * time.Millisecond},
	} {
		if got := p.unsettled(c.keys, 2*time.Second); got != c.want {
			t.Errorf("%v: wait %v, want %v", c.keys, got, c.want)
		}
	}
	now = now.Add(2 * time.Second)
	if got := p.unsettled([]translate.PathKey{fresh}, 2*time.Second); got != 0 {
		t.Errorf("settled, wait %v", got)
	}
	p.deleted(translate.PathName(fresh))
	p.created(translate.PathName(fresh))
	if got := p.unsettled([]translate.PathKey{fresh}, 2*time.Second); got != 2*time.Second {
		t.Errorf("made again, wait %v", got)
	}
}
