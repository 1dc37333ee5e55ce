// SPDX-License-Identifier: Apache-2.0

package mcs

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// validLocal is what package advertise says of a good export.
func validLocal() []metav1.Condition {
	return []metav1.Condition{
		condition("Valid", metav1.ConditionTrue, "Valid", "fine", 0),
		condition(v1alpha1.ConditionPortsCarried, metav1.ConditionTrue, v1alpha1.ReasonCarried, "fine", 0),
		condition(v1alpha1.ConditionWANPolicy, metav1.ConditionTrue, v1alpha1.ReasonResolved, "fine", 0),
	}
}

// summary is a list of conditions as `kubectl get` users see them.
func summary(conditions []metav1.Condition) []string {
	var out []string
	for _, c := range conditions {
		out = append(out, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	return out
}

func TestExportConditions(t *testing.T) {
	own, other := exportOf("a", 2), exportOf("b", 1)
	udpOnly := exportOf("a", 2, ports(v1alpha1.AdvertisedPort{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53}))
	portless := exportOf("a", 2, ports(), func(e *export) { e.Type = "Headless" })
	twice := exportOf("a", 2, func(e *export) { e.IdempotentMethods = []string{"PUT", "DELETE"} })
	putOnly := exportOf("c", 3, func(e *export) { e.IdempotentMethods = []string{"PUT"} })
	bad := exportOf("a", 2, func(e *export) { e.SessionAffinity = "Sometimes" })
	replace := func(c metav1.Condition) []metav1.Condition {
		out := validLocal()
		*meta.FindStatusCondition(out, c.Type) = c
		return out
	}
	unknown := replace(condition(v1alpha1.ConditionWANPolicy, metav1.ConditionFalse, v1alpha1.ReasonUnknownPolicy, "no such policy", 0))
	otherPolicy := exportOf("b", 1, func(e *export) { e.WANPolicy = "low" })
	for name, tc := range map[string]struct {
		state ExportState
		want  []string
		ready string
	}{
		"published and alone": {
			ExportState{Local: validLocal(), Advertisement: &own, Published: true, Merged: Merge([]export{own})},
			[]string{"Valid=True/Valid", "Ready=True/Ready", "Conflict=False/NoConflicts", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=True/Resolved"},
			"The export is ready to be read by other clusters.",
		},
		"others do not call its methods idempotent": {
			ExportState{Local: validLocal(), Advertisement: &twice, Published: true, Merged: Merge([]export{twice, other, putOnly})},
			[]string{"Valid=True/Valid", "Ready=True/Ready", "Conflict=False/NoConflicts", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=True/Resolved"},
			"The export is ready to be read by other clusters. DELETE is not repeated, because not all exports call it idempotent; missing: b, c." +
				" PUT is not repeated, because not all exports call it idempotent; missing: b.",
		},
		"others call more methods idempotent": {
			ExportState{Local: validLocal(), Advertisement: &own, Published: true, Merged: Merge([]export{own, putOnly})},
			[]string{"Valid=True/Valid", "Ready=True/Ready", "Conflict=False/NoConflicts", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=True/Resolved"},
			"The export is ready to be read by other clusters.",
		},
		"headless without ports": {
			ExportState{Local: validLocal(), Advertisement: &portless, Published: true, Merged: Merge([]export{portless})},
			[]string{"Valid=True/Valid", "Ready=False/Failed", "Conflict=False/NoConflicts", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=True/Resolved"},
			noPorts,
		},
		"not yet written": {
			ExportState{Local: validLocal(), Advertisement: &own},
			[]string{"Valid=True/Valid", "Ready=False/Pending", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=True/Resolved"},
			"The advertisement is being written.",
		},
		"no Service: no Conflict, and others' merge is not its business": {
			ExportState{Local: []metav1.Condition{condition("Valid", metav1.ConditionFalse, "NoService", "no Service", 0)}, Merged: Merge([]export{other})},
			[]string{"Valid=False/NoService", "Ready=False/Pending"},
			"Not exported: no Service",
		},
		"held back because of its policy": {
			ExportState{Local: unknown, Merged: Merge([]export{other})},
			[]string{"Valid=True/Valid", "Ready=False/Failed", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=False/UnknownPolicy"},
			"Not exported: no such policy",
		},
		"conflicts are told to the winner": {
			ExportState{ClusterID: "b", Local: validLocal(), Advertisement: &other, Published: true,
				Merged: Merge([]export{other, exportOf("c", 3, ports(), func(e *export) { e.Type = "Headless" })})},
			[]string{"Valid=True/Valid", "Ready=True/Ready", "Conflict=True/TypeConflict,PortConflict", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=True/Resolved"}, "",
		},
		"conflicts are told to the loser": {
			ExportState{Local: validLocal(), Advertisement: &own, Published: true,
				Merged: Merge([]export{own, exportOf("b", 1, ports(), func(e *export) { e.Type = "Headless" })})},
			[]string{"Valid=True/Valid", "Ready=True/Ready", "Conflict=True/TypeConflict,PortConflict", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=True/Resolved"}, "",
		},
		"exporters name different policies": {
			ExportState{Local: validLocal(), Advertisement: &own, Published: true, Merged: Merge([]export{own, otherPolicy})},
			[]string{"Valid=True/Valid", "Ready=True/Ready", "Conflict=False/NoConflicts", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=False/PolicyConflict"}, "",
		},
		"what is wrong here comes before what others say": {
			ExportState{Local: replace(condition(v1alpha1.ConditionWANPolicy, metav1.ConditionFalse, v1alpha1.ReasonPolicyNotReady, "port taken", 0)),
				Advertisement: &own, Published: true, Merged: Merge([]export{own, otherPolicy})},
			[]string{"Valid=True/Valid", "Ready=True/Ready", "Conflict=False/NoConflicts", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=False/PolicyNotReady"}, "",
		},
		"nothing can be carried": {
			ExportState{Local: replace(PortsCarried(advertisedPorts(udpOnly), 0)), Advertisement: &udpOnly, Published: true, Merged: Merge([]export{udpOnly})},
			[]string{"Valid=True/Valid", "Ready=False/Failed", "Conflict=False/NoConflicts", "mcw.l7mp.io/PortsCarried=False/UnsupportedProtocol", "mcw.l7mp.io/WANPolicyResolved=True/Resolved"},
			"No port of the service can be carried: the gateways carry TCP only; offer the service over TCP as well.",
		},
		"refused by the merge": {
			ExportState{Local: validLocal(), Advertisement: &bad, Published: true, Merged: Merge([]export{bad, other})},
			[]string{"Valid=True/Valid", "Ready=False/Failed", "mcw.l7mp.io/PortsCarried=True/Carried", "mcw.l7mp.io/WANPolicyResolved=True/Resolved"},
			`Not exported: sessionAffinity: "Sometimes" is neither None nor ClientIP`,
		},
		"no export": {ExportState{}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.state.ClusterID == "" {
				tc.state.ClusterID = "a"
			}
			tc.state.Generation = 7
			got := ExportConditions(tc.state)
			if diff := cmp.Diff(tc.want, summary(got)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if r := meta.FindStatusCondition(got, "Ready"); tc.ready != "" && r.Message != tc.ready {
				t.Errorf("Ready says %q, want %q", r.Message, tc.ready)
			}
			wantWellFormed(t, got, 7)
		})
	}
}

func TestImportConditions(t *testing.T) {
	a := exportOf("a", 1)
	dns := v1alpha1.AdvertisedPort{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53}
	for name, tc := range map[string]struct {
		state ImportState
		want  []string
	}{
		"ready":                     {ImportState{Merged: Merge([]export{a}), IPs: []string{"10.0.0.1"}}, []string{"Ready=True/Ready", "mcw.l7mp.io/PortsCarried=True/Carried"}},
		"waits for its address":     {ImportState{Merged: Merge([]export{a})}, []string{"Ready=False/Pending", "mcw.l7mp.io/PortsCarried=True/Carried"}},
		"headless needs no address": {ImportState{Merged: Merge([]export{exportOf("a", 1, func(e *export) { e.Type = "Headless" })})}, []string{"Ready=True/Ready", "mcw.l7mp.io/PortsCarried=True/Carried"}},
		"some ports only":           {ImportState{Merged: Merge([]export{exportOf("a", 1, ports(tcp("x", 1), dns))}), IPs: []string{"10.0.0.1"}}, []string{"Ready=True/Ready", "mcw.l7mp.io/PortsCarried=False/UnsupportedProtocol"}},
		"no port":                   {ImportState{Merged: Merge([]export{exportOf("a", 1, ports(dns))})}, []string{"Ready=False/UnsupportedProtocol", "mcw.l7mp.io/PortsCarried=False/UnsupportedProtocol"}},
		"headless without ports":    {ImportState{Merged: Merge([]export{exportOf("a", 1, ports(), func(e *export) { e.Type = "Headless" })})}, []string{"Ready=False/NoPorts", "mcw.l7mp.io/PortsCarried=False/NoPorts"}},
		"own problem":               {ImportState{Merged: Merge([]export{a}), Problem: &Problem{v1alpha1.ReasonOutOfPorts, "free some"}}, []string{"Ready=False/OutOfPorts", "mcw.l7mp.io/PortsCarried=True/Carried"}},
		"nobody exports":            {ImportState{}, []string{"Ready=False/Pending"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.state.Generation = 3
			got := ImportConditions(tc.state)
			if diff := cmp.Diff(tc.want, summary(got)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			wantWellFormed(t, got, 3)
		})
	}
}

// wantWellFormed checks what the API server asks of conditions, and that the pure code has no clock.
func wantWellFormed(t *testing.T, conditions []metav1.Condition, generation int64) {
	t.Helper()
	reason := regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)
	for _, c := range conditions {
		if !reason.MatchString(c.Reason) || c.Message == "" || len(c.Message) > 32768 {
			t.Errorf("the API server refuses %+v", c)
		}
		if c.ObservedGeneration != generation {
			t.Errorf("%s has observedGeneration %d, want %d", c.Type, c.ObservedGeneration, generation)
		}
		if !c.LastTransitionTime.IsZero() {
			t.Errorf("%s has a time", c.Type)
		}
	}
}

func TestPortsCarriedNamesThePorts(t *testing.T) {
	got := PortsCarried([]mcsv1beta1.ServicePort{{Name: "http", Port: 80}, {Name: "dns", Protocol: "UDP", Port: 53}, {Protocol: "SCTP", Port: 9}}, 4)
	want := `The gateways carry TCP only, so nothing gets to UDP/53 "dns", SCTP/9 (unnamed) from another cluster; offer the service over TCP as well.`
	if got.Message != want || got.ObservedGeneration != 4 {
		t.Errorf("got %+v", got)
	}
}
