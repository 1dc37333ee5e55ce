// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/apply"
	"github.com/l7mp/mc-wan/pkg/mesh"
	"github.com/l7mp/mc-wan/pkg/ports"
)

// maxNote is how long the note of an Event may be (events.k8s.io/v1, Event.note).
const maxNote = 1000

// notes tell people: Events for who looks at an object, log lines for who runs the controller.
type notes struct {
	recorder events.EventRecorder
	log      logr.Logger
}

// transitions writes an Event for every condition of obj whose status or reason changed.
func (n *notes) transitions(obj client.Object, changed []metav1.Condition) {
	for _, c := range changed {
		kind := corev1.EventTypeNormal
		if bad(c) {
			kind = corev1.EventTypeWarning
		}
		n.event(obj, kind, c.Reason, c.Type+" is "+string(c.Status)+": "+c.Message)
	}
}

// bad conditions are those that are not True, except Conflict, which is bad when it is; and that the prober is broken, by
// which nothing is known of hops.
func bad(c metav1.Condition) bool {
	if c.Reason == v1alpha1.ReasonProbeBroken {
		return true
	}
	if c.Type == string(mcsv1beta1.ServiceExportConditionConflict) {
		return c.Status == metav1.ConditionTrue
	}
	return c.Status == metav1.ConditionFalse
}

// foreign tells on an object that it is in the way.
func (n *notes) foreign(err *apply.ForeignError) {
	ref := &corev1.ObjectReference{
		APIVersion: err.Ref.GroupVersion().String(), Kind: err.Ref.Kind, Namespace: err.Ref.Namespace, Name: err.Ref.Name,
	}
	n.log.Info("An object that is not ours is in the way", "object", err.Ref.String())
	n.recorder.Eventf(ref, nil, corev1.EventTypeWarning, "NotManaged", "Skip", "%s", err.Error())
}

// meshProblem tells on an object that it fights mc-wan.
func (n *notes) meshProblem(about client.Object, problem mesh.Problem) {
	n.log.Info("The cluster is set up in a way that does not work with mc-wan", "reason", problem.Reason, "problem", problem.Message)
	n.event(about, corev1.EventTypeWarning, problem.Reason, problem.Message)
}

func (n *notes) event(obj client.Object, kind, reason, note string) {
	if len(note) > maxNote {
		note = note[:maxNote]
	}
	n.recorder.Eventf(obj, nil, kind, short(reason), "Reconcile", "%s", note)
}

// hop tells on a Peer that one of its hops changed its state.
func (n *notes) hop(peer client.Object, kind string, m hopMove) {
	n.recorder.Eventf(peer, nil, kind, "Hop"+string(m.to.State), short(hopAction(m)), "%s", describeMove(m))
}

// short cuts joined reasons, and actions that name things, to what an Event can carry (events.k8s.io/v1, Event.reason and
// Event.action: 128 characters).
func short(text string) string {
	const most = 128
	if len(text) > most {
		return text[:most]
	}
	return text
}

// portFinding tells what was wrong with the table of leg ports.
func (n *notes) portFinding(finding ports.Finding) {
	n.log.Info("Repaired the table of leg ports", "namespace", finding.Key.Namespace, "name", finding.Key.Name, "port", finding.Key.Port, "finding", finding.Message)
}
