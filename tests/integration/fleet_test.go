// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/controller"
	"github.com/l7mp/mc-wan/pkg/feed"
)

// fleet is some clusters with their controllers and the gateways between them.
type fleet struct {
	t        *testing.T
	gateways *gateways
	tunnels  *tunnels
	members  []*member
	// namespace of the test's own; Namespaces cannot be deleted where nothing finalizes them.
	namespace string
}

// member is one cluster of a fleet.
type member struct {
	*cluster
	fleet   *fleet
	tune    func(*controller.Options)
	running *process
}

// process is one life of a controller.
type process struct {
	stop    context.CancelFunc
	done    chan struct{}
	err     error
	metrics *prometheus.Registry
	writes  *writeCounter
}

// newFleet starts n clusters' controllers. Nothing is joined yet.
func newFleet(t *testing.T, n int, tune ...func(*controller.Options)) *fleet {
	t.Helper()
	f := &fleet{t: t, gateways: newGateways(), tunnels: newTunnels(), namespace: "ns-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))}
	if len(f.namespace) > 60 {
		f.namespace = f.namespace[:60]
	}
	for _, c := range shared.clusters[:n] {
		m := &member{cluster: c, fleet: f, tune: func(o *controller.Options) {
			for _, set := range tune {
				set(o)
			}
		}}
		f.members = append(f.members, m)
		c.wipe(t)
		t.Cleanup(func() { c.wipe(t) })
		m.namespaceStands()
		m.create(policy("default", "internet", 31110, true), policy("high", "business", 31111, false))
	}
	t.Cleanup(func() {
		for _, m := range f.members {
			m.down()
		}
	})
	for _, m := range f.members {
		m.up()
	}
	return f
}

// joined is a fleet whose clusters are all joined with each other and read each other's feeds.
func joined(t *testing.T, n int, tune ...func(*controller.Options)) *fleet {
	t.Helper()
	f := newFleet(t, n, tune...)
	for _, m := range f.members {
		for _, other := range f.members {
			if m != other {
				m.create(other.asPeer())
			}
		}
	}
	for _, m := range f.members {
		for _, other := range f.members {
			if m != other {
				m.peerIs(other.id, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
			}
		}
	}
	return f
}

// up starts the cluster's controller.
func (m *member) up() {
	t := m.fleet.t
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.fleet.gateways.connect(m.id, listener.Addr().String(), m.identity(v1alpha1.EgressName))
	p := &process{done: make(chan struct{}), metrics: prometheus.NewRegistry(), writes: &writeCounter{}}
	opts := m.options(p)
	opts.FeedListener = listener
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	p.stop = stop
	m.running = p
	go func() {
		defer close(p.done)
		p.err = controller.Run(ctx, opts)
	}()
}

func (m *member) options(p *process) controller.Options {
	opts := controller.DefaultOptions()
	opts.ClusterID = m.id
	opts.MetricsBindAddress, opts.HealthProbeBindAddress = "0", "0"
	opts.LeaderElect = false
	opts.PeerSyncTimeout = 3 * time.Second
	opts.DrainDeadline = 4 * time.Second
	opts.AckSettle, opts.PathSettle, opts.PathLinger = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	opts.Config = rest.CopyConfig(m.asController)
	opts.Config.Wrap(p.writes.wrap)
	opts.Log = logger(m.fleet.t, m.id)
	opts.Registerer = p.metrics
	opts.FeedBaseURL, opts.EgressURL = baseURL, "http://egress"
	opts.FeedTransport = m.fleet.gateways.egress(m.id)
	opts.ProbeDial = m.fleet.tunnels.dial
	opts.FeedTiming = feed.Timing{MaxBackoff: 300 * time.Millisecond, Settle: 2 * time.Second}
	m.tune(&opts)
	return opts
}

// logger writes to the test's log when MCWAN_TEST_LOG is set.
func logger(t *testing.T, id string) logr.Logger {
	if os.Getenv("MCWAN_TEST_LOG") == "" {
		return logr.Discard()
	}
	return funcr.New(func(prefix, args string) { fmt.Fprintln(os.Stderr, t.Name(), id, prefix, args) }, funcr.Options{LogTimestamp: true})
}

// down stops the controller and waits until it is gone.
func (m *member) down() {
	t := m.fleet.t
	t.Helper()
	if m.running == nil {
		return
	}
	m.running.stop()
	select {
	case <-m.running.done:
	case <-time.After(20 * time.Second):
		t.Fatalf("the controller of %s does not stop", m.id)
	}
	if m.running.err != nil {
		t.Errorf("the controller of %s ended with: %v", m.id, m.running.err)
	}
	m.running = nil
}

// asPeer is the cluster's card as others apply it.
func (m *member) asPeer() *v1alpha1.Peer {
	return &v1alpha1.Peer{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace, Name: m.id},
		Spec: v1alpha1.PeerSpec{
			ClusterID:  m.id,
			Identities: v1alpha1.Identities{Egress: m.identity(v1alpha1.EgressName), Ingress: m.identity(v1alpha1.IngressName)},
			Bootstrap: v1alpha1.Bootstrap{
				Addresses: []string{m.gatewayAddress()},
				Policies:  []v1alpha1.OfferedPolicy{{Name: "default", Tunnel: "internet", Port: 31110}, {Name: "high", Tunnel: "business", Port: 31111}},
			},
		},
	}
}

func policy(name, tunnel string, port int32, isDefault bool) *v1alpha1.WANPolicy {
	return &v1alpha1.WANPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.WANPolicySpec{Tunnel: tunnel, Port: port, Default: isDefault},
	}
}

// namespaceStands makes the test's namespace.
func (m *member) namespaceStands() {
	m.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: m.fleet.namespace}})
}

// create makes objects.
func (m *member) create(objs ...client.Object) {
	t := m.fleet.t
	t.Helper()
	for _, obj := range objs {
		if err := m.Create(t.Context(), obj); err != nil {
			t.Fatalf("%s: creating %T %s: %v", m.id, obj, obj.GetName(), err)
		}
	}
}

// change reads an object, changes it and writes it back, again when it was changed meanwhile.
func change[T client.Object](m *member, obj T, mutate func(T)) {
	t := m.fleet.t
	t.Helper()
	m.eventually(5*time.Second, "changing "+obj.GetName(), func() error {
		if err := m.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		mutate(obj)
		return m.Update(t.Context(), obj)
	})
}

// remove deletes an object.
func (m *member) remove(obj client.Object) {
	t := m.fleet.t
	t.Helper()
	if err := m.Delete(t.Context(), obj); err != nil {
		t.Fatalf("%s: deleting %T %s: %v", m.id, obj, obj.GetName(), err)
	}
}

// patience stretches all bounds on machines that do other things at the same time (MCWAN_TEST_PATIENCE, default 1).
func patience(bound time.Duration) time.Duration {
	if factor, err := strconv.Atoi(os.Getenv("MCWAN_TEST_PATIENCE")); err == nil && factor > 0 {
		return bound * time.Duration(factor)
	}
	return bound
}

// eventually waits until check has nothing to say any more.
func (m *member) eventually(bound time.Duration, what string, check func() error) {
	t := m.fleet.t
	t.Helper()
	bound = patience(bound)
	deadline := time.Now().Add(bound)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s: not within %s: %v", m.id, what, bound, err)
		}
		<-tick.C
	}
}

// always checks that something holds all the time.
func (m *member) always(span time.Duration, what string, check func() error) {
	t := m.fleet.t
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(span); time.Now().Before(end); <-tick.C {
		if err := check(); err != nil {
			t.Fatalf("%s: %s: %v", m.id, what, err)
		}
	}
}

// writeCounter counts the requests of a controller that could change something, Leases and Events left out.
type writeCounter struct {
	mu    sync.Mutex
	lines []string
}

func (c *writeCounter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/events") && !strings.Contains(r.URL.Path, "/leases") {
			c.mu.Lock()
			c.lines = append(c.lines, r.Method+" "+r.URL.Path)
			c.mu.Unlock()
		}
		return next.RoundTrip(r)
	})
}

func (c *writeCounter) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...)
}

// steady are the writes without the first two of each Peer's status: its figures move by themselves, and are written at
// most every half minute. versions has the rest of what it says.
func steady(writes []string) []string {
	seen := map[string]int{}
	return slices.DeleteFunc(writes, func(line string) bool {
		seen[line]++
		return strings.Contains(line, "/peers/") && strings.HasSuffix(line, "/status") && seen[line] <= 2
	})
}

// freePort is an address on loopback that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
