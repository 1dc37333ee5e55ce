// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"hash/fnv"
	"sync"
	"time"

	"github.com/l7mp/mc-wan/pkg/translate"
)

// pathUse knows which paths are in use by which key ("import/namespace/name", "fleet"). Paths are shared: a path goes
// when nobody uses it. Until every key that may use paths has said so once in this life of the process, none goes.
type pathUse struct {
	now func() time.Time

	mu    sync.Mutex
	keys  map[string]translate.PathKey
	users map[string]map[string]bool
	paths map[string][]string
	// pending are the keys that have not spoken yet; nil until they are known. swept says that all paths were looked at
	// when the last one had.
	pending map[string]bool
	swept   bool
	written map[string]bool
	// born says since when a path stands that was made in this life of the process.
	born map[string]time.Time
	// until says how long a path stays that nobody uses.
	until map[string]time.Time
	// locks are shared by paths whose names have the same hash.
	locks [64]sync.Mutex
}

func newPathUse(now func() time.Time) *pathUse {
	return &pathUse{
		now:     now,
		born:    map[string]time.Time{},
		until:   map[string]time.Time{},
		keys:    map[string]translate.PathKey{},
		users:   map[string]map[string]bool{},
		paths:   map[string][]string{},
		written: map[string]bool{},
	}
}

// expect says which keys will speak.
func (p *pathUse) expect(users []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil {
		p.pending = map[string]bool{}
	}
	for _, user := range users {
		if _, spoke := p.paths[user]; !spoke {
			p.pending[user] = true
		}
	}
}

// complete tells whether all keys have spoken and sweep has not succeeded yet.
func (p *pathUse) complete() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending != nil && len(p.pending) == 0 && !p.swept
}

// sweptAll notes that all paths were looked at.
func (p *pathUse) sweptAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swept = true
}

// add notes that user uses the paths, besides those it already uses: to be called before anything routes to them.
func (p *pathUse) add(user string, keys []translate.PathKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		p.use(user, key)
	}
}

func (p *pathUse) use(user string, key translate.PathKey) {
	name := translate.PathName(key)
	p.keys[name] = key
	if p.users[name] == nil {
		p.users[name] = map[string]bool{}
	}
	if !p.users[name][user] {
		p.users[name][user] = true
		p.paths[user] = append(p.paths[user], name)
	}
}

// set notes that user uses these paths only: to be called when nothing of it routes to others any more. It returns the
// names of the paths that nobody uses now, to be looked at after linger. Each path that the user has left stays so long,
// also if another user leaves it meanwhile that has no need of that.
func (p *pathUse) set(user string, keys []translate.PathKey, linger time.Duration) (idle []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.paths[user]
	p.paths[user] = nil
	for _, name := range before {
		delete(p.users[name], user)
	}
	for _, key := range keys {
		p.use(user, key)
	}
	stays := p.now().Add(linger)
	for _, name := range before {
		if !p.users[name][user] && stays.After(p.until[name]) {
			p.until[name] = stays
		}
		if len(p.users[name]) == 0 {
			idle = append(idle, name)
		}
	}
	if len(keys) == 0 && p.pending != nil && !p.pending[user] {
		delete(p.paths, user)
	}
	delete(p.pending, user)
	return idle
}

// lookup returns the key of a path in use.
func (p *pathUse) lookup(name string) (key translate.PathKey, used bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.users[name]) == 0 {
		return translate.PathKey{}, false
	}
	return p.keys[name], true
}

// letGo tells whether a path goes that nobody uses, now or after what is left of its linger: it may have become idle again
// since it was last asked after, and the queue keeps the earliest of the times that a key is asked for. Before everyone has
// spoken none goes; the last one to speak has all looked at. From then on it does not stand, so that who uses it after
// that writes it.
func (p *pathUse) letGo(name string) (left time.Duration, goes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil || len(p.pending) > 0 || len(p.users[name]) > 0 {
		return 0, false
	}
	if left = max(0, p.until[name].Sub(p.now())); left > 0 {
		return left, false
	}
	delete(p.written, name)
	return 0, true
}

// names are the paths in use for which match says yes.
func (p *pathUse) names(match func(translate.PathKey) bool) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for name, users := range p.users {
		if len(users) > 0 && match(p.keys[name]) {
			out = append(out, name)
		}
	}
	return out
}

// lock makes writing and deleting one path exclude each other; the returned function ends that.
func (p *pathUse) lock(name string) func() {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash.Hash never fails
	l := &p.locks[h.Sum32()%uint32(len(p.locks))]
	l.Lock()
	return l.Unlock
}

// wrote notes that a path stands as it was decided last, deleted that it is gone.
func (p *pathUse) wrote(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written[name] = true
}

func (p *pathUse) deleted(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.written, name)
	delete(p.until, name)
	delete(p.born, name)
	if len(p.users[name]) == 0 {
		delete(p.users, name)
		delete(p.keys, name)
	}
}

// created notes that a path has just been made.
func (p *pathUse) created(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.born[name] = p.now()
}

// unsettled is how long it takes until all of the paths have stood for the settling time.
func (p *pathUse) unsettled(keys []translate.PathKey, settle time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	longest := time.Duration(0)
	for _, key := range keys {
		if born, ok := p.born[translate.PathName(key)]; ok {
			longest = max(longest, born.Add(settle).Sub(p.now()))
		}
	}
	return longest
}

// stands tells whether a path has been written in this life of the process.
func (p *pathUse) stands(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.written[name]
}

// count is how many paths are in use.
func (p *pathUse) count() int {
	return len(p.names(func(translate.PathKey) bool { return true }))
}
