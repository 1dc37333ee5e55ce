// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// ServerOptions say what a Server serves and to whom.
type ServerOptions struct {
	// ClusterID is the own cluster: only objects that carry it as mcw.l7mp.io/source-cluster are served.
	ClusterID string
	// API is how the own API server is reached, with the controller's own credentials. Required.
	API *rest.Config
	// Peers finds the caller. Required.
	Peers PeerLookup
	// Cards takes announced cards. Required.
	Cards CardStore
	// OwnAddress forbids addresses in announced cards; nil forbids none.
	OwnAddress AddressPredicate
	// BindAddress is where Start listens, such as ":9444".
	BindAddress string
	// Limits bound what callers may cost; zero fields take the defaults of DefaultServerLimits.
	Limits ServerLimits
	Log    logr.Logger
}

// ServerLimits bound what callers may cost.
type ServerLimits struct {
	// WatchesPerPeer is how many watches one peer may hold; one more ends its oldest, because a caller whose tunnel died
	// comes back before the dead connection is noticed here.
	WatchesPerPeer int
	// Watches is how many watches all peers together may hold; one more is answered 429.
	Watches int
	// Requests is how many requests other than watches may be under way; one more is answered 429.
	Requests int
	// RequestsPerSecond and Burst bound what one peer may ask; more is answered 429.
	RequestsPerSecond float64
	Burst             int
	// MaxAnnounceBytes bounds the body of an announcement, in bytes.
	MaxAnnounceBytes int64
	// MaxPage is the most items of one list answer.
	MaxPage int64
	// MaxWatch is the longest a watch lasts.
	MaxWatch time.Duration
	// WriteTimeout is how long one write to a caller may take.
	WriteTimeout time.Duration
}

// DefaultServerLimits suit a fleet of 100 clusters.
func DefaultServerLimits() ServerLimits {
	return ServerLimits{
		WatchesPerPeer:    8,
		Watches:           1024,
		Requests:          64,
		RequestsPerSecond: 20,
		Burst:             100,
		MaxAnnounceBytes:  2 << 20,
		MaxPage:           500,
		MaxWatch:          10 * time.Minute,
		WriteTimeout:      30 * time.Second,
	}
}

// ReaderOptions are what the readers of all peers share.
type ReaderOptions struct {
	// BaseURL is the peer's feed as the own egress gateway offers it; nil takes BaseURL.
	BaseURL func(clusterID string) string
	// Transport makes the calls; nil takes NewTransport().
	Transport http.RoundTripper
	// Sink takes what was accepted. Required.
	Sink Sink
	// NameOf names copies; nil takes translate.AdvertisementName.
	NameOf NameFunc
	// OwnAddress forbids addresses in cards; nil forbids none.
	OwnAddress AddressPredicate
	// Protected are namespaces that no peer may import into, besides kube-*, istio-system and mc-wan: the one of istiod
	// where it has another name.
	Protected []string
	// Limits bound what one peer may cost; zero fields take the defaults of DefaultReaderLimits.
	Limits ReaderLimits
	// Timing says how long things may take; zero fields take the defaults of DefaultTiming.
	Timing Timing
	Log    logr.Logger
}

// ReaderLimits bound what one peer may cost. Over a limit the peer is Unreadable: nothing it says is acted on, and
// nothing known of it is deleted.
type ReaderLimits struct {
	// MaxResponseBytes bounds one answer that is not a watch.
	MaxResponseBytes int64
	// MaxEventBytes bounds one event of a watch.
	MaxEventBytes int64
	// MaxBytesPerMinute bounds all that a peer sends in a minute.
	MaxBytesPerMinute int64
	// MaxAdvertisements bounds how many advertisements a peer publishes.
	MaxAdvertisements int
	// MaxHeldBytes bounds all advertisements of one peer together, as JSON.
	MaxHeldBytes int64
	// MaxLegPorts bounds the ports of the egress gateway that what a peer advertises may take. Over this one the peer is
	// read all the same: what does not fit is refused, and what was there first stays.
	MaxLegPorts int
	// PageSize is how many items a list asks for at once.
	PageSize int64
	// RequestsPerSecond bounds how often one peer is asked; a burst of ten times that is allowed.
	RequestsPerSecond float64
	// WritesPerSecond bounds how often the Sink is written to because of one peer; a burst of ten times that is allowed.
	WritesPerSecond float64
}

// DefaultReaderLimits suit peers with a few thousand exports.
func DefaultReaderLimits() ReaderLimits {
	return ReaderLimits{
		MaxResponseBytes:  16 << 20,
		MaxEventBytes:     2 << 20,
		MaxBytesPerMinute: 64 << 20,
		MaxAdvertisements: 10000,
		MaxHeldBytes:      32 << 20,
		MaxLegPorts:       ports.Total() / 2,
		PageSize:          250,
		RequestsPerSecond: 10,
		WritesPerSecond:   200,
	}
}

// Timing says how long things may take.
type Timing struct {
	// Silence ends a watch without an event or bookmark. API servers send a bookmark about every minute.
	Silence time.Duration
	// ListTimeout bounds one page of a list.
	ListTimeout time.Duration
	// Settle is how long the card and the list may disagree after either changed before the peer is Unreadable.
	Settle time.Duration
	// VanishGrace is how long an advertisement is kept that vanished without having been draining.
	VanishGrace time.Duration
	// Probation is how long a watch must last until a feed that could not be read counts as readable again, and until
	// the pauses between attempts begin small again.
	Probation time.Duration
	// Coalesce is the shortest time between two rounds of writes.
	Coalesce time.Duration
	// Resync is how often the copies are compared with what the Sink says that it holds.
	Resync time.Duration
	// MinBackoff and MaxBackoff bound the pause between two attempts; half of each pause is random.
	MinBackoff time.Duration
	MaxBackoff time.Duration
}

// DefaultTiming is what the controller runs with; tests shorten it.
func DefaultTiming() Timing {
	return Timing{
		Silence:     2 * time.Minute,
		ListTimeout: 15 * time.Second,
		Settle:      10 * time.Second,
		VanishGrace: time.Minute,
		Probation:   3 * time.Second,
		Coalesce:    20 * time.Millisecond,
		Resync:      5 * time.Minute,
		MinBackoff:  50 * time.Millisecond,
		MaxBackoff:  10 * time.Second,
	}
}

// AnnouncerOptions say how changed cards reach peers.
type AnnouncerOptions struct {
	// BaseURL is the peer's feed as the own egress gateway offers it; nil takes BaseURL.
	BaseURL func(clusterID string) string
	// Transport makes the calls; nil takes NewTransport().
	Transport http.RoundTripper
	// Timeout bounds one attempt; 0 takes 10 s.
	Timeout time.Duration
	// MinBackoff and MaxBackoff bound the pause between two attempts; 0 takes 100 ms and 30 s.
	MinBackoff time.Duration
	MaxBackoff time.Duration
	// Repeat is how long after a peer's answer it is told the same card again; 0 takes 30 s.
	Repeat time.Duration
	Log    logr.Logger
}

func (o *ReaderOptions) complete() error {
	if o.Sink == nil {
		return errors.New("feed.ReaderOptions: Sink is required")
	}
	if o.NameOf == nil {
		o.NameOf = translate.AdvertisementName
	}
	if o.BaseURL == nil {
		o.BaseURL = BaseURL
	}
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	limits, timing := DefaultReaderLimits(), DefaultTiming()
	o.Limits = ReaderLimits{
		MaxResponseBytes:  cmp.Or(o.Limits.MaxResponseBytes, limits.MaxResponseBytes),
		MaxEventBytes:     cmp.Or(o.Limits.MaxEventBytes, limits.MaxEventBytes),
		MaxBytesPerMinute: cmp.Or(o.Limits.MaxBytesPerMinute, limits.MaxBytesPerMinute),
		MaxAdvertisements: cmp.Or(o.Limits.MaxAdvertisements, limits.MaxAdvertisements),
		MaxHeldBytes:      cmp.Or(o.Limits.MaxHeldBytes, limits.MaxHeldBytes),
		MaxLegPorts:       cmp.Or(o.Limits.MaxLegPorts, limits.MaxLegPorts),
		PageSize:          cmp.Or(o.Limits.PageSize, limits.PageSize),
		RequestsPerSecond: cmp.Or(o.Limits.RequestsPerSecond, limits.RequestsPerSecond),
		WritesPerSecond:   cmp.Or(o.Limits.WritesPerSecond, limits.WritesPerSecond),
	}
	o.Timing = Timing{
		Silence:     cmp.Or(o.Timing.Silence, timing.Silence),
		ListTimeout: cmp.Or(o.Timing.ListTimeout, timing.ListTimeout),
		Settle:      cmp.Or(o.Timing.Settle, timing.Settle),
		VanishGrace: cmp.Or(o.Timing.VanishGrace, timing.VanishGrace),
		Probation:   cmp.Or(o.Timing.Probation, timing.Probation),
		Coalesce:    cmp.Or(o.Timing.Coalesce, timing.Coalesce),
		Resync:      cmp.Or(o.Timing.Resync, timing.Resync),
		MinBackoff:  cmp.Or(o.Timing.MinBackoff, timing.MinBackoff),
		MaxBackoff:  cmp.Or(o.Timing.MaxBackoff, timing.MaxBackoff),
	}
	return nil
}

func (o *AnnouncerOptions) complete() {
	if o.BaseURL == nil {
		o.BaseURL = BaseURL
	}
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.MinBackoff = cmp.Or(o.MinBackoff, 100*time.Millisecond)
	o.MaxBackoff = cmp.Or(o.MaxBackoff, 30*time.Second)
	o.Repeat = cmp.Or(o.Repeat, 30*time.Second)
}

// EgressURL is where the own egress gateway takes the controller's calls.
func EgressURL() string {
	return fmt.Sprintf("http://%s.%s.svc:%d", v1alpha1.EgressName, v1alpha1.Namespace, v1alpha1.EgressFeedPort)
}

// BaseURL is a peer's feed as the own egress gateway offers it to the controller.
func BaseURL(clusterID string) string { return EgressURL() + "/peers/" + clusterID }
