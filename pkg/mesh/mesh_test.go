// SPDX-License-Identifier: Apache-2.0

package mesh_test

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/pkg/mesh"
)

func TestTrustDomain(t *testing.T) {
	for name, c := range map[string]struct {
		data map[string]string
		want string
		err  string
	}{
		"set":     {map[string]string{"mesh": "accessLogFile: x\ntrustDomain: td-1\n"}, "td-1", ""},
		"default": {map[string]string{"mesh": "accessLogFile: x\n"}, "cluster.local", ""},
		"missing": {map[string]string{}, "", "--trust-domain"},
		"garbled": {map[string]string{"mesh": "a: b: c"}, "", "--trust-domain"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := mesh.TrustDomain(c.data)
			if got != c.want || (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestPathNormalization(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "",
		"trustDomain: td-1\n": "",
		"pathNormalization:\n  normalization: MERGE_SLASHES\n": "MERGE_SLASHES",
	} {
		if got, err := mesh.PathNormalization(map[string]string{"mesh": text}); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := mesh.PathNormalization(map[string]string{"mesh": "a: b: c"}); err == nil {
		t.Error("what is no YAML is read")
	}
}

func deployment(labels map[string]string, image string, env ...string) appsv1.Deployment {
	container := corev1.Container{Name: "discovery", Image: image}
	for i := 0; i < len(env); i += 2 {
		container.Env = append(container.Env, corev1.EnvVar{Name: env[i], Value: env[i+1]})
	}
	d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "istiod", Labels: labels}}
	d.Spec.Template.Spec.Containers = []corev1.Container{container}
	return d
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		istiod appsv1.Deployment
		both   bool
		want   []string
	}{
		"good":                 {deployment(nil, "docker.io/istio/pilot:1.31.0"), false, nil},
		"newer":                {deployment(nil, "docker.io/istio/pilot:1.40-alpha.x@sha256:00"), false, nil},
		"label wins":           {deployment(map[string]string{"app.kubernetes.io/version": "1.31.2"}, "pilot:1.20.0"), false, nil},
		"old":                  {deployment(nil, "registry:5000/istio/pilot:1.30.9"), false, []string{mesh.ReasonIstioTooOld}},
		"unknown version":      {deployment(nil, "registry:5000/istio/pilot"), false, nil},
		"hosts":                {deployment(nil, "pilot:1.31.0", "ENABLE_MCS_HOST", "true"), false, []string{mesh.ReasonMCSHost}},
		"off":                  {deployment(nil, "pilot:1.31.0", "ENABLE_MCS_HOST", "false"), false, nil},
		"all at once":          {deployment(nil, "pilot:1.9.0", "ENABLE_MCS_AUTO_EXPORT", "1", "ENABLE_MCS_HOST", "True"), false, []string{mesh.ReasonIstioTooOld, mesh.ReasonMCSHost, mesh.ReasonAutoExport}},
		"shadow hosts":         {deployment(nil, "pilot:1.31.0", "DISABLE_SHADOW_HOST_SUFFIX", "false"), false, []string{mesh.ReasonShadowHost}},
		"no shadow hosts":      {deployment(nil, "pilot:1.31.0", "DISABLE_SHADOW_HOST_SUFFIX", "true"), false, nil},
		"not our settings":     {deployment(nil, "pilot:1.31.0", "OTHER", "true"), false, nil},
		"one of both families": {deployment(nil, "pilot:1.31.0", "ISTIO_DUAL_STACK", "false"), true, []string{mesh.ReasonSingleStack}},
		"both families":        {deployment(nil, "pilot:1.31.0", "ISTIO_DUAL_STACK", "true"), true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range mesh.Problems(c.istiod, c.both) {
				got = append(got, p.Reason)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestNamesOfARevision(t *testing.T) {
	for revision, want := range map[string][2]string{
		"": {"istio", "istiod"}, "default": {"istio", "istiod"}, "canary": {"istio-canary", "istiod-canary"},
	} {
		if got := [2]string{mesh.ConfigMapName(revision), mesh.DeploymentName(revision)}; got != want {
			t.Errorf("revision %q: %v, want %v", revision, got, want)
		}
	}
}

func TestGatewayAddresses(t *testing.T) {
	pods := []string{"10.1.0.4"}
	balanced := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	if got := mesh.GatewayAddresses(balanced, pods); !slices.Equal(got, pods) {
		t.Errorf("load balancer without an address: %v", got)
	}
	balanced.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {Hostname: "x"}}
	if got := mesh.GatewayAddresses(balanced, pods); !slices.Equal(got, []string{"192.0.2.1"}) {
		t.Errorf("load balancer: %v", got)
	}
	if got := mesh.GatewayAddresses(balanced, nil); len(got) != 0 {
		t.Errorf("no ready pod: %v", got)
	}
}
