// SPDX-License-Identifier: Apache-2.0

package feed

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Mine says whether an object is a copy of what the cluster published, and so the feed's to change or delete: it
// carries the cluster as its source and was not written by hand.
func Mine(obj metav1.Object, clusterID string) bool {
	labels := obj.GetLabels()
	_, manual := labels[v1alpha1.LabelManual]
	return !manual && labels[v1alpha1.LabelSourceCluster] == clusterID && labels[v1alpha1.LabelManagedBy] == v1alpha1.ValueManagedBy
}
