// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	envoycluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	priorities "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreams "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
)

// clusterName is Istio's name of the Envoy cluster of a host's port.
func clusterName(port int, host string) string { return fmt.Sprintf("outbound|%d||%s", port, host) }

// answer is what a route does with a request.
type answer struct {
	Methods   string         // regular expression; empty takes all
	Clusters  map[string]int // by the start of their host's name, with their weights
	Authority string
	Path      string // what the matched prefix is replaced by
	Status    int    // of a direct response
	RetryOn   string
	Retries   int
	NextRank  bool // each retry takes the next priority
	Timeout   time.Duration
	Deadlines bool // a client's grpc-timeout is applied
	Sets      []string
	Removes   []string
	Hides     []string // response headers that are removed
}

// answers are the routes of the virtual host that a call reaches, in their order.
func (p proxy) answers(call simulation.Call) []answer {
	p.t.Helper()
	result := p.sim.Run(call)
	if result.Error != nil {
		p.t.Fatalf("%+v: %v", call, result.Error)
	}
	rc := xdstest.ExtractRouteConfigurations(p.sim.Routes)[result.RouteConfigMatched]
	for _, vh := range rc.GetVirtualHosts() {
		if vh.Name == result.VirtualHostMatched {
			var out []answer
			for _, r := range vh.Routes {
				out = append(out, p.answer(r))
			}
			return out
		}
	}
	p.t.Fatalf("no virtual host %s in %s", result.VirtualHostMatched, result.RouteConfigMatched)
	return nil
}

func (p proxy) answer(r *route.Route) answer {
	action := r.GetRoute()
	out := answer{
		Clusters:  map[string]int{},
		Authority: action.GetHostRewriteLiteral(),
		Path:      action.GetPrefixRewrite(),
		Status:    int(r.GetDirectResponse().GetStatus()),
		RetryOn:   action.GetRetryPolicy().GetRetryOn(),
		Retries:   int(action.GetRetryPolicy().GetNumRetries().GetValue()),
		NextRank:  p.updateFrequency(action.GetRetryPolicy()) == 1,
		Timeout:   action.GetTimeout().AsDuration(),
		// Envoy looks at grpc-timeout for max_grpc_timeout only while max_stream_duration is not there.
		Deadlines: action.GetMaxGrpcTimeout() != nil && action.GetMaxStreamDuration() == nil, //nolint:staticcheck // what istiod sets
		Removes:   r.RequestHeadersToRemove,
		Hides:     r.ResponseHeadersToRemove,
	}
	for _, h := range r.GetMatch().GetHeaders() {
		if h.Name == ":method" {
			out.Methods = h.GetStringMatch().GetSafeRegex().GetRegex() + h.GetStringMatch().GetExact()
		}
	}
	for _, h := range r.RequestHeadersToAdd {
		out.Sets = append(out.Sets, h.Header.Key+"="+h.Header.Value)
	}
	slices.Sort(out.Sets)
	slices.Sort(out.Removes)
	if c := action.GetCluster(); c != "" {
		out.Clusters[short(c)] = 100
	}
	for _, c := range action.GetWeightedClusters().GetClusters() {
		out.Clusters[short(c.Name)] = int(c.Weight.Value)
	}
	return out
}

func (p proxy) updateFrequency(policy *route.RetryPolicy) int {
	if policy.GetRetryPriority() == nil {
		return 0
	}
	config := xdstest.UnmarshalAny[priorities.PreviousPrioritiesConfig](p.t, policy.GetRetryPriority().GetTypedConfig())
	return int(config.UpdateFrequency)
}

// short is a path's cluster without the hash and the domain, any other cluster's host and port.
func short(name string) string {
	parts := strings.Split(name, "|")
	host := parts[3]
	if path, ok := strings.CutSuffix(host, ".wan.mcw.internal"); ok && strings.Contains(path, "-") {
		return path[:strings.LastIndex(path, "-")]
	}
	return host + ":" + parts[1]
}

// cluster finds an Envoy cluster by its short name.
func (p proxy) cluster(name string) *envoycluster.Cluster {
	p.t.Helper()
	for _, c := range p.sim.Clusters {
		if strings.HasPrefix(c.Name, "outbound|") && short(c.Name) == name {
			return c
		}
	}
	p.t.Fatalf("no Envoy cluster %s", name)
	return nil
}

// clusterNamed finds an Envoy cluster by its full name.
func (p proxy) clusterNamed(name string) *envoycluster.Cluster {
	p.t.Helper()
	c := xdstest.ExtractCluster(name, p.sim.Clusters)
	if c == nil {
		p.t.Fatalf("no Envoy cluster %s", name)
	}
	return c
}

// hops are the endpoints of an Envoy cluster in the order of priorities: "priority address:port weight".
func (p proxy) hops(name string) []string {
	p.t.Helper()
	return p.hopsOf(p.cluster(name).Name)
}

// hopsOf is hops of the Envoy cluster of that full name.
func (p proxy) hopsOf(want string) []string {
	p.t.Helper()
	type hop struct {
		priority uint32
		text     string
	}
	var all []hop
	for _, cla := range p.s.Endpoints(p.node) {
		if cla.ClusterName != want {
			continue
		}
		for _, l := range cla.Endpoints {
			for _, e := range l.LbEndpoints {
				a := e.GetEndpoint().GetAddress().GetSocketAddress()
				all = append(all, hop{l.Priority, fmt.Sprintf("%d %s:%d %d", l.Priority, a.Address, a.GetPortValue(), e.GetLoadBalancingWeight().GetValue())})
			}
		}
	}
	slices.SortFunc(all, func(a, b hop) int { return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.text, b.text)) })
	var out []string
	for _, h := range all {
		out = append(out, h.text)
	}
	return out
}

// takesMTLS says whether all endpoints of an Envoy cluster are marked as those that take Istio's mutual TLS, or none is.
func (p proxy) takesMTLS(name string) (all, none bool) {
	all, none = true, true
	for _, cla := range p.s.Endpoints(p.node) {
		if cla.ClusterName != name {
			continue
		}
		for _, l := range cla.Endpoints {
			for _, e := range l.LbEndpoints {
				marked := e.GetMetadata().GetFilterMetadata()["envoy.transport_socket_match"].GetFields()["tlsMode"].GetStringValue() == "istio"
				all, none = all && marked, none && !marked
			}
		}
	}
	return all, none
}

// upstreamTLS is what an Envoy cluster says in its handshakes: that of its own socket, else of those for endpoints that
// take Istio's mutual TLS.
func upstreamTLS(t *testing.T, c *envoycluster.Cluster) *tls.UpstreamTlsContext {
	t.Helper()
	socket := c.GetTransportSocket()
	for _, m := range c.GetTransportSocketMatches() {
		if m.Name == "tlsMode-istio" {
			socket = m.TransportSocket
		}
	}
	if socket == nil {
		t.Fatalf("%s speaks plain text", c.Name)
	}
	return xdstest.UnmarshalAny[tls.UpstreamTlsContext](t, socket.GetTypedConfig())
}

// sans are the identities that an Envoy cluster accepts.
func sans(context *tls.UpstreamTlsContext) []string {
	var out []string
	for _, m := range context.GetCommonTlsContext().GetCombinedValidationContext().GetDefaultValidationContext().GetMatchTypedSubjectAltNames() {
		out = append(out, m.GetMatcher().GetExact())
	}
	for _, m := range context.GetCommonTlsContext().GetCombinedValidationContext().GetDefaultValidationContext().GetMatchSubjectAltNames() { //nolint:staticcheck // what istiod sets
		out = append(out, m.GetExact())
	}
	return out
}

// http2 are the HTTP/2 options of an Envoy cluster; nil if it speaks HTTP/1.
func http2(t *testing.T, c *envoycluster.Cluster) *upstreams.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions {
	t.Helper()
	options, ok := c.GetTypedExtensionProtocolOptions()["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
	if !ok {
		return nil
	}
	h := xdstest.UnmarshalAny[upstreams.HttpProtocolOptions](t, options)
	got, _ := h.GetExplicitHttpConfig().GetProtocolConfig().(*upstreams.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions)
	return got
}
