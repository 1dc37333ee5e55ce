// SPDX-License-Identifier: Apache-2.0

// Package mesh reads what mc-wan needs to know of the Istio it is added to: the trust domain, the version, and settings
// that fight it. It is a package of pure functions on objects that the controller has read.
package mesh

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	// RootConfigMap is where istiod writes the mesh's root certificate in every namespace.
	RootConfigMap = "istio-ca-root-cert"
	// RootKey is the key in RootConfigMap.
	RootKey = "root-cert.pem"
	// configKey is the key of the mesh configuration in its ConfigMap.
	configKey = "mesh"
	// defaultTrustDomain is Istio's (pkg/config/constants.DefaultClusterLocalDomain).
	defaultTrustDomain = "cluster.local"
	defaultRevision    = "default"

	labelApp      = "app"
	labelVersion  = "app.kubernetes.io/version"
	labelRevision = "istio.io/rev"
	istiod        = "istiod"
	discovery     = "discovery"
)

// Floor is the oldest Istio whose fields we rely on (connectionPool.http.http2KeepAlive).
const (
	FloorMajor = 1
	FloorMinor = 31
)

// ConfigMapName is the name of the ConfigMap with the mesh configuration of an Istio revision; empty is the default one.
func ConfigMapName(revision string) string {
	if revision == "" || revision == defaultRevision {
		return "istio"
	}
	return "istio-" + revision
}

// TrustDomain reads the trust domain out of the data of the mesh configuration's ConfigMap.
func TrustDomain(data map[string]string) (string, error) {
	raw, ok := data[configKey]
	if !ok {
		return "", fmt.Errorf("the mesh configuration has no key %q; set --trust-domain", configKey)
	}
	var config struct {
		TrustDomain string `json:"trustDomain"`
	}
	if err := yaml.Unmarshal([]byte(raw), &config); err != nil {
		return "", fmt.Errorf("reading trustDomain of the mesh configuration: %w; set --trust-domain", err)
	}
	if config.TrustDomain == "" {
		return defaultTrustDomain, nil
	}
	return config.TrustDomain, nil
}

// Identity is the SPIFFE id of a service account in mc-wan.
func Identity(trustDomain, serviceAccount string) string {
	return "spiffe://" + trustDomain + "/ns/" + v1alpha1.Namespace + "/sa/" + serviceAccount
}

// RootFingerprint is the SHA-256 of the first certificate of a PEM bundle, in hexadecimal.
func RootFingerprint(bundle string) (string, error) {
	block, _ := pem.Decode([]byte(bundle))
	if block == nil || block.Type != "CERTIFICATE" {
		return "", errors.New("no PEM certificate in the mesh's root bundle")
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:]), nil
}

// Istiods are the istiod Deployments of a revision; empty is the default one.
func Istiods(deployments []appsv1.Deployment, revision string) []appsv1.Deployment {
	if revision == "" {
		revision = defaultRevision
	}
	var out []appsv1.Deployment
	for _, d := range deployments {
		rev := d.Labels[labelRevision]
		if d.Labels[labelApp] == istiod && (rev == revision || (rev == "" && revision == defaultRevision)) {
			out = append(out, d)
		}
	}
	return out
}

// Version is the version of an istiod: its label, else the tag of its image; empty when neither says.
func Version(d appsv1.Deployment) string {
	if v := d.Labels[labelVersion]; v != "" && v != "1.0.0" {
		return v
	}
	for _, c := range d.Spec.Template.Spec.Containers {
		if c.Name != discovery {
			continue
		}
		image, _, _ := strings.Cut(c.Image, "@")
		if at := strings.LastIndex(image, ":"); at > strings.LastIndex(image, "/") {
			return image[at+1:]
		}
	}
	return ""
}

// Problem is something about the mesh that fights mc-wan.
type Problem struct {
	// Reason is a stable CamelCase word.
	Reason string
	// Message says what is wrong and what to do.
	Message string
}

// The reasons.
const (
	ReasonIstioTooOld = "IstioTooOld"
	ReasonMCSHost     = "IstioMCSHost"
	ReasonAutoExport  = "IstioMCSAutoExport"
)

// Problems are what is wrong with an istiod for mc-wan. An unknown version is not held against it.
func Problems(d appsv1.Deployment) []Problem {
	var out []Problem
	if v := Version(d); tooOld(v) {
		out = append(out, Problem{ReasonIstioTooOld, fmt.Sprintf(
			"istiod is %s: fields that mc-wan relies on are dropped before %d.%d; upgrade Istio", v, FloorMajor, FloorMinor)})
	}
	for _, setting := range []struct{ name, reason, harm string }{
		{"ENABLE_MCS_HOST", ReasonMCSHost, "istiod makes its own services of clusterset.local names"},
		{"ENABLE_MCS_AUTO_EXPORT", ReasonAutoExport, "istiod exports every service"},
	} {
		if enabled(d, setting.name) {
			out = append(out, Problem{setting.reason, fmt.Sprintf(
				"istiod runs with %s=true: %s, which fights mc-wan; unset it", setting.name, setting.harm)})
		}
	}
	return out
}

func enabled(d appsv1.Deployment, name string) bool {
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, env := range c.Env {
			if env.Name == name {
				on, err := strconv.ParseBool(env.Value)
				return err == nil && on
			}
		}
	}
	return false
}

// tooOld compares major and minor with the floor; what is not a version is not too old.
func tooOld(version string) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(leadingDigits(parts[1]))
	if err1 != nil || err2 != nil {
		return false
	}
	return major < FloorMajor || (major == FloorMajor && minor < FloorMinor)
}

func leadingDigits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

// GatewayAddresses are the addresses by which other clusters reach the ready ingress gateways: those of its load
// balancer where the Service has one, else the pods', which the SD-WAN routes.
func GatewayAddresses(service *corev1.Service, ready []string) []string {
	if service != nil && service.Spec.Type == corev1.ServiceTypeLoadBalancer {
		var out []string
		for _, ingress := range service.Status.LoadBalancer.Ingress {
			if ingress.IP != "" && len(ready) > 0 {
				out = append(out, ingress.IP)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return ready
}
