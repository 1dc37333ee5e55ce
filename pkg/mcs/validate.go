// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// maxAffinitySeconds bounds sessionAffinityConfig.clientIP.timeoutSeconds as the API server does for Services.
const maxAffinitySeconds = 86400

// Bounds on the labels, and on the annotations, that one export may put into ServiceImports.
const (
	MaxExportedKeys  = 64
	MaxExportedBytes = 8 << 10
)

// Validate says whether an export can be merged; an error names the field. What it refuses is treated as absent. It is
// what the schema of ServiceAdvertisement says and what a Service guarantees, so that values which came another way than
// through an API server cannot make an impossible ServiceImport.
func Validate(e v1alpha1.ServiceAdvertisementSpec) error {
	return errors.Join(
		validateIdentity(e),
		validateType(e),
		validatePorts(e.Ports),
		validateEndpoints(e),
		validateAffinity(e),
		validateFamilies(e.IPFamilies),
		validateInternal(e.InternalTrafficPolicy),
		CheckIdempotent(e.IdempotentMethods),
		validateExported("exportedLabels", e.ExportedLabels),
		validateExported("exportedAnnotations", e.ExportedAnnotations),
	)
}

func validateIdentity(e export) error {
	switch {
	case e.MinReader > v1alpha1.ReaderVersion:
		return fmt.Errorf("minReader: %d is newer than %d, which this version understands; upgrade this cluster", e.MinReader, v1alpha1.ReaderVersion)
	case len(utilvalidation.IsDNS1123Label(e.ClusterID)) > 0:
		return fmt.Errorf("clusterID: %q is not an RFC 1123 label", e.ClusterID)
	case e.ExportedAt.IsZero():
		return errors.New("exportedAt: must be the creation time of the ServiceExport; a missing one would win every conflict")
	}
	return nil
}

func validateType(e export) error {
	switch mcsv1beta1.ServiceImportType(e.Type) {
	case mcsv1beta1.ClusterSetIP, mcsv1beta1.Headless:
		return nil
	}
	return fmt.Errorf("type: %q is neither ClusterSetIP nor Headless", e.Type)
}

func validatePorts(ports []v1alpha1.AdvertisedPort) error {
	names, numbers := map[string]bool{}, map[portNumber]bool{}
	for i, p := range ports {
		switch protocolOf(p.Protocol) {
		case corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
		default:
			return fmt.Errorf("ports[%d].protocol: %q is not TCP, UDP or SCTP", i, p.Protocol)
		}
		if len(utilvalidation.IsValidPortNum(int(p.Port))) > 0 {
			return fmt.Errorf("ports[%d].port: %d is not in 1 to 65535", i, p.Port)
		}
		if p.Name != "" && len(utilvalidation.IsDNS1123Label(p.Name)) > 0 {
			return fmt.Errorf("ports[%d].name: %q is not an RFC 1123 label", i, p.Name)
		}
		if names[p.Name] {
			return fmt.Errorf("ports[%d].name: %q is there twice", i, p.Name)
		}
		if numbers[numberOf(p)] {
			return fmt.Errorf("ports[%d].port: %s is there twice", i, numberOf(p))
		}
		names[p.Name], numbers[numberOf(p)] = true, true
	}
	return nil
}

// validateEndpoints: each name becomes a label of a DNS name, and costs this cluster addresses.
func validateEndpoints(e export) error {
	if n := len(e.Endpoints); n > v1alpha1.MaxEndpoints {
		return fmt.Errorf("endpoints: %d of them, at most %d can be imported", n, v1alpha1.MaxEndpoints)
	}
	seen := map[string]bool{}
	for i, n := range e.Endpoints {
		switch {
		case len(utilvalidation.IsDNS1123Label(n.Hostname)) > 0:
			return fmt.Errorf("endpoints[%d].hostname: %q is not an RFC 1123 label", i, n.Hostname)
		case seen[n.Hostname]:
			return fmt.Errorf("endpoints[%d].hostname: %q is there twice", i, n.Hostname)
		case !EndpointNameFits(n.Hostname, e.ClusterID, e.Name, e.Namespace):
			return fmt.Errorf("endpoints[%d].hostname: %q makes a name longer than DNS can hold", i, n.Hostname)
		}
		seen[n.Hostname] = true
	}
	return nil
}

func validateAffinity(e export) error {
	switch e.SessionAffinity {
	case "", corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP:
	default:
		return fmt.Errorf("sessionAffinity: %q is neither None nor ClientIP", e.SessionAffinity)
	}
	if s := affinitySeconds(e.SessionAffinityConfig); s < 1 || s > maxAffinitySeconds {
		return fmt.Errorf("sessionAffinityConfig.clientIP.timeoutSeconds: %d is not in 1 to %d", s, maxAffinitySeconds)
	}
	return nil
}

func validateFamilies(families []corev1.IPFamily) error {
	for i, f := range families {
		if f != corev1.IPv4Protocol && f != corev1.IPv6Protocol {
			return fmt.Errorf("ipFamilies[%d]: %q is neither IPv4 nor IPv6", i, f)
		}
		if slices.Contains(families[:i], f) {
			return fmt.Errorf("ipFamilies[%d]: %s is there twice", i, f)
		}
	}
	return nil
}

func validateInternal(p *corev1.ServiceInternalTrafficPolicy) error {
	if p == nil || *p == corev1.ServiceInternalTrafficPolicyCluster || *p == corev1.ServiceInternalTrafficPolicyLocal {
		return nil
	}
	return fmt.Errorf("internalTrafficPolicy: %q is neither Cluster nor Local", *p)
}

// validateExported bounds what one export puts into the metadata of imports in every cluster.
func validateExported(field string, in map[string]string) error {
	if len(in) > MaxExportedKeys {
		return fmt.Errorf("%s: %d keys, at most %d can be exported", field, len(in), MaxExportedKeys)
	}
	size := 0
	for key, value := range in {
		size += len(key) + len(value)
	}
	if size > MaxExportedBytes {
		return fmt.Errorf("%s: %d bytes, at most %d can be exported", field, size, MaxExportedBytes)
	}
	return nil
}

// ProtectedNamespace says of a namespace that it runs the cluster, the mesh or mc-wan itself: nothing is exported from it
// or imported into it (KEP-1645 L505-512 asks for care with such namespaces).
func ProtectedNamespace(namespace string) bool {
	return strings.HasPrefix(namespace, "kube-") || namespace == "istio-system" || namespace == v1alpha1.Namespace
}

// ExportableLabels are those of the exported labels that can stand in the metadata of a ServiceImport, and the keys of the
// others, sorted: an invalid one would make the API server refuse the whole import, and the add-on's own ones say what
// belongs to it.
func ExportableLabels(labels map[string]string) (kept map[string]string, refused []string) {
	return exportable(labels, func(key, value string) bool {
		return len(utilvalidation.IsQualifiedName(key)) == 0 && len(utilvalidation.IsValidLabelValue(value)) == 0
	})
}

// ExportableAnnotations is ExportableLabels for annotations. Their values may be anything, and the API server looks at
// their keys in lower case.
func ExportableAnnotations(annotations map[string]string) (kept map[string]string, refused []string) {
	return exportable(annotations, func(key, _ string) bool {
		return len(utilvalidation.IsQualifiedName(strings.ToLower(key))) == 0
	})
}

func exportable(in map[string]string, valid func(key, value string) bool) (kept map[string]string, refused []string) {
	for _, key := range slices.Sorted(maps.Keys(in)) {
		if ReservedKey(key) || !valid(key, in[key]) {
			refused = append(refused, key)
			continue
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[key] = in[key]
	}
	return kept, refused
}

// ReservedKey says whether a key of labels or annotations is one by which the add-on knows its own objects: who manages
// them, and what is of l7mp.io or of a domain below it. An exporter leaves such keys out, and an importer refuses an
// advertisement that has one, so both have to mean the same keys.
func ReservedKey(key string) bool {
	key = strings.ToLower(key)
	domain, _, has := strings.Cut(key, "/")
	return key == v1alpha1.LabelManagedBy || (has && (domain == "l7mp.io" || strings.HasSuffix(domain, ".l7mp.io")))
}
