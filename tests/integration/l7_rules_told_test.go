// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/controller"
)

// rulesOfImport waits until the import of payment says whose rules hold, in a message with all of the words.
func (m *member) rulesOfImport(status metav1.ConditionStatus, reason string, words ...string) {
	m.fleet.t.Helper()
	m.eventually(soon, fmt.Sprintf("%s=%s/%s", v1alpha1.ConditionRules, status, reason), func() error {
		si := &mcsv1beta1.ServiceImport{}
		if err := m.Get(m.fleet.t.Context(), client.ObjectKey{Namespace: m.fleet.namespace, Name: "payment"}, si); err != nil {
			return err
		}
		if err := hasCondition(si.Status.Conditions, si.Generation, v1alpha1.ConditionRules, status, reason); err != nil {
			return err
		}
		message := meta.FindStatusCondition(si.Status.Conditions, v1alpha1.ConditionRules).Message
		for _, w := range words {
			if !strings.Contains(message, w) {
				return fmt.Errorf("%q is not in %q", w, message)
			}
		}
		return nil
	})
}

func (m *member) ownerRules(rules ...mcwanv1alpha1.HTTPRule) *mcwanv1alpha1.ServiceExport {
	m.fleet.t.Helper()
	e := &mcwanv1alpha1.ServiceExport{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.fleet.namespace, Name: "payment"},
		Spec:       mcwanv1alpha1.ServiceExportSpec{HTTP: mcwanv1alpha1.HTTPRules{Rules: rules}},
	}
	m.create(e)
	return e
}

// TestRulesThatAreNotWrittenSaySo: what is in the way of an import is in the way of its rules, and their status does not stay
// what it was.
func TestRulesThatAreNotWrittenSaySo(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	foreign := &mcsv1beta1.ServiceImport{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "payment"},
		Spec:       mcsv1beta1.ServiceImportSpec{Type: mcsv1beta1.ClusterSetIP, Ports: []mcsv1beta1.ServicePort{{Port: 1, Protocol: corev1.ProtocolTCP}}},
	}
	one.create(foreign)
	one.rules("payment", l7Rule("/", one.dummy("payment", "high")))
	two.service("payment", 1)
	two.export("payment", "high")
	one.rulesAre("payment", mcwanv1alpha1.ConditionAccepted, metav1.ConditionTrue, mcwanv1alpha1.ReasonAccepted)
	one.rulesAre("payment", mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, mcwanv1alpha1.ReasonNameTaken, "ServiceImport", "payment")
	one.remove(foreign)
	one.imported("payment", two.id)
	one.rulesAre("payment", mcwanv1alpha1.ConditionProgrammed, metav1.ConditionTrue, mcwanv1alpha1.ReasonProgrammed)
}

// TestRulesWaitForPeers: while an import waits for a peer that has not been read, its rules say that they wait.
func TestRulesWaitForPeers(t *testing.T) {
	f := newFleet(t, 2)
	one, two := f.members[0], f.members[1]
	peer := two.asPeer()
	two.down()
	one.create(peer)
	one.down()
	one.tune = func(o *controller.Options) { o.PeerSyncTimeout = 2 * soon }
	one.service("payment", 1)
	one.export("payment", "high")
	one.rules("payment", l7Rule("/", one.dummy("payment", "high")))
	one.up()
	one.rulesAre("payment", mcwanv1alpha1.ConditionProgrammed, metav1.ConditionFalse, mcwanv1alpha1.ReasonPending, "peers")
}

// TestTooManyRules: rules that no VirtualService could hold are refused before the API server refuses that.
func TestTooManyRules(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	one.service("payment", 1)
	one.export("payment", "high")
	one.imported("payment", one.id)
	var rules []mcwanv1alpha1.HTTPRule
	for i := range 16 {
		r := l7Rule(fmt.Sprintf("/%d", i), one.dummy("payment", "high"))
		for j := range 8 {
			path := fmt.Sprintf("/%d/%d/%s", i, j, strings.Repeat("x", 600))
			r.Matches = append(r.Matches, l7Rule(path).Matches...)
		}
		rules = append(rules, r)
	}
	one.rules("payment", rules...)
	one.rulesAre("payment", mcwanv1alpha1.ConditionAccepted, metav1.ConditionFalse, mcwanv1alpha1.ReasonTooLarge, "65536")
	one.routesAre("payment", "/ -> 500", " -> 403")
}

// TestWhoseRulesHold: exporters with different rules are told, and so is who calls: whose rules hold, and which of them fail.
func TestWhoseRulesHold(t *testing.T) {
	f := joined(t, 2)
	one, two := f.members[0], f.members[1]
	one.service("payment", 1)
	first := one.export("payment", "high")
	one.imported("payment", one.id)
	one.eventually(soon, "a second has passed", func() error {
		if !metav1.Now().After(first.CreationTimestamp.Add(1100e6)) { // creation times have seconds only
			return errors.New("not yet")
		}
		return nil
	})
	two.service("payment", 1)
	two.export("payment", "high")
	older := one.ownerRules(l7Rule("/old", one.dummy("payment", "high")))
	two.ownerRules(l7Rule("/new", two.dummy("payment", "default")))
	for _, m := range f.members {
		m.imported("payment", one.id, two.id)
		m.ownerIs(mcwanv1alpha1.ConditionConflict, metav1.ConditionTrue, mcwanv1alpha1.ReasonRulesConflict)
		m.routesAre("payment", "/old -> high", " -> 403")
		m.rulesOfImport(metav1.ConditionTrue, v1alpha1.ReasonOwnersRules, "ServiceExport.mc-wan.l7mp.io "+f.namespace+"/payment", "owner")
	}

	own := two.rules("payment", l7Rule("/", two.dummy("payment", "default")))
	two.rulesAre("payment", mcwanv1alpha1.ConditionProgrammed, metav1.ConditionTrue, mcwanv1alpha1.ReasonProgrammed, "in place of the owner's")
	two.rulesOfImport(metav1.ConditionTrue, v1alpha1.ReasonConsumersRules, "ServiceImport.mc-wan.l7mp.io "+f.namespace+"/payment", "in place of the owner's")
	two.eventually(soon, "the owner beside is told", func() error {
		e := &mcwanv1alpha1.ServiceExport{}
		if err := two.Get(t.Context(), client.ObjectKeyFromObject(own), e); err != nil {
			return err
		}
		if c := meta.FindStatusCondition(e.Status.Conditions, mcwanv1alpha1.ConditionProgrammed); c == nil || !strings.Contains(c.Message, "in their place") {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	two.remove(own)

	change(one, older, func(e *mcwanv1alpha1.ServiceExport) {
		e.Spec.HTTP.Rules = append(e.Spec.HTTP.Rules, l7Rule("/lost", one.dummy("payment", "nowhere")))
	})
	two.rulesOfImport(metav1.ConditionFalse, mcwanv1alpha1.ReasonBackendNotFound, "rules[1].backendRefs[0].name", "nowhere")
	one.remove(older)
	two.routesAre("payment", "/new -> default", " -> 403")
	two.rulesOfImport(metav1.ConditionTrue, v1alpha1.ReasonOwnersRules)
}

// TestDummyServicesSwitchedOff: by an annotation on the import that needs no rules and is left where it is, and for all
// imports by the controller's flag. Rules work without them.
func TestDummyServicesSwitchedOff(t *testing.T) {
	f := newFleet(t, 1)
	one := f.members[0]
	one.service("payment", 1)
	one.export("payment", "high")
	si := one.imported("payment", one.id)
	one.dummyIs("payment", "high")
	vanished := func(how string) {
		t.Helper()
		one.eventually(soon, "switched off "+how, func() error {
			return errors.Join(one.gone(&corev1.Service{}, v1alpha1.Namespace, one.dummy("payment", "high")),
				one.gone(&corev1.Service{}, v1alpha1.Namespace, one.dummy("payment", "default")))
		})
	}
	change(one, si, func(si *mcsv1beta1.ServiceImport) {
		metav1.SetMetaDataAnnotation(&si.ObjectMeta, mcwanv1alpha1.AnnotationDummyServices, "false")
	})
	vanished("for the import")
	one.routesAre("payment", " -> high")
	if si = one.imported("payment", one.id); si.Annotations[mcwanv1alpha1.AnnotationDummyServices] != "false" {
		t.Errorf("the annotation was taken away: %v", si.Annotations)
	}
	change(one, si, func(si *mcsv1beta1.ServiceImport) { delete(si.Annotations, mcwanv1alpha1.AnnotationDummyServices) })
	one.dummyIs("payment", "high")

	one.down()
	one.tune = func(o *controller.Options) { o.DummyServices = false }
	one.up()
	vanished("for the cluster")
	one.rules("payment", l7Rule("/a", one.dummy("payment", "high")), l7Rule("/b", one.dummy("payment", "default")))
	one.routesAre("payment", "/a -> high", "/b -> default", " -> 403")
}
