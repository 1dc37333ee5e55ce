// SPDX-License-Identifier: Apache-2.0

package feed

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Mine says whether an object is a copy of what the cluster published, and so the feed's to change or delete: it
// carries the cluster as its source, our mark, and not the one of what was written by hand.
func Mine(obj metav1.Object, clusterID string) bool {
	labels := obj.GetLabels()
	_, manual := labels[v1alpha1.LabelManual]
	return !manual && labels[v1alpha1.LabelSourceCluster] == clusterID && labels[v1alpha1.LabelManagedBy] == v1alpha1.ValueManagedBy
}

// ownSelector selects what Mine says of the own cluster: what is served is what the own card counts.
func ownSelector(clusterID string) string {
	return v1alpha1.LabelManagedBy + "=" + v1alpha1.ValueManagedBy + "," + v1alpha1.LabelSourceCluster + "=" + clusterID + ",!" + v1alpha1.LabelManual
}

// AdvertisementCopy is an accepted advertisement as it is written down here.
func AdvertisementCopy(nameOf NameFunc, spec *v1alpha1.ServiceAdvertisementSpec) *v1alpha1.ServiceAdvertisement {
	return &v1alpha1.ServiceAdvertisement{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: v1alpha1.ServiceAdvertisementKind},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.Namespace,
			Name:      nameOf(spec.ClusterID, spec.Namespace, spec.Name),
			Labels: map[string]string{
				v1alpha1.LabelManagedBy:        v1alpha1.ValueManagedBy,
				v1alpha1.LabelPart:             v1alpha1.PartAdvertisement,
				v1alpha1.LabelSourceCluster:    spec.ClusterID,
				v1alpha1.LabelServiceNamespace: spec.Namespace,
				v1alpha1.LabelServiceName:      spec.Name,
			},
		},
		Spec: *spec.DeepCopy(),
	}
}

// CardCopy is an accepted card as it is written down here.
func CardCopy(spec *v1alpha1.ClusterAdvertisementSpec) *v1alpha1.ClusterAdvertisement {
	return &v1alpha1.ClusterAdvertisement{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: v1alpha1.ClusterAdvertisementKind},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.Namespace,
			Name:      spec.ClusterID,
			Labels: map[string]string{
				v1alpha1.LabelManagedBy:     v1alpha1.ValueManagedBy,
				v1alpha1.LabelPart:          v1alpha1.PartCard,
				v1alpha1.LabelSourceCluster: spec.ClusterID,
			},
		},
		Spec: *spec.DeepCopy(),
	}
}
