// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"text/template"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	plainName = "plain-egress"
	plainHost = plainName + ".mc-wan.svc.cluster.local"
)

// plainObjects are what one would write by hand: both tunnels as endpoints with the first preferred, Istio's defaults for
// outlier detection (but that everything may be ejected: the default tenth of two endpoints is none) and for retries.
const plainObjects = `apiVersion: v1
kind: Service
metadata: {name: plain-egress, namespace: mc-wan}
spec:
  selector: {app: plain-egress}
  ports:
    - {name: http, port: 8080}
    - {name: grpc, port: 9090}
    - {name: tcp, port: 5432}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: plain-egress, namespace: mc-wan}
spec:
  selector: {app: plain-egress}
  servers:
    - {port: {number: 8080, name: http, protocol: HTTP}, hosts: ["mc-wan/*"]}
    - {port: {number: 9090, name: http-grpc, protocol: HTTP}, hosts: ["mc-wan/*"]}
    - {port: {number: 5432, name: tcp, protocol: TCP}, hosts: ["mc-wan/*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: plain-egress, namespace: mc-wan}
spec:
  hosts: ["*"]
  gateways: [mc-wan/plain-egress]
  exportTo: ["."]
  http:
    - match: [{port: 8080}]
      rewrite: {authority: p8080.target.failover.svc.clusterset.local}
      route: [{destination: {host: plain.failover.internal, port: {number: 443}}}]
    - match: [{port: 9090}]
      rewrite: {authority: p9090.target.failover.svc.clusterset.local}
      route: [{destination: {host: plain.failover.internal, port: {number: 443}}}]
  tcp:
    - match: [{port: 5432}]
      route: [{destination: {host: plain-tcp.failover.internal, port: {number: 444}}}]
{{- range $port := .Ports }}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: {{ $port.Name }}, namespace: mc-wan}
spec:
  hosts: [{{ $port.Name }}.failover.internal]
  exportTo: ["."]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{name: out, number: {{ $port.Number }}, protocol: {{ $port.Protocol }}}]
  endpoints:
{{- range $.Hops }}
    - {address: {{ .Address }}, ports: {out: {{ .Port }}}, labels: {tunnel: {{ .Policy }}}}
{{- end }}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: {{ $port.Name }}, namespace: mc-wan}
spec:
  host: {{ $port.Name }}.failover.internal
  exportTo: ["."]
  trafficPolicy:
    outlierDetection: {maxEjectionPercent: 100}
    loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {enabled: true, failoverPriority: ["tunnel=failover-first"]}}
    tls: {mode: ISTIO_MUTUAL, sni: {{ $port.SNI }}, subjectAltNames: [{{ range $i, $name := $.Identities }}{{ if $i }}, {{ end }}"{{ $name }}"{{ end }}]}
{{- end }}
`

type plainPort struct {
	Name, Protocol, SNI string
	Number              int
}

// Plain makes the plain way and returns the host by which it is called.
func (b *Bench) Plain(ctx context.Context) (string, error) {
	if err := b.plainGateway(ctx); err != nil {
		return "", err
	}
	if err := b.plainRoutes(ctx); err != nil {
		return "", err
	}
	if err := rolledOut(ctx, b.Consumer, "mc-wan", plainName); err != nil {
		return "", err
	}
	return plainHost, b.answers(ctx, clientName, plainHost)
}

// plainAnew has the plain way know the hops of now and nothing of earlier cases.
func (b *Bench) plainAnew(ctx context.Context) error {
	if err := b.plainRoutes(ctx); err != nil {
		return err
	}
	if err := restart(ctx, b.Consumer, plainName); err != nil {
		return err
	}
	return b.answers(ctx, clientName, plainHost)
}

// plainRoutes are the plain way's Istio objects.
func (b *Bench) plainRoutes(ctx context.Context) error {
	var in struct {
		Ports      []plainPort
		Hops       []mcw.HopStatus
		Identities []string
	}
	in.Ports = []plainPort{
		{Name: "plain", Number: 443, Protocol: "HTTP2", SNI: "wan.svc.clusterset.local"},
		{Name: "plain-tcp", Number: 444, Protocol: "TLS", SNI: "p5432." + serviceName + "." + Namespace + ".tcp.clusterset.local"},
	}
	for _, c := range b.Exporters {
		peer := &mcw.Peer{}
		if err := b.Consumer.Get(ctx, client.ObjectKey{Namespace: "mc-wan", Name: c.Name}, peer); err != nil {
			return err
		}
		in.Identities = append(in.Identities, peer.Spec.Identities.Ingress)
		in.Hops = append(in.Hops, slices.DeleteFunc(peer.Status.Hops, func(h mcw.HopStatus) bool {
			return h.Policy != policyFirst && h.Policy != policySecond
		})...)
	}
	t, err := template.New("plain").Parse(plainObjects)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, in); err != nil {
		return err
	}
	return apply(ctx, b.Consumer, text.String())
}

// plainGateway is the egress gateway again, under labels that nothing of mc-wan selects.
func (b *Bench) plainGateway(ctx context.Context) error {
	ours, err := deployment(ctx, b.Consumer, "mc-wan", "mcw-egress")
	if err != nil {
		return err
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "mc-wan", Name: plainName}, Spec: ours.Spec}
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": plainName}}
	d.Spec.Template.Labels["app"] = plainName
	delete(d.Spec.Template.Labels, mcw.LabelGateway)
	d.Spec.Template.Spec.Affinity = nil
	return client.IgnoreAlreadyExists(b.Consumer.Create(ctx, d))
}

// PlainDown removes the plain way.
func (b *Bench) PlainDown(ctx context.Context) error {
	errs := []error{
		gone(b.Consumer.Delete(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "mc-wan", Name: plainName}})),
		gone(b.Consumer.Delete(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "mc-wan", Name: plainName}})),
	}
	for _, o := range [][2]string{
		{"Gateway", plainName}, {"VirtualService", plainName},
		{"ServiceEntry", "plain"}, {"DestinationRule", "plain"}, {"ServiceEntry", "plain-tcp"}, {"DestinationRule", "plain-tcp"},
	} {
		u := &unstructured.Unstructured{}
		u.SetAPIVersion("networking.istio.io/v1")
		u.SetKind(o[0])
		u.SetNamespace("mc-wan")
		u.SetName(o[1])
		errs = append(errs, gone(b.Consumer.Delete(ctx, u)))
	}
	return errors.Join(errs...)
}
