// SPDX-License-Identifier: Apache-2.0

package explain

import "github.com/l7mp/mc-wan/api/mcw/v1alpha1"

// Question is a request to an imported service.
type Question struct {
	// Service is NAME/NAMESPACE.
	Service string `json:"service"`
	// Port is the service's port; 0 stands for its first HTTP port.
	Port int32 `json:"port,omitempty"`
	// Method is GET if it is empty.
	Method string `json:"method,omitempty"`
	// Path is / if it is empty, and may have a query.
	Path    string            `json:"path,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// Verdict is what becomes of a request.
type Verdict string

// Verdicts.
const (
	// Forwarded requests go over the routes of the answer.
	Forwarded Verdict = "Forwarded"
	// Denied requests match no rule.
	Denied Verdict = "Denied"
	// Redirected requests are answered by a rule.
	Redirected Verdict = "Redirected"
	// Failed requests are answered with an error by the egress gateway: a rule cannot be carried out, its references name
	// nothing, or there is no way.
	Failed Verdict = "Failed"
)

// Answer is what becomes of a request.
type Answer struct {
	Question
	// Host is the name by which the service is called.
	Host string `json:"host"`
	// ReadAs is the path that the gateways make of the one that is asked for; empty where they leave it as it is.
	ReadAs string `json:"readAs,omitempty"`
	// TCP says that the port's connections are routed, not its requests.
	TCP     bool    `json:"tcp,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Status is what the egress gateway, or the exporters' ingress gateways, answer themselves; 0 where the service answers.
	Status int `json:"status,omitempty"`
	// Reason says why in words.
	Reason string `json:"reason"`
	// Rules are whose rules hold; empty for nobody's: the WAN policy of the export does.
	Rules string `json:"rules,omitempty"`
	// Rule is the match that decided, as rules[i].matches[j].
	Rule string `json:"rule,omitempty"`
	// Others are the other matches for the port, and why they are not it.
	Others []Other `json:"others,omitempty"`
	// Limits are the rule's timeouts and retries.
	Limits string `json:"limits,omitempty"`
	// Routes are where the request may go, by share.
	Routes []Route `json:"routes,omitempty"`
	// Changes are what filters do to the request and its answer, in words.
	Changes []string `json:"changes,omitempty"`
	// Copies are where copies of the request go, each with its percentage of all requests.
	Copies []Route `json:"copies,omitempty"`
	// Elsewhere are VirtualServices of others by which clients with a sidecar may go elsewhere first.
	Elsewhere []string `json:"elsewhere,omitempty"`
	// Objects are what carries it in this cluster.
	Objects []string `json:"objects,omitempty"`
}

// Other is a match that did not decide.
type Other struct {
	Rule string `json:"rule"`
	Why  string `json:"why"`
}

// Route is one way with its share of the requests.
type Route struct {
	// Percent is the share; all sum to 100.
	Percent float64 `json:"percent"`
	// Policy is empty for a share that is lost because a reference names nothing; Reason says which.
	Policy string `json:"policy,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Status is what a gateway answers on this way; 0 where the service answers.
	Status int `json:"status,omitempty"`
	// Cluster comes first; empty for a TCP port, whose connections all exporters share.
	Cluster string `json:"cluster,omitempty"`
	// Ingress is what the rules of the service's owner say at the cluster's ingress gateway; empty where there are none.
	Ingress string `json:"ingress,omitempty"`
	// Path is the Envoy cluster of the egress gateway: the host of its ServiceEntry.
	Path string `json:"path,omitempty"`
	Hops []Hop  `json:"hops,omitempty"`
}

// Hop is a gateway of a cluster on a WAN policy's port.
type Hop struct {
	// Rank is the place in the order, from 1; those of one rank share requests. 0 is not used.
	Rank    int               `json:"rank"`
	Policy  string            `json:"policy"`
	Tunnel  string            `json:"tunnel,omitempty"`
	Cluster string            `json:"cluster"`
	Address string            `json:"address"`
	Port    int32             `json:"port"`
	State   v1alpha1.HopState `json:"state"`
}
