// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/controller"
)

// cluster is one API server as a mesh cluster with our chart looks to a controller.
type cluster struct {
	client.Client
	number int
	id     string
	env    *envtest.Environment
	// asController is how the controller reaches the API server: with the rights that the chart gives it.
	asController *rest.Config
}

func newCluster(number int, crds []string) *cluster {
	return &cluster{number: number, id: fmt.Sprintf("cluster-%d", number), env: environment(number, crds)}
}

func (c *cluster) trustDomain() string { return fmt.Sprintf("td-%d", c.number) }

func (c *cluster) identity(serviceAccount string) string {
	return "spiffe://" + c.trustDomain() + "/ns/mc-wan/sa/" + serviceAccount
}

// gatewayAddress is where the ingress gateway would be.
func (c *cluster) gatewayAddress() string { return fmt.Sprintf("10.2%d.0.5", c.number) }

func (c *cluster) start(ctx context.Context) error {
	cfg, err := c.env.Start()
	if err != nil {
		return fmt.Errorf("starting the API server of %s (is bin/kube-apiserver built? make sandbox-build): %w", c.id, err)
	}
	scheme, err := controller.NewScheme()
	if err != nil {
		return err
	}
	cfg.QPS, cfg.Burst = 1000, 2000
	if c.Client, err = client.New(cfg, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	user, err := c.env.AddUser(envtest.User{Name: "system:serviceaccount:mc-wan:mcw-controller"}, cfg)
	if err != nil {
		return err
	}
	c.asController = user.Config()
	return c.install(ctx)
}

// install makes what Istio, the chart and the kubelet would: what a test never removes.
func (c *cluster) install(ctx context.Context) error {
	objs := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.Namespace}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "istio-system"}},
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istio"},
			Data:       map[string]string{"mesh": "trustDomain: " + c.trustDomain() + "\n"},
		},
		istiod(),
		gatewayService(),
		gatewaySlice(c.gatewayAddress()),
	}
	rules, err := chartRBAC()
	if err != nil {
		return err
	}
	for _, obj := range append(objs, rules...) {
		if err := c.Create(ctx, obj); err != nil {
			return fmt.Errorf("installing %T in %s: %w", obj, c.id, err)
		}
	}
	return nil
}

func istiod() *appsv1.Deployment {
	labels := map[string]string{"app": "istiod"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istiod", Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "discovery", Image: "docker.io/istio/pilot:1.31.1"}}},
			},
		},
	}
}

func gatewayService() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.Namespace, Name: v1alpha1.IngressName, Labels: map[string]string{"app.kubernetes.io/managed-by": "Helm"},
		},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{v1alpha1.LabelGateway: v1alpha1.GatewayIngress},
			Ports:    []corev1.ServicePort{{Name: "status-port", Port: 15021}},
		},
	}
}

func gatewaySlice(addresses ...string) *discoveryv1.EndpointSlice {
	return slice(v1alpha1.Namespace, v1alpha1.IngressName, 15021, addresses...)
}

// slice is an EndpointSlice as the endpoint controller writes it, all endpoints ready.
func slice(namespace, service string, port int32, addresses ...string) *discoveryv1.EndpointSlice {
	ready, name, protocol := true, "http", corev1.ProtocolTCP
	out := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: service + "-abcde",
			Labels: map[string]string{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Protocol: &protocol, Port: &port}},
	}
	for _, address := range addresses {
		out.Endpoints = append(out.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}})
	}
	return out
}

// chartRBAC is what the chart lets the controller do, as the chart's own tests have rendered it.
func chartRBAC() ([]client.Object, error) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "manifests", "charts", "testdata", "minimal", "golden.yaml"))
	if err != nil {
		return nil, err
	}
	kinds := map[string]func() client.Object{
		"ClusterRole":        func() client.Object { return &rbacv1.ClusterRole{} },
		"ClusterRoleBinding": func() client.Object { return &rbacv1.ClusterRoleBinding{} },
		"Role":               func() client.Object { return &rbacv1.Role{} },
		"RoleBinding":        func() client.Object { return &rbacv1.RoleBinding{} },
	}
	var out []client.Object
	for doc := range strings.SplitSeq(string(raw), "\n---\n") {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &kind); err != nil {
			return nil, fmt.Errorf("reading the chart: %w", err)
		}
		make, ok := kinds[kind.Kind]
		if !ok {
			continue
		}
		obj := make()
		if err := yaml.UnmarshalStrict([]byte(doc), obj); err != nil {
			return nil, fmt.Errorf("reading the chart's %s: %w", kind.Kind, err)
		}
		out = append(out, obj)
	}
	return out, nil
}

// wipe removes what tests and controllers made.
func (c *cluster) wipe(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	for _, obj := range []client.Object{
		&v1alpha1.Peer{}, &v1alpha1.WANPolicy{}, &v1alpha1.ServiceAdvertisement{}, &v1alpha1.ClusterAdvertisement{},
		&mcsv1beta1.ServiceExport{}, &mcsv1beta1.ServiceImport{}, &mcwanv1alpha1.ServiceImport{},
		&networkingv1.ServiceEntry{}, &networkingv1.VirtualService{}, &networkingv1.Gateway{}, &networkingv1.DestinationRule{},
		&networkingv1alpha3.EnvoyFilter{}, &securityv1.AuthorizationPolicy{}, &securityv1.PeerAuthentication{},
		&discoveryv1.EndpointSlice{}, &corev1.ConfigMap{}, &corev1.Service{},
	} {
		c.wipeKind(ctx, t, obj)
	}
	for _, obj := range []client.Object{gatewayService(), gatewaySlice(c.gatewayAddress())} {
		if err := c.Create(ctx, obj); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
}

// wipeKind removes all objects of a kind but those of the API server and of Istio.
func (c *cluster) wipeKind(ctx context.Context, t *testing.T, obj client.Object) {
	t.Helper()
	for _, found := range c.list(ctx, t, obj) {
		if ns := found.GetNamespace(); ns == "istio-system" || ns == "kube-system" || (ns == "default" && found.GetName() == "kubernetes") {
			continue
		}
		if err := c.Delete(ctx, found); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
}

// list returns all objects of a kind.
func (c *cluster) list(ctx context.Context, t *testing.T, obj client.Object) []client.Object {
	t.Helper()
	gvk, err := c.GroupVersionKindFor(obj)
	if err != nil {
		t.Fatal(err)
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(gvk)
	if err := c.List(ctx, list); err != nil {
		t.Fatal(err)
	}
	var out []client.Object
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(gvk)
		out = append(out, &list.Items[i])
	}
	return out
}
