// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/feed"
	"github.com/l7mp/mc-wan/pkg/probe"
)

// Options configure Run. DefaultOptions fills in what has a default.
type Options struct {
	// ClusterID is the id of the own cluster in the clusterset: an RFC 1123 label of at most 63 characters.
	ClusterID string
	// TrustDomain of the mesh; empty reads it from the mesh's configuration.
	TrustDomain string
	// IstioNamespace and IstioRevision say which istiod the gateways belong to.
	IstioNamespace string
	IstioRevision  string
	// EgressServiceAccount and IngressServiceAccount are the service accounts of the gateways.
	EgressServiceAccount  string
	IngressServiceAccount string
	// MetricsBindAddress, HealthProbeBindAddress and FeedBindAddress are listen addresses; "0" turns metrics or health off.
	MetricsBindAddress     string
	HealthProbeBindAddress string
	FeedBindAddress        string
	// LeaderElect lets one of several replicas write; the others serve the feed.
	LeaderElect bool
	// PeerSyncTimeout is how long a new import waits for peers that have not been read yet.
	PeerSyncTimeout time.Duration
	// DummyServices says that imports have a dummy Service per WAN policy on offer.
	DummyServices bool
	// DrainDeadline is how long the way to a service stays at the latest after it was unexported.
	DrainDeadline time.Duration
	// PortLinger is how long the ingress gateway goes on to receive on a WAN policy's former port: until peers have learnt
	// of the new one and what they have under way has ended.
	PortLinger time.Duration
	// LeaveLinger is how long a cluster whose Peer is gone is still let in: it hears from the feed that it is no peer any
	// more, and uses other exporters before it is turned away.
	LeaveLinger time.Duration
	// WithdrawAfter is how long neither the feed nor any hop of a peer has to answer until its exports count as draining.
	WithdrawAfter time.Duration
	// AckSettle is the time between a leg that avoids a draining exporter being written and being relied on: istiod and
	// Envoy have no acknowledgement that a controller could read.
	AckSettle time.Duration
	// PathSettle is how long a path stands before routes that carry traffic move to it: istiod sends a new cluster and the
	// routes to it together, and Envoy fails requests (503, cluster_not_found) until it has the cluster's endpoints.
	PathSettle time.Duration
	// PathLinger is how long a path stays after routes moved away from it: Envoy takes the removal of a cluster before
	// the routes that no longer lead there. Longer than istiod collects changes (PILOT_DEBOUNCE_AFTER, 100 ms) under load.
	PathLinger time.Duration
	// Version is what the card says the controller is.
	Version string

	// Config reaches the own API server.
	Config *rest.Config
	Log    logr.Logger
	// Registerer takes the controller's own metrics; nil registers none.
	Registerer prometheus.Registerer
	// FeedBaseURL and FeedTransport reach peers' feeds; nil takes the own egress gateway.
	FeedBaseURL   func(clusterID string) string
	FeedTransport http.RoundTripper
	// EgressURL is where the own egress gateway takes calls that keep connections open; empty takes feed.EgressURL.
	EgressURL string
	// FeedTiming says how long the feed waits for what; zero fields take the feed's defaults.
	FeedTiming feed.Timing
	// FeedLimits bound what one peer may cost; zero fields take the feed's defaults.
	FeedLimits feed.ReaderLimits
	// AboutRetry is how often it is asked whether the cluster serves ClusterProperties by now.
	AboutRetry time.Duration
	// ProbeDial makes a handshake with a hop; nil makes real ones.
	ProbeDial probe.Dial
	// FeedListening is told where the feed is served, for callers that bind to port 0.
	FeedListener net.Listener
}

// DefaultOptions are the defaults of the command line.
func DefaultOptions() Options {
	return Options{
		IstioNamespace:         "istio-system",
		EgressServiceAccount:   v1alpha1.EgressName,
		IngressServiceAccount:  v1alpha1.IngressName,
		MetricsBindAddress:     ":8080",
		HealthProbeBindAddress: ":8081",
		FeedBindAddress:        fmt.Sprintf(":%d", v1alpha1.ControllerFeedPort),
		LeaderElect:            true,
		PeerSyncTimeout:        30 * time.Second,
		DummyServices:          true,
		DrainDeadline:          10 * time.Second,
		PortLinger:             time.Minute,
		LeaveLinger:            30 * time.Second,
		WithdrawAfter:          10 * time.Second,
		AboutRetry:             time.Minute,
		AckSettle:              2 * time.Second,
		PathSettle:             2 * time.Second,
		PathLinger:             5 * time.Second,
		Version:                "dev",
	}
}

// Validate names the first option that cannot work and how to fix it.
func (o Options) Validate() error {
	label := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	switch {
	case !label.MatchString(o.ClusterID):
		return fmt.Errorf("--cluster-id %q: set it to an RFC 1123 label of at most 63 characters, such as cluster-1", o.ClusterID)
	case o.Config == nil:
		return errors.New("no configuration of the API server: run in a cluster or set KUBECONFIG")
	case o.EgressServiceAccount == "" || o.IngressServiceAccount == "":
		return errors.New("--egress-service-account and --ingress-service-account must not be empty")
	case o.PeerSyncTimeout <= 0:
		return fmt.Errorf("--peer-sync-timeout %s: must be more than 0", o.PeerSyncTimeout)
	case o.WithdrawAfter <= 0:
		return fmt.Errorf("--withdraw-after %s: must be more than 0", o.WithdrawAfter)
	case o.DrainDeadline < 0:
		return fmt.Errorf("--drain-deadline %s: must not be negative", o.DrainDeadline)
	case o.LeaveLinger < 0:
		return fmt.Errorf("--leave-linger %s: must not be negative", o.LeaveLinger)
	}
	return nil
}
