// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
)

func isClusterIP(a netip.Addr) bool { return netip.MustParsePrefix("10.96.0.0/12").Contains(a) }

// post office of a fleet: answers announcements with a code per peer.
type office struct {
	mu    sync.Mutex
	codes map[string]int
	got   []string // <peer>:<generation>=<code>
}

func (o *office) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	peer := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/peers/"), "/announce")
	var card v1alpha1.ClusterAdvertisement
	if err := json.NewDecoder(r.Body).Decode(&card); err != nil {
		return nil, err
	}
	code := o.codes[peer]
	o.got = append(o.got, fmt.Sprintf("%s:%d=%d", peer, card.Spec.Generation, code))
	if code == 0 {
		return nil, fmt.Errorf("no route to %s", peer)
	}
	return &http.Response{StatusCode: code, Body: http.NoBody, Header: http.Header{}}, nil
}

func (o *office) set(peer string, code int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.codes[peer] = code
}

func (o *office) count(what string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, g := range o.got {
		if g == what {
			n++
		}
	}
	return n
}

func TestAnnouncer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{codes: map[string]int{"c2": 200, "c3": 503, "c4": 403}}
		a, err := feed.NewAnnouncer(feed.AnnouncerOptions{
			BaseURL: func(id string) string { return "http://egress/peers/" + id }, Transport: o, Repeat: time.Hour, Log: testLog(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		a.SetPeers([]string{"c2", "c3", "c4"})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = a.Start(ctx)
		}()
		synctest.Wait()
		a.Announce(cardSpec(here, 1, 0))
		synctest.Wait()
		a.Announce(cardSpec(here, 1, 0)) // nothing new
		after(2 * time.Second)
		if o.count("c2:1=200") != 1 || o.count("c4:1=403") != 1 {
			t.Errorf("got %v: one answer is enough", o.got)
		}
		if n := o.count("c3:1=503"); n < 3 || n > 10 {
			t.Errorf("%d attempts for a peer that cannot be reached", n)
		}
		a.Announce(cardSpec(here, 2, 0))
		o.set("c3", 200)
		after(time.Minute)
		if o.count("c3:1=200") != 0 || o.count("c3:2=200") != 1 || o.count("c2:2=200") != 1 {
			t.Errorf("got %v: only the newest card is told", o.got)
		}
		o.set("c5", 200)
		a.SetPeers([]string{"c2", "c5"})
		synctest.Wait()
		if o.count("c5:2=200") != 1 || o.count("c2:2=200") != 1 {
			t.Errorf("got %v: a new peer is told, an old one not again", o.got)
		}
		o.set("c2", 403)
		after(time.Hour)
		if o.count("c5:2=200") != 2 || o.count("c2:2=403") != 1 {
			t.Errorf("got %v: a card is told again after a while", o.got)
		}
		o.set("c2", 200)
		after(time.Hour)
		if o.count("c2:2=200") != 2 {
			t.Errorf("got %v: a peer that has turned the card away is asked again", o.got)
		}
		o.set("c5", 0)
		a.Announce(cardSpec(here, 3, 0))
		after(time.Minute)
		a.SetPeers(nil)
		n := len(o.got)
		after(time.Hour)
		if len(o.got) != n {
			t.Error("a cluster that left is still told")
		}
		stop()
		<-done
	})
}

// An announced card crosses the gateways and is in use at the peer.
func TestAnnouncementArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, err := feed.NewAnnouncer(feed.AnnouncerOptions{BaseURL: w.options.BaseURL, Transport: w.options.Transport, Log: testLog(t)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = a.Start(ctx)
		}()
		a.SetPeers([]string{there})
		w.between(says(503, "text/plain", "no healthy upstream"))
		a.Announce(cardSpec(here, 3, 0))
		after(time.Second)
		w.between(nil)
		after(5 * time.Second)
		w.cards.mu.Lock()
		defer w.cards.mu.Unlock()
		if got := w.cards.cards[here]; got == nil || got.Spec.Generation != 3 || !feed.Mine(got, here) {
			t.Errorf("card %+v", got)
		}
		stop()
		<-done
	})
}
