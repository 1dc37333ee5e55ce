// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// fakeAPI is as much of an API server as a feed is made of: lists in pages, watches with bookmarks, compaction.
type fakeAPI struct {
	mu        sync.Mutex
	version   int
	compacted int // resource versions up to this one are gone
	objects   map[string]map[string]storedObject
	events    []storedEvent
	news      chan struct{} // closed at the next event
	broken    int           // an HTTP code to answer with
	queries   []string
	headers   []http.Header
	bookmarks bool
	watching  int
}

type storedObject struct {
	kind, cluster, name string
	version             int
	spec                any
}

type storedEvent struct {
	resource, kind string
	object         storedObject
}

func newFakeAPI() *fakeAPI {
	return &fakeAPI{version: 100, objects: map[string]map[string]storedObject{}, news: make(chan struct{}), bookmarks: true}
}

const (
	advertisements = "serviceadvertisements"
	cards          = "clusteradvertisements"
)

func kindOf(resource string) string {
	if resource == cards {
		return "ClusterAdvertisement"
	}
	return "ServiceAdvertisement"
}

// put writes an object of a cluster; spec may be anything that can be JSON.
func (a *fakeAPI) put(resource, cluster, name string, spec any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	if a.objects[resource] == nil {
		a.objects[resource] = map[string]storedObject{}
	}
	kind := "ADDED"
	if _, known := a.objects[resource][name]; known {
		kind = "MODIFIED"
	}
	o := storedObject{kind: kindOf(resource), cluster: cluster, name: name, version: a.version, spec: spec}
	a.objects[resource][name] = o
	a.tell(storedEvent{resource, kind, o})
}

func (a *fakeAPI) remove(resource, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o, ok := a.objects[resource][name]
	if !ok {
		return
	}
	delete(a.objects[resource], name)
	a.version++
	o.version = a.version
	a.tell(storedEvent{resource, "DELETED", o})
}

func (a *fakeAPI) tell(e storedEvent) {
	a.events = append(a.events, e)
	close(a.news)
	a.news = make(chan struct{})
}

// lose takes an object away without telling watchers, as a restored backup does; what was before is compacted.
func (a *fakeAPI) lose(resource, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.objects[resource], name)
	a.version++
	a.compacted = a.version
}

// compact makes all watches and lists begin anew.
func (a *fakeAPI) compact() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	a.compacted = a.version
	close(a.news)
	a.news = make(chan struct{})
}

func (a *fakeAPI) set(f func(*fakeAPI)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

func (a *fakeAPI) watchers() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.watching
}

func (a *fakeAPI) count(part string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.queries {
		if strings.Contains(q, part) {
			n++
		}
	}
	return n
}

func (o storedObject) labels() labels.Set {
	l := labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ValueManagedBy, v1alpha1.LabelSourceCluster: o.cluster, "secret": "label"}
	if strings.HasPrefix(o.name, "manual") {
		l[v1alpha1.LabelManual] = "true"
	}
	return l
}

func (o storedObject) json() map[string]any {
	return map[string]any{
		"apiVersion": v1alpha1.GroupVersion().String(), "kind": o.kind,
		"metadata": map[string]any{
			"name": o.name, "namespace": "mc-wan", "resourceVersion": strconv.Itoa(o.version),
			"labels":        o.labels(),
			"annotations":   map[string]string{"secret": "annotation"},
			"managedFields": []any{map[string]any{"manager": "secret"}},
		},
		"spec": o.spec,
	}
}

func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.queries = append(a.queries, r.URL.String())
	a.headers = append(a.headers, r.Header.Clone())
	broken := a.broken
	a.mu.Unlock()
	resource, ok := strings.CutPrefix(r.URL.Path, "/apis/mcw.l7mp.io/v1alpha1/namespaces/mc-wan/")
	switch {
	case broken != 0:
		answer(w, broken, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: int32(broken), Message: "the fake is broken"})
	case !ok || r.Method != http.MethodGet:
		answer(w, http.StatusNotFound, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: 404, Reason: metav1.StatusReasonNotFound})
	case r.URL.Query().Get("watch") == "true":
		a.watch(w, r, resource)
	default:
		a.list(w, r, resource)
	}
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func selected(r *http.Request, o storedObject) bool {
	s, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	return err == nil && s.Matches(o.labels())
}

// list answers a page; the continue token is <resource version>/<last name>.
func (a *fakeAPI) list(w http.ResponseWriter, r *http.Request, resource string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := r.URL.Query()
	at, after := a.version, ""
	if token := q.Get("continue"); token != "" {
		if n, err := fmt.Sscanf(token, "%d/%s", &at, &after); n != 2 || err != nil {
			answer(w, http.StatusBadRequest, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: 400, Reason: metav1.StatusReasonBadRequest})
			return
		}
		if at < a.compacted {
			answer(w, http.StatusGone, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: 410, Reason: metav1.StatusReasonExpired, Message: "continue is too old"})
			return
		}
	}
	limit, _ := strconv.Atoi(q.Get("limit"))
	meta, items := map[string]any{"resourceVersion": strconv.Itoa(at)}, []any{}
	for _, name := range slices.Sorted(maps.Keys(a.objects[resource])) {
		o := a.objects[resource][name]
		if name <= after || !selected(r, o) {
			continue
		}
		if limit > 0 && len(items) == limit {
			meta["continue"] = fmt.Sprintf("%d/%s", at, after)
			break
		}
		items, after = append(items, o.json()), name
	}
	answer(w, http.StatusOK, map[string]any{
		"apiVersion": v1alpha1.GroupVersion().String(), "kind": kindOf(resource) + "List", "metadata": meta, "items": items,
	})
}

// watch streams events from a resource version on, with a bookmark every minute.
func (a *fakeAPI) watch(w http.ResponseWriter, r *http.Request, resource string) {
	q := r.URL.Query()
	from, _ := strconv.Atoi(q.Get("resourceVersion"))
	seconds, _ := strconv.Atoi(q.Get("timeoutSeconds"))
	ends := time.NewTimer(time.Duration(max(seconds, 1)) * time.Second)
	defer ends.Stop()
	marks := time.NewTicker(time.Minute)
	defer marks.Stop()
	a.set(func(a *fakeAPI) { a.watching++ })
	defer a.set(func(a *fakeAPI) { a.watching-- })
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flusher := w.(http.Flusher)
	flusher.Flush()
	send := func(kind string, object any) {
		_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": object})
		flusher.Flush()
	}
	for {
		a.mu.Lock()
		compacted, events, news, version, bookmarks := a.compacted, slices.Clone(a.events), a.news, a.version, a.bookmarks
		a.mu.Unlock()
		if from < compacted {
			send("ERROR", metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: 410, Reason: metav1.StatusReasonExpired, Message: "too old resource version"})
			return
		}
		for _, e := range events {
			if e.resource == resource && e.object.version > from && selected(r, e.object) {
				send(e.kind, e.object.json())
			}
		}
		from = version
		select {
		case <-r.Context().Done():
			return
		case <-ends.C:
			return
		case <-news:
		case <-marks.C:
			if bookmarks && q.Get("allowWatchBookmarks") == "true" {
				send("BOOKMARK", map[string]any{
					"apiVersion": v1alpha1.GroupVersion().String(), "kind": kindOf(resource),
					"metadata": map[string]any{"resourceVersion": strconv.Itoa(from)},
				})
			}
		}
	}
}
