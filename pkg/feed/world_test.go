// SPDX-License-Identifier: Apache-2.0

package feed_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
)

// The reading cluster and its peer.
const (
	here  = "c1"
	there = "c2"
)

func identities(cluster string) v1alpha1.Identities {
	return v1alpha1.Identities{
		Egress:  "spiffe://" + cluster + ".example/ns/mc-wan/sa/mcw-egress",
		Ingress: "spiffe://" + cluster + ".example/ns/mc-wan/sa/mcw-ingress",
	}
}

func peerSpec(cluster string) v1alpha1.PeerSpec {
	return v1alpha1.PeerSpec{ClusterID: cluster, Identities: identities(cluster), Namespaces: []string{"*"}}
}

func cardSpec(cluster string, generation int64, count int) v1alpha1.ClusterAdvertisementSpec {
	return v1alpha1.ClusterAdvertisementSpec{
		ClusterID: cluster, ClusterUID: "uid-" + cluster, Generation: generation, Identities: identities(cluster),
		Addresses:      []string{"10.2.0.1"},
		Policies:       []v1alpha1.OfferedPolicy{{Name: "high", Tunnel: "business", Port: 31111}},
		Advertisements: int32(count),
	}
}

func advertisement(cluster, namespace, name string) v1alpha1.ServiceAdvertisementSpec {
	return v1alpha1.ServiceAdvertisementSpec{
		ClusterID: cluster, Namespace: namespace, Name: name, Type: "ClusterSetIP",
		ExportedAt: metav1.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Ports:      []v1alpha1.AdvertisedPort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080, ReadyBackends: 2}},
	}
}

func named(source, namespace, name string) string {
	return fmt.Sprintf("adv-%s-%s-%s", source, namespace, name)
}

// world is a peer with its API server, feed server and gateways, and the reading side, all in one bubble.
type world struct {
	t       *testing.T
	api     *fakeAPI
	sink    *memorySink // of the reader
	cards   *memorySink // of the peer's server
	peers   map[string]v1alpha1.PeerSpec
	wan     *pipes // what the reader's connections run through
	readers *feed.Readers
	options feed.ReaderOptions
	stop    context.CancelFunc

	mu    sync.Mutex
	inter func(w http.ResponseWriter, r *http.Request) bool
	seen  int
}

// newWorld makes a peer with its card and the services; start begins to read it.
func newWorld(t *testing.T, services ...string) *world {
	t.Helper()
	w := &world{t: t, api: newFakeAPI(), sink: newMemorySink(), cards: newMemorySink(), peers: map[string]v1alpha1.PeerSpec{}}
	caller := peerSpec(here)
	w.peers[caller.Identities.Egress] = caller
	for _, s := range services {
		w.export(s)
	}
	w.card(1, len(services))
	_, apiTransport := listen(t, w.api)
	server, err := feed.NewServer(feed.ServerOptions{
		ClusterID: there, API: &rest.Config{Host: "http://api", Transport: apiTransport},
		Peers: w.peer, Cards: w.cards, Log: testLog(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	feedTransport := serveFeed(t, server)
	var transport *http.Transport
	w.wan, transport = listen(t, w.gateways(feedTransport))
	w.options = feed.ReaderOptions{
		BaseURL:   func(id string) string { return "http://egress/peers/" + id },
		Transport: transport, Sink: w.sink, NameOf: named, Log: testLog(t),
		Limits: feed.ReaderLimits{MaxResponseBytes: 64 << 10, MaxEventBytes: 32 << 10, MaxBytesPerMinute: 1 << 20, PageSize: 10},
	}
	return w
}

func testLog(t *testing.T) logr.Logger {
	t.Helper()
	if !testing.Verbose() {
		return logr.Discard()
	}
	return testr.New(t)
}

func serveFeed(t *testing.T, server *feed.Server) *http.Transport {
	t.Helper()
	p := newPipes()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(ctx, p); err != nil {
			t.Error(err)
		}
	}()
	transport := dialer(p)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		<-done
		_ = p.Close()
	})
	return transport
}

func (w *world) peer(identity string) (v1alpha1.PeerSpec, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.peers[identity]
	return p, ok
}

// gateways play both gateways: the leg strips its prefix, the peer's ingress says who calls.
func (w *world) gateways(next http.RoundTripper) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "feed.mc-wan.svc.clusterset.local"})
			r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/peers/"+there)
			r.Out.Header.Set(v1alpha1.HeaderPeer, identities(here).Egress)
		},
		Transport:     next,
		FlushInterval: -1,
		ErrorHandler:  func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusServiceUnavailable) },
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.seen++
		inter := w.inter
		w.mu.Unlock()
		if inter == nil || !inter(rw, r) {
			proxy.ServeHTTP(rw, r)
		}
	})
}

// between puts something between reader and peer; true means that it has answered. nil takes it away.
func (w *world) between(f func(rw http.ResponseWriter, r *http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inter = f
}

func (w *world) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// export publishes namespace/name at the peer.
func (w *world) export(service string, change ...func(*v1alpha1.ServiceAdvertisementSpec)) {
	namespace, name, _ := strings.Cut(service, "/")
	spec := advertisement(there, namespace, name)
	for _, f := range change {
		f(&spec)
	}
	w.api.put(advertisements, there, named(there, namespace, name), spec)
}

func (w *world) unexport(service string) {
	namespace, name, _ := strings.Cut(service, "/")
	w.api.remove(advertisements, named(there, namespace, name))
}

func (w *world) card(generation int64, count int, change ...func(*v1alpha1.ClusterAdvertisementSpec)) {
	spec := cardSpec(there, generation, count)
	for _, f := range change {
		f(&spec)
	}
	w.api.put(cards, there, there, spec)
}

func draining(s *v1alpha1.ServiceAdvertisementSpec) { s.Draining = true }

// start begins to read the peer.
func (w *world) start() {
	w.t.Helper()
	readers, err := feed.NewReaders(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.readers = readers
	readers.SetPeers([]v1alpha1.PeerSpec{peerSpec(there)})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = readers.Start(ctx)
	}()
	w.stop = sync.OnceFunc(func() {
		stop()
		<-done
	})
	w.t.Cleanup(w.stop)
	after(time.Second)
}

// after lets the bubble's time pass.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *world) wantNames(want ...string) {
	w.t.Helper()
	if got := strings.Join(w.sink.names(), " "); got != strings.Join(want, " ") {
		w.t.Fatalf("copies of %q, want %q", got, strings.Join(want, " "))
	}
}

func (w *world) wantReason(want, message string) {
	w.t.Helper()
	got := w.sink.last(there)
	if got.Reason != want || !strings.Contains(got.Message, message) {
		w.t.Fatalf("reason %q, message %q; want %q, %q", got.Reason, got.Message, want, message)
	}
}
