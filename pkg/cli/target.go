// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// target parses NAME/NAMESPACE, the order in which the service's name in DNS has them. NAME alone takes the namespace of --namespace, else that
// of the context.
func (a *app) target(arg, contextNamespace string) (types.NamespacedName, error) {
	name, namespace, both := strings.Cut(arg, "/")
	if both && a.namespace != "" && a.namespace != namespace {
		return types.NamespacedName{}, usagef("%q says namespace %s and --namespace says %s", arg, namespace, a.namespace)
	}
	if !both {
		namespace = a.namespace
		if namespace == "" {
			namespace = contextNamespace
		}
	}
	if len(validation.IsDNS1035Label(name)) > 0 || len(validation.IsDNS1123Label(namespace)) > 0 {
		return types.NamespacedName{}, usagef("%q is not NAME/NAMESPACE, such as payment/secure", arg)
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, nil
}

// short writes a service as its owner does.
func short(key types.NamespacedName) string { return key.Name + "/" + key.Namespace }

// host is the multi-cluster name of a service.
func host(key types.NamespacedName) string {
	return key.Name + "." + key.Namespace + ".svc." + v1alpha1.ClusterSetDomain
}
