// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// VirtualService is one of Istio's kind, as far as it says for which hosts it is.
type VirtualService struct {
	Namespace, Name string
	Hosts, Gateways []string
}

// stands says whether what carries the service is there, in a snapshot of a cluster.
func (e *explanation) stands(mesh Mesh) error {
	if !mesh.Live {
		return nil
	}
	ns := e.l.Namespace(e.key.Namespace)
	if ns == nil || ns.DeletionTimestamp != nil || ns.Status.Phase == corev1.NamespaceTerminating {
		return fmt.Errorf("%s/%s is not imported: namespace %s is not there, or is going away; create it", e.key.Name, e.key.Namespace, e.key.Namespace)
	}
	si := e.l.Import(e.key.Namespace, e.key.Name)
	switch {
	case si == nil:
		return fmt.Errorf("%s/%s is exported and not imported here yet: there is no ServiceImport.%s of that name; is the controller running? See its Events",
			e.key.Name, e.key.Namespace, mcsv1beta1.GroupName)
	case si.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ValueManagedBy:
		return fmt.Errorf("%s/%s is not imported by mc-wan: ServiceImport.%s %s/%s is somebody else's; rename or remove it",
			e.key.Name, e.key.Namespace, mcsv1beta1.GroupName, e.key.Namespace, e.key.Name)
	case e.dummy != nil && e.l.Service(v1alpha1.Namespace, e.dummyName()) == nil:
		return fmt.Errorf("there is no Service %s/%s: dummy Services are switched off, or condition %s of the ServiceImport says what is in the way",
			v1alpha1.Namespace, e.dummyName(), v1alpha1.ConditionDummyServices)
	}
	return nil
}

// elsewhere are the VirtualServices that bind the host for sidecars. What they do with a request is Istio's to say.
func (e *explanation) elsewhere(mesh Mesh) []string {
	var out []string
	for _, vs := range mesh.VirtualServices {
		forSidecars := len(vs.Gateways) == 0 || slices.Contains(vs.Gateways, "mesh")
		if forSidecars && slices.ContainsFunc(vs.Hosts, e.isHost) {
			out = append(out, fmt.Sprintf("VirtualService.networking.istio.io %s/%s", vs.Namespace, vs.Name))
		}
	}
	slices.Sort(out)
	return out
}

// isHost says whether a host of a VirtualService, which may begin with a wildcard, is that of the service.
func (e *explanation) isHost(host string) bool {
	suffix, wildcard := strings.CutPrefix(host, "*")
	return host == e.Host || (wildcard && strings.HasSuffix(e.Host, suffix))
}
