// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// typeNetworking is the TypeMeta of an Istio networking kind.
func typeNetworking(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: kind}
}

// typeSecurity is the TypeMeta of an Istio security kind.
func typeSecurity(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: securityv1.SchemeGroupVersion.String(), Kind: kind}
}

// ours is the metadata of something we write in mc-wan.
func ours(name, part string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: v1alpha1.Namespace,
		Name:      name,
		Labels: map[string]string{
			v1alpha1.LabelManagedBy: v1alpha1.ValueManagedBy,
			v1alpha1.LabelPart:      part,
		},
	}
}

// oursFor is the metadata of something we write in mc-wan for one service.
func oursFor(name, part, serviceNamespace, serviceName string) metav1.ObjectMeta {
	m := ours(name, part)
	m.Labels[v1alpha1.LabelServiceNamespace] = serviceNamespace
	m.Labels[v1alpha1.LabelServiceName] = serviceName
	return m
}

// selectGateway is the selector of a kind of gateway pods.
func selectGateway(gateway string) map[string]string {
	return map[string]string{v1alpha1.LabelGateway: gateway}
}

// onlyHere is an exportTo that hides an object from every namespace but mc-wan.
func onlyHere() []string { return []string{"."} }

// inNamespace is "mc-wan/name": how Istio objects name Gateways, and how Gateways say who may attach.
func inNamespace(name string) string { return v1alpha1.Namespace + "/" + name }

func itoa(n int32) string { return strconv.Itoa(int(n)) }

func seconds(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

func count(n uint32) *wrapperspb.UInt32Value { return wrapperspb.UInt32(n) }
