// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
)

// generator makes rules and requests of few words, so that matches overlap and requests hit them.
type generator struct{ *rand.Rand }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) sometimes(percent int) bool { return g.IntN(100) < percent }

type fields = map[string]any

// serviceName is NAME of the i-th service; every second is the own cluster's, so that its ingress side is rendered too.
func serviceName(i int) string { return fmt.Sprintf("svc-%d", i) }

// normalization is how the mesh has paths read, Istio's default most of the time.
func (g generator) normalization() string {
	return pick(g, "DEFAULT", "DEFAULT", "BASE", "NONE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")
}

func (g generator) questions() []asked {
	var out []asked
	for i := range agreeServices {
		for range agreeRequests {
			q := asked{
				Service: serviceName(i) + "/agree", Method: pick(g, "GET", "GET", "POST", "HEAD", "DELETE"),
				Path: pick(g, "/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/b/a", "/A", "/c",
					"/x/../a", "/a/./b", "/a/%2e%2E/b", "/../a", "/a/..", "/a/b/.", `/a\b`, "//a", "/a//b", "/a%2Fb", "/a%2f..%2Fb", "/a%5cb", "/%61", "/x//../b"),
				Headers: map[string]string{},
			}
			if g.sometimes(40) {
				q.Path += pick(g, "?q=1", "?q=2", "?q=12&r=x", "?r=x", "?q")
			}
			if g.sometimes(50) {
				q.Headers["x-tier"] = pick(g, "gold", "silver", "golden")
			}
			if g.sometimes(30) {
				q.Headers["x-user"] = pick(g, "ann", "bob")
			}
			out = append(out, q)
		}
	}
	return out
}

// fleet is cluster-1 with two policies, the peers cluster-2 and cluster-3, and services with rules of consumers, of owners,
// or of both.
func (g generator) fleet() string {
	base, err := os.ReadFile(goldens + "/l7-rules/in.yaml")
	if err != nil {
		panic(err)
	}
	// Policies, cards and the peer stand before the first advertisement.
	docs := strings.Split(string(base), "\n---\n")[:4]
	docs = append(docs, strings.NewReplacer("cluster-2", "cluster-3", "td-2", "td-3", "10.12.", "10.13.").Replace(docs[3]))
	for i := range agreeServices {
		name := serviceName(i)
		kind := g.IntN(4)
		var owner fields
		if kind != 0 {
			owner = fields{"consumerRules": pick(g, "Allowed", "Allowed", "Allowed", "Refused"), "http": fields{"rules": g.rules(name)}}
		}
		if i%2 == 0 {
			docs = append(docs, g.own(name, i, owner)...)
			if g.sometimes(40) {
				docs = append(docs, advertised(name, "cluster-2", 1+g.IntN(5), nil))
			}
		} else {
			docs = append(docs, advertised(name, "cluster-2", 1, owner))
			if g.sometimes(30) {
				docs = append(docs, advertised(name, "cluster-3", 1+g.IntN(5), nil))
			}
		}
		if kind != 1 {
			docs = append(docs, object("mc-wan.l7mp.io/v1alpha1", "ServiceImport", "agree", name, nil, fields{"http": fields{"rules": g.rules(name)}}))
		}
	}
	return strings.Join(docs, "\n---\n")
}

// own are a Service of cluster-1, some to be kept close, with a backend, and its export.
func (g generator) own(name string, i int, owner fields) []string {
	service := fields{
		"clusterIP": fmt.Sprintf("10.96.9.%d", 1+i), "selector": fields{"app": name}, "ports": []fields{{"name": "http", "port": 8080}},
	}
	if g.sometimes(50) {
		service["trafficDistribution"] = "PreferClose"
	}
	out := []string{
		object("v1", "Service", "agree", name, nil, service),
		slice(name, fmt.Sprintf("10.11.9.%d", 1+i)),
		object("multicluster.x-k8s.io/v1beta1", "ServiceExport", "agree", name, nil, nil),
	}
	if owner != nil {
		out = append(out, object("mc-wan.l7mp.io/v1alpha1", "ServiceExport", "agree", name, nil, owner))
	}
	return out
}

func slice(name, address string) string {
	out, err := json.Marshal(fields{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
		"metadata":  fields{"namespace": "agree", "name": name, "labels": fields{"kubernetes.io/service-name": name}},
		"ports":     []fields{{"name": "http", "port": 8080, "protocol": "TCP"}},
		"endpoints": []fields{{"addresses": []string{address}, "conditions": fields{"ready": true}}},
	})
	if err != nil {
		panic(err)
	}
	return string(out)
}

func advertised(name, cluster string, ready int, owner fields) string {
	spec := fields{
		"clusterID": cluster, "namespace": "agree", "name": name, "exportedAt": "2026-01-02T00:00:00Z", "type": "ClusterSetIP",
		"ports": []fields{{"name": "http", "protocol": "TCP", "port": 8080, "readyBackends": ready}},
	}
	if owner != nil {
		spec["rules"] = owner
	}
	return object("mcw.l7mp.io/v1alpha1", "ServiceAdvertisement", "mc-wan", name+"-"+cluster, fields{"mcw.l7mp.io/source-cluster": cluster}, spec)
}

// object is a document. JSON is YAML.
func object(apiVersion, kind, namespace, name string, labels, spec fields) string {
	o := fields{"apiVersion": apiVersion, "kind": kind, "metadata": fields{"namespace": namespace, "name": name, "labels": labels}}
	if spec != nil {
		o["spec"] = spec
	}
	out, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func (g generator) rules(service string) []fields {
	var out []fields
	for range 1 + g.IntN(5) {
		r := fields{}
		if g.sometimes(90) {
			var matches []fields
			for range 1 + g.IntN(3) {
				matches = append(matches, g.match())
			}
			r["matches"] = matches
		}
		if g.sometimes(10) {
			r["ports"] = []int{8080}
		}
		if g.sometimes(8) {
			r["filters"] = []fields{{"type": "RequestRedirect", "requestRedirect": pick(g, fields{"hostname": "example.org"}, fields{"scheme": "https"}, fields{"path": fields{"type": "ReplaceFullPath", "replaceFullPath": "/x\ny"}})}}
		} else {
			r["backendRefs"] = g.backends(service)
		}
		if r["filters"] == nil && g.sometimes(10) {
			g.spoil(r)
		}
		out = append(out, r)
	}
	return out
}

// spoil makes of a rule one that may not be possible to carry out.
func (g generator) spoil(r fields) {
	filter := func(kind, field string, value fields) { r["filters"] = []fields{{"type": kind, field: value}} }
	switch g.IntN(8) {
	case 0:
		filter("CORS", "cors", fields{})
	case 1:
		filter("RequestHeaderModifier", "requestHeaderModifier", fields{"set": []fields{{"name": pick(g, "x-a", "Host", "X-Envoy-a"), "value": pick(g, "b", "b\nc")}}})
	case 2:
		filter("URLRewrite", "urlRewrite", fields{"hostname": "example.org"})
	case 3:
		filter("URLRewrite", "urlRewrite", fields{"path": fields{"type": "ReplacePrefixMatch", "replacePrefixMatch": pick(g, "/", "/new")}})
		r["matches"] = []fields{{"path": fields{"type": "PathPrefix", "value": pick(g, "/a", "/"+strings.Repeat("a", 1014+g.IntN(4)))}}, {}}
	case 4:
		r["timeouts"] = fields{"request": pick(g, "1s", "25h"), "backendRequest": pick(g, "1s", "2s")}
	case 5:
		r["retry"] = fields{"attempts": pick(g, 2, 11), "codes": []int{pick(g, 503, 200)}}
	case 6:
		r["retry"] = fields{"backoff": "1s"}
	case 7:
		r["matches"] = []fields{{"headers": []fields{{"name": pick(g, "Host", "x-mcw-peer", "x-tier"), "value": "gold"}}}}
	}
}

func (g generator) backends(service string) []fields {
	ref := func(policy string) fields {
		return fields{"name": fmt.Sprintf("%s-agree-%s", service, policy), "namespace": "mc-wan", "weight": 1 + g.IntN(4)}
	}
	if g.sometimes(5) {
		return []fields{ref("no-such-policy")}
	}
	if g.sometimes(5) {
		return []fields{{"name": ref("sd-wan-priority-high")["name"], "weight": 0}, ref(pick(g, "sd-wan-priority-low", "no-such-policy"))}
	}
	out := []fields{ref(pick(g, "sd-wan-priority-high", "sd-wan-priority-low"))}
	if g.sometimes(20) {
		out = append(out, ref(pick(g, "sd-wan-priority-high", "sd-wan-priority-low", "no-such-policy")))
	}
	return out
}

func (g generator) match() fields {
	m := fields{}
	switch n := g.IntN(100); {
	case n < 15:
	case n < 35:
		m["path"] = fields{"type": "Exact", "value": pick(g, "/", "/a", "/a/", "/a/b", "/b")}
	case n < 75:
		m["path"] = fields{"type": "PathPrefix", "value": pick(g, "/", "/a", "/a/", "/a/b", "/ab", "/b")}
	case n < 97:
		m["path"] = fields{"type": "RegularExpression", "value": pick(g, "/a.*", "/[ab]", "/a/.+", ".*", "/a|/b", "/a(/b)?", "//a", "/x.*")}
	default:
		m["path"] = fields{"type": "RegularExpression", "value": pick(g, "/(unclosed", `/\p{Letter}`)}
	}
	if g.sometimes(40) {
		m["method"] = pick(g, "GET", "POST", "HEAD")
	}
	var headers []fields
	if g.sometimes(30) {
		headers = append(headers, fields{"name": pick(g, "X-Tier", "x-tier"), "value": pick(g, "gold", "silver")})
	} else if g.sometimes(20) {
		headers = append(headers, fields{"name": "x-tier", "type": "RegularExpression", "value": pick(g, "go.*", "gold|silver", "ol")})
	}
	if g.sometimes(15) {
		headers = append(headers, fields{"name": "x-user", "value": "ann"})
	}
	if len(headers) > 0 {
		m["headers"] = headers
	}
	if g.sometimes(25) {
		query := []fields{{"name": "q", "value": pick(g, "1", "2")}}
		if g.sometimes(30) {
			query = []fields{{"name": "q", "type": "RegularExpression", "value": pick(g, "1.*", "[0-9]+")}, {"name": "r", "value": "x"}}
		}
		m["queryParams"] = query
	}
	return m
}
