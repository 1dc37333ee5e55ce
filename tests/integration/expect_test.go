// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/translate"
)

const (
	// asked is how long it may take from an export to the import in every cluster, and soon other changes to be seen anywhere
	// in the fleet, on a machine that does a lot beside it: what they take on one that does not is measured by tests/figures.
	asked = 30 * time.Second
	soon  = time.Minute
)

// service is an HTTP service with ready pods behind it.
func (m *member) service(name string, pods int) {
	m.create(service(m.fleet.namespace, name, corev1.ServicePort{Name: "http", Port: 8080, TargetPort: intstr.FromInt32(8080)}))
	var addresses []string
	for i := range pods {
		addresses = append(addresses, fmt.Sprintf("10.2%d.1.%d", m.number, i+1))
	}
	m.create(slice(m.fleet.namespace, name, 8080, addresses...))
}

func service(namespace, name string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: ports},
	}
}

// export exports a service over a policy.
func (m *member) export(name, policy string) *mcsv1beta1.ServiceExport {
	e := &mcsv1beta1.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: m.fleet.namespace, Name: name}}
	if policy != "" {
		e.Annotations = map[string]string{v1alpha1.AnnotationWANPolicy: policy}
	}
	m.create(e)
	return e
}

// imported waits until a ServiceImport stands that has an address, is ready, and names exactly these clusters.
func (m *member) imported(name string, clusters ...string) *mcsv1beta1.ServiceImport {
	m.fleet.t.Helper()
	si := &mcsv1beta1.ServiceImport{}
	m.eventually(asked, "import of "+name, func() error { return m.isImported(si, name, clusters...) })
	return si
}

func (m *member) isImported(si *mcsv1beta1.ServiceImport, name string, clusters ...string) error {
	*si = mcsv1beta1.ServiceImport{}
	if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: m.fleet.namespace, Name: name}, si); err != nil {
		return err
	}
	var from []string
	for _, c := range si.Status.Clusters {
		from = append(from, c.Cluster)
	}
	slices.Sort(from)
	if !slices.Equal(from, clusters) {
		return fmt.Errorf("imported from %v, want %v", from, clusters)
	}
	if len(si.Spec.IPs) == 0 || len(si.Spec.IPs) != len(si.Spec.IPFamilies) {
		return fmt.Errorf("ips %v of families %v", si.Spec.IPs, si.Spec.IPFamilies)
	}
	if !meta.IsStatusConditionTrue(si.Status.Conditions, string(mcsv1beta1.ServiceImportConditionReady)) {
		return fmt.Errorf("conditions %v", si.Status.Conditions)
	}
	return nil
}

// nothingLeft waits until no object of ours is left that was made for a service.
func (m *member) nothingLeft(bound time.Duration, name string) {
	m.fleet.t.Helper()
	m.eventually(bound, "everything of "+name+" is gone", func() error {
		var left []string
		for _, obj := range m.ours() {
			labels := obj.GetLabels()
			if labels[v1alpha1.LabelServiceName] == name && labels[v1alpha1.LabelServiceNamespace] == m.fleet.namespace {
				left = append(left, obj.GetObjectKind().GroupVersionKind().Kind+" "+obj.GetName())
			}
		}
		if len(left) > 0 {
			return errors.New("left: " + strings.Join(left, ", "))
		}
		return nil
	})
}

// ours are all objects that a controller wrote, with their resourceVersions.
func (m *member) ours() []client.Object {
	m.fleet.t.Helper()
	var out []client.Object
	for _, kind := range writtenKinds() {
		for _, obj := range m.list(m.fleet.t.Context(), m.fleet.t, kind) {
			if obj.GetLabels()[v1alpha1.LabelManagedBy] == v1alpha1.ValueManagedBy {
				out = append(out, obj)
			}
		}
	}
	return out
}

// versions are the resourceVersions of everything that a controller may write, statuses included; of Peers what they say,
// without the figures of hops.
func (m *member) versions() map[string]string {
	m.fleet.t.Helper()
	out := m.versionsOf(append(writtenKinds(), &v1alpha1.WANPolicy{}, &mcsv1beta1.ServiceExport{})...)
	var peers v1alpha1.PeerList
	if err := m.List(m.fleet.t.Context(), &peers); err != nil {
		m.fleet.t.Fatal(err)
	}
	for i := range peers.Items {
		out["Peer "+peers.Items[i].Name] = withoutFigures(m.fleet.t, &peers.Items[i])
	}
	return out
}

// written are those of the kinds that a controller makes objects of, which say nothing about whether peers are well.
func (m *member) written() map[string]string {
	m.fleet.t.Helper()
	return m.versionsOf(writtenKinds()...)
}

func (m *member) versionsOf(kinds ...client.Object) map[string]string {
	m.fleet.t.Helper()
	out := map[string]string{}
	for _, kind := range kinds {
		for _, obj := range m.list(m.fleet.t.Context(), m.fleet.t, kind) {
			key := obj.GetObjectKind().GroupVersionKind().Kind + " " + obj.GetNamespace() + "/" + obj.GetName()
			out[key] = obj.GetResourceVersion()
		}
	}
	return out
}

// withoutFigures is what a Peer says, without what moves by itself on a busy machine: the round trips of its hops.
func withoutFigures(t *testing.T, peer *v1alpha1.Peer) string {
	t.Helper()
	said := peer.DeepCopy()
	said.ResourceVersion, said.ManagedFields = "", nil
	for i := range said.Status.Hops {
		h := &said.Status.Hops[i]
		h.RTTMs, h.JitterMs, h.LossPercent = nil, nil, nil
	}
	text, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// peerIs waits for a condition of a Peer whose message has these words.
func (m *member) peerIs(id, kind string, status metav1.ConditionStatus, reason string, words ...string) *v1alpha1.Peer {
	m.fleet.t.Helper()
	peer := &v1alpha1.Peer{}
	m.eventually(2*soon, fmt.Sprintf("Peer %s has %s=%s/%s", id, kind, status, reason), func() error {
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace, Name: id}, peer); err != nil {
			return err
		}
		return hasCondition(peer.Status.Conditions, peer.Generation, kind, status, reason, words...)
	})
	return peer
}

// policyIs waits for the Ready condition of a WANPolicy whose message has these words.
func (m *member) policyIs(name string, status metav1.ConditionStatus, reason string, words ...string) {
	m.fleet.t.Helper()
	m.eventually(soon, fmt.Sprintf("WANPolicy %s is %s/%s", name, status, reason), func() error {
		p := &v1alpha1.WANPolicy{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Name: name}, p); err != nil {
			return err
		}
		return hasCondition(p.Status.Conditions, p.Generation, v1alpha1.ConditionReady, status, reason, words...)
	})
}

// exportIs waits for a condition of a ServiceExport whose message has these words.
func (m *member) exportIs(name, kind string, status metav1.ConditionStatus, reason string, words ...string) {
	m.fleet.t.Helper()
	m.eventually(soon, fmt.Sprintf("ServiceExport %s has %s=%s/%s", name, kind, status, reason), func() error {
		e := &mcsv1beta1.ServiceExport{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: m.fleet.namespace, Name: name}, e); err != nil {
			return err
		}
		return hasCondition(e.Status.Conditions, e.Generation, kind, status, reason, words...)
	})
}

func hasCondition(conditions []metav1.Condition, generation int64, kind string, status metav1.ConditionStatus, reason string, words ...string) error {
	c := meta.FindStatusCondition(conditions, kind)
	switch {
	case c == nil:
		return fmt.Errorf("no condition %s in %v", kind, conditions)
	case c.Status != status || c.Reason != reason:
		return fmt.Errorf("%s is %s/%s: %s", kind, c.Status, c.Reason, c.Message)
	case c.ObservedGeneration != generation:
		return fmt.Errorf("%s is about generation %d, not %d", kind, c.ObservedGeneration, generation)
	case c.Message == "" || c.LastTransitionTime.IsZero():
		return fmt.Errorf("%s has no message or time", kind)
	}
	for _, part := range words {
		if !strings.Contains(c.Message, part) {
			return fmt.Errorf("%s says %q, nothing of %q", kind, c.Message, part)
		}
	}
	return nil
}

// told waits for an Event.
func (m *member) told(what string, match func(eventsv1.Event) bool) {
	m.fleet.t.Helper()
	m.eventually(soon, "an Event that says "+what, func() error {
		var list eventsv1.EventList
		if err := m.List(m.fleet.t.Context(), &list); err != nil {
			return err
		}
		if !slices.ContainsFunc(list.Items, match) {
			return fmt.Errorf("%d Events, none of them", len(list.Items))
		}
		return nil
	})
}

// gone tells whether an object does not stand.
func (m *member) gone(obj client.Object, namespace, name string) error {
	err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%T %s stands", obj, name)
}

// sharesAre compares the exporters' shares of a leg.
func (m *member) sharesAre(name string, port int32, want string) error {
	vs := &networkingv1.VirtualService{}
	key := client.ObjectKey{Namespace: v1alpha1.Namespace, Name: translate.LegName(m.fleet.namespace, name, port)}
	if err := m.Get(m.fleet.t.Context(), key, vs); err != nil {
		return err
	}
	if got := vs.Annotations[translate.AnnotationShares]; got != want {
		return fmt.Errorf("shares %s, want %s", got, want)
	}
	return nil
}
