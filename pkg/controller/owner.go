// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/apply"
)

// fleetKey is the one key of the fleet.
const fleetKey = "fleet"

// ownerOf says for which key an object was written, by its labels: "import/namespace/name", "export/namespace/name",
// "path/name", "fleet"; empty for what is not ours.
func ownerOf(o client.Object) string {
	if !isOurs(o) {
		return ""
	}
	labels := o.GetLabels()
	service := types.NamespacedName{Namespace: labels[v1alpha1.LabelServiceNamespace], Name: labels[v1alpha1.LabelServiceName]}
	switch labels[v1alpha1.LabelPart] {
	case v1alpha1.PartLeg, v1alpha1.PartImport:
		return importOwner(service)
	case v1alpha1.PartExport:
		return exportOwner(service)
	case v1alpha1.PartPath:
		return pathOwner(labels[v1alpha1.LabelPath])
	case v1alpha1.PartFleet:
		return fleetKey
	}
	return ""
}

// isOurs tells whether this controller has written an object.
func isOurs(o metav1.Object) bool {
	return apply.Ours(o, v1alpha1.LabelManagedBy, v1alpha1.ValueManagedBy)
}

func importOwner(service types.NamespacedName) string { return "import/" + service.String() }
func exportOwner(service types.NamespacedName) string { return "export/" + service.String() }
func pathOwner(path string) string                    { return "path/" + path }

// ownedBy selects what was written for one key.
func ownedBy(owner string) client.ListOption { return client.MatchingFields{indexOwner: owner} }

// keyOf is the key behind an owner of one of the kinds of keys, such as "import"; false for other owners.
func keyOf(owner, kind string) (types.NamespacedName, bool) {
	rest, ok := strings.CutPrefix(owner, kind+"/")
	if !ok {
		return types.NamespacedName{}, false
	}
	namespace, name, ok := strings.Cut(rest, "/")
	if !ok {
		return types.NamespacedName{Name: rest}, true
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, true
}

// serviceOf is the service that an advertisement is about.
func serviceOf(adv *v1alpha1.ServiceAdvertisement) types.NamespacedName {
	return types.NamespacedName{Namespace: adv.Spec.Namespace, Name: adv.Spec.Name}
}
