// SPDX-License-Identifier: Apache-2.0

// Package mesh reads what mc-wan needs to know of the Istio it is added to: the trust domain, the version, and settings
// that fight it. Its functions are pure: they judge objects that the caller has read.
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
)

const (
	// RootConfigMap is where istiod writes the mesh's root certificate in every namespace.
	RootConfigMap = "istio-ca-root-cert"
	// RootKey is the key in RootConfigMap.
	RootKey = "root-cert.pem"
	// DefaultTrustDomain is that of a mesh whose configuration names none
	// (istio.io/istio/pkg/config/constants.DefaultClusterLocalDomain).
	DefaultTrustDomain = "cluster.local"
	// configKey is the key of the mesh configuration in its ConfigMap.
	configKey       = "mesh"
	defaultRevision = "default"

	labelVersion = "app.kubernetes.io/version"
	discovery    = "discovery"
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
		return DefaultTrustDomain, nil
	}
	return config.TrustDomain, nil
}

// PathNormalization reads pathNormalization out of the data of the mesh configuration's ConfigMap; empty where it says nothing.
func PathNormalization(data map[string]string) (string, error) {
	var config struct {
		PathNormalization struct {
			Normalization string `json:"normalization"`
		} `json:"pathNormalization"`
	}
	if err := yaml.Unmarshal([]byte(data[configKey]), &config); err != nil {
		return "", fmt.Errorf("reading pathNormalization of the mesh configuration: %w", err)
	}
	return config.PathNormalization.Normalization, nil
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

// DeploymentName is the name of istiod's Deployment of an Istio revision; empty is the default one. Istio's charts name it
// so (istio-control/istio-discovery, templates/deployment.yaml).
func DeploymentName(revision string) string {
	if revision == "" || revision == defaultRevision {
		return "istiod"
	}
	return "istiod-" + revision
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
	ReasonShadowHost  = "IstioShadowHost"
	// ReasonSingleStack is told where Services have two address families.
	ReasonSingleStack = "IstioSingleStack"
)

// Problems are what is wrong with an istiod for mc-wan, in a cluster whose Services have both address families or one. An
// unknown version is not held against it.
func Problems(d appsv1.Deployment, bothFamilies bool) []Problem {
	var out []Problem
	if v := Version(d); tooOld(v) {
		out = append(out, Problem{ReasonIstioTooOld, fmt.Sprintf(
			"istiod is %s: fields that mc-wan relies on are dropped before %d.%d; upgrade Istio", v, FloorMajor, FloorMinor)})
	}
	for _, setting := range []struct {
		name         string
		harmful      bool
		reason, harm string
	}{
		{"ENABLE_MCS_HOST", true, ReasonMCSHost, "istiod makes its own services of clusterset.local names"},
		{"ENABLE_MCS_AUTO_EXPORT", true, ReasonAutoExport, "istiod exports every service"},
		{"DISABLE_SHADOW_HOST_SUFFIX", false, ReasonShadowHost, "copies of mirrored requests get another host, which no ingress gateway knows"},
	} {
		if value, set := flagOf(d, setting.name); set && value == setting.harmful {
			out = append(out, Problem{setting.reason, fmt.Sprintf(
				"istiod runs with %s=%t: %s, which fights mc-wan; unset it", setting.name, value, setting.harm)})
		}
	}
	if dual, _ := flagOf(d, "ISTIO_DUAL_STACK"); bothFamilies && !dual {
		out = append(out, Problem{ReasonSingleStack, "the cluster's Services have both address families and istiod runs without " +
			"ISTIO_DUAL_STACK=true: gateways listen on the first family only, so requests to the other addresses of imported services " +
			"fail; set it for istiod and in the mesh's defaultConfig.proxyMetadata"})
	}
	return out
}

// flagOf is a boolean among the environment variables of an istiod; false for set where there is none.
func flagOf(d appsv1.Deployment, name string) (value, set bool) {
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, env := range c.Env {
			if env.Name == name {
				on, err := strconv.ParseBool(env.Value)
				return on, err == nil
			}
		}
	}
	return false, false
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
