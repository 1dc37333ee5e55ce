// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"sync"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Readers hold one reader per joined cluster. They are a Runnable of controller-runtime that needs to lead.
type Readers struct {
	opts ReaderOptions

	mu      sync.Mutex
	ctx     context.Context // the life of what SetPeers starts
	readers map[string]*running
	peers   map[string]v1alpha1.PeerSpec
}

type running struct {
	reader *reader
	stop   context.CancelFunc
	done   chan struct{}
}

// NewReaders makes Readers without peers; an error names the option that is wrong.
func NewReaders(opts ReaderOptions) (*Readers, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	return &Readers{opts: opts, readers: map[string]*running{}, peers: map[string]v1alpha1.PeerSpec{}}, nil
}

// SetPeers says whom to read from now on; it may be called before Start. A reader whose cluster is gone has stopped
// writing when SetPeers returns; nothing it wrote is deleted: what becomes of the copies of a cluster that left is for
// the caller to say. A changed spec is judged anew at once.
func (r *Readers) SetPeers(peers []v1alpha1.PeerSpec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peers = make(map[string]v1alpha1.PeerSpec, len(peers))
	for _, p := range peers {
		r.peers[p.ClusterID] = *p.DeepCopy()
	}
	r.adjust()
}

// Recheck compares the copies of a peer with what the Sink holds, when others may have changed them.
func (r *Readers) Recheck(clusterID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one, ok := r.readers[clusterID]; ok {
		one.reader.recheck()
	}
}

// Start reads until ctx ends.
func (r *Readers) Start(ctx context.Context) error {
	r.mu.Lock()
	r.ctx = ctx
	r.adjust()
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ctx, r.peers = nil, nil
	r.adjust()
	return nil
}

// NeedLeaderElection is true: the leader reads.
func (r *Readers) NeedLeaderElection() bool { return true }

// adjust starts and stops readers; r.mu is held.
func (r *Readers) adjust() {
	for id, one := range r.readers {
		if _, wanted := r.peers[id]; !wanted || r.ctx == nil {
			one.stop()
			<-one.done
			delete(r.readers, id)
		}
	}
	if r.ctx == nil {
		return
	}
	for id, peer := range r.peers {
		if one, ok := r.readers[id]; ok {
			one.reader.setPeer(peer)
			continue
		}
		r.readers[id] = r.begin(newReader(r.opts, peer))
	}
}

func (r *Readers) begin(one *reader) *running {
	ctx, stop := context.WithCancel(r.ctx)
	run := &running{reader: one, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(run.done)
		if err := one.run(ctx); err != nil {
			one.log.Error(err, "Cannot read the peer's feed")
		}
	}()
	return run
}
