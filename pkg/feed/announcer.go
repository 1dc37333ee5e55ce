// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Announcer tells peers of a changed card at once, so that new gateway addresses reach them while one of those they
// know still works. It is a Runnable of controller-runtime that needs to lead.
//
// It goes on to tell the card, at a slow pace, to peers that have it or turn it away (4xx): a peer may since have gone
// back to an older card, whose addresses lead nowhere, or have been told by its operator to accept this one.
type Announcer struct {
	opts AnnouncerOptions

	mu    sync.Mutex
	ctx   context.Context // the life of what SetPeers and Announce start
	card  *v1alpha1.ClusterAdvertisementSpec
	peers map[string]*telling
	tasks sync.WaitGroup
}

// telling is one card on its way to one peer; stop is nil when there is none.
type telling struct{ stop context.CancelFunc }

// NewAnnouncer makes an Announcer without peers; an error names the option that is wrong.
func NewAnnouncer(opts AnnouncerOptions) (*Announcer, error) {
	opts.complete()
	return &Announcer{opts: opts, peers: map[string]*telling{}}, nil
}

// SetPeers says whom to tell from now on; a new peer is told the last card at once. It may be called before Start.
func (a *Announcer) SetPeers(clusterIDs []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.peers
	a.peers = make(map[string]*telling, len(clusterIDs))
	for _, id := range clusterIDs {
		if t, ok := old[id]; ok {
			a.peers[id] = t
			delete(old, id)
			continue
		}
		a.peers[id] = &telling{}
		a.tell(id)
	}
	for _, t := range old {
		t.end()
	}
}

// Announce tells every peer of the card, in the background and with retries; a later card takes its place. To announce
// a card that has not changed changes nothing.
func (a *Announcer) Announce(card v1alpha1.ClusterAdvertisementSpec) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if apiequality.Semantic.DeepEqual(a.card, &card) {
		return
	}
	a.card = card.DeepCopy()
	for id := range a.peers {
		a.tell(id)
	}
}

// Start announces until ctx ends.
func (a *Announcer) Start(ctx context.Context) error {
	a.mu.Lock()
	a.ctx = ctx
	for id := range a.peers {
		a.tell(id)
	}
	a.mu.Unlock()
	<-ctx.Done()
	a.mu.Lock()
	a.ctx = nil
	a.mu.Unlock()
	a.tasks.Wait()
	return nil
}

// NeedLeaderElection is true: the leader announces.
func (a *Announcer) NeedLeaderElection() bool { return true }

// tell begins to tell one peer; a.mu is held.
func (a *Announcer) tell(clusterID string) {
	if a.ctx == nil || a.card == nil {
		return
	}
	t := a.peers[clusterID]
	t.end()
	body, err := json.Marshal(CardCopy(a.card))
	if err != nil {
		a.opts.Log.Error(err, "Cannot encode the own card")
		return
	}
	ctx, stop := context.WithCancel(a.ctx)
	t.stop = stop
	a.tasks.Go(func() {
		defer stop()
		a.deliver(ctx, clusterID, body)
	})
}

func (t *telling) end() {
	if t.stop != nil {
		t.stop()
	}
}

// deliver tells one card until ctx ends: with growing pauses until the peer has answered, then at a slow pace.
func (a *Announcer) deliver(ctx context.Context, clusterID string, body []byte) {
	log := a.opts.Log.WithValues("peer", clusterID)
	pause := backoff{least: a.opts.MinBackoff, most: a.opts.MaxBackoff}
	turnedAway := 0
	for {
		wait := a.opts.Repeat
		switch code, err := a.post(ctx, clusterID, body); {
		case ctx.Err() != nil:
			return
		case err != nil || !answered(code):
			log.V(1).Info("The own card did not reach the peer", "status", code, "err", fmt.Sprint(err))
			wait = min(wait, pause.next())
		case code == http.StatusOK:
			log.V(1).Info("The peer has the own card")
			turnedAway = 0
			pause.reset()
		default:
			if code != turnedAway {
				log.Info("The peer does not take the own card", "status", code)
			}
			turnedAway = code
			pause.reset()
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// answered tells whether a status is the peer's own word on a card, and not that of something between that may say
// otherwise in a moment.
func answered(code int) bool {
	switch code {
	case http.StatusTooManyRequests, http.StatusNotFound, http.StatusRequestTimeout:
		return false
	}
	return code == http.StatusOK || code >= 400 && code < 500
}

func (a *Announcer) post(ctx context.Context, clusterID string, body []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.opts.BaseURL(clusterID)+pathAnnounce, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("announce to %s: %w", clusterID, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.opts.Transport.RoundTrip(req)
	if err != nil {
		return 0, fmt.Errorf("announce to %s: %w", clusterID, err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody)) // so that the connection can be used again
	return resp.StatusCode, nil
}
