// SPDX-License-Identifier: Apache-2.0

package xds

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/l7mp/mc-wan/tests/agreement"
)

// generator adds to rules and requests what stands around them in files.
type generator struct{ agreement.Generator }

type fields = agreement.Fields

// serviceName is NAME of the i-th service; every second is the own cluster's, so that its ingress side is rendered too.
func serviceName(i int) string { return fmt.Sprintf("svc-%d", i) }

func service(i int) agreement.Service {
	return agreement.Service{Name: serviceName(i), Namespace: "agree", Ports: []int{8080}}
}

// normalization is how the mesh has paths read, Istio's default most of the time.
func (g generator) normalization() string {
	return agreement.Pick(g.Generator, "DEFAULT", "DEFAULT", "BASE", "NONE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")
}

func (g generator) questions() []agreement.Request {
	var out []agreement.Request
	for i := range agreeServices {
		for range agreeRequests {
			out = append(out, g.Request(service(i)))
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
			owner = fields{"consumerRules": agreement.Pick(g.Generator, "Allowed", "Allowed", "Allowed", "Refused"), "http": fields{"rules": g.Rules(service(i))}}
		}
		if i%2 == 0 {
			docs = append(docs, g.own(name, i, owner)...)
			if g.Sometimes(40) {
				docs = append(docs, advertised(name, "cluster-2", 1+g.IntN(5), nil))
			}
		} else {
			docs = append(docs, advertised(name, "cluster-2", 1, owner))
			if g.Sometimes(30) {
				docs = append(docs, advertised(name, "cluster-3", 1+g.IntN(5), nil))
			}
		}
		if kind != 1 {
			docs = append(docs, object("mc-wan.l7mp.io/v1alpha1", "ServiceImport", "agree", name, nil, fields{"http": fields{"rules": g.Rules(service(i))}}))
		}
	}
	return strings.Join(docs, "\n---\n")
}

// own are a Service of cluster-1, some to be kept close, with a backend, and its export.
func (g generator) own(name string, i int, owner fields) []string {
	service := fields{
		"clusterIP": fmt.Sprintf("10.96.9.%d", 1+i), "selector": fields{"app": name}, "ports": []fields{{"name": "http", "port": 8080}},
	}
	if g.Sometimes(50) {
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
