// SPDX-License-Identifier: Apache-2.0

package advertise

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// resolution is what became of the WAN policy of an export.
type resolution struct {
	// name is the policy used in this cluster, empty when there is none.
	name string
	// advertised is what other clusters are told: what the export names.
	advertised string
	// holdsBack says that the export must not be advertised.
	holdsBack bool

	status          metav1.ConditionStatus
	reason, message string
}

// DefaultPolicy is the policy of exports that name none: of those marked default the oldest, then the first by name.
func DefaultPolicy(policies []v1alpha1.WANPolicy) (v1alpha1.WANPolicy, bool) {
	var found *v1alpha1.WANPolicy
	for i := range policies {
		if p := &policies[i]; p.Spec.Default && (found == nil || older(*p, *found) < 0) {
			found = p
		}
	}
	if found == nil {
		return v1alpha1.WANPolicy{}, false
	}
	return *found.DeepCopy(), true
}

func older(a, b v1alpha1.WANPolicy) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// override is the failover that an export asks for in place of its policy's; nil for none. A wish that cannot be read
// holds the export back, as a policy that does not exist does: traffic that was to stay on its tunnel is not guessed onto
// another one.
func (r resolution) override(text string, policies []v1alpha1.WANPolicy) (resolution, *v1alpha1.Failover) {
	failover, err := ParseFailover(text)
	if err != nil {
		return resolution{holdsBack: true, status: metav1.ConditionFalse, reason: v1alpha1.ReasonInvalidFailover,
			message: fmt.Sprintf("Annotation %s: %s.", v1alpha1.AnnotationFailover, err)}, nil
	}
	if failover == nil || r.holdsBack {
		return r, failover
	}
	missing := slices.DeleteFunc(slices.Clone(failover.To), func(name string) bool {
		return slices.ContainsFunc(policies, func(p v1alpha1.WANPolicy) bool { return p.Name == name })
	})
	switch {
	case r.status != metav1.ConditionTrue:
	case len(missing) > 0:
		r.status, r.reason = metav1.ConditionFalse, v1alpha1.ReasonUnknownFailover
		r.message = fmt.Sprintf("Annotation %s names WAN policies that do not exist in this cluster: %s. They are left out. %s",
			v1alpha1.AnnotationFailover, bounded(missing), known(policies))
	default:
		r.message += fmt.Sprintf(" Failover %s, by the annotation %s.", FailoverText(failover), v1alpha1.AnnotationFailover)
	}
	return r, failover
}

// resolve finds the policy that the annotation names; the package comment says what follows from what it finds.
func resolve(named string, policies []v1alpha1.WANPolicy) resolution {
	if named == "" {
		return resolveDefault(policies)
	}
	i := slices.IndexFunc(policies, func(p v1alpha1.WANPolicy) bool { return p.Name == named })
	if i < 0 {
		return resolution{holdsBack: true, status: metav1.ConditionFalse, reason: v1alpha1.ReasonUnknownPolicy, message: unknown(named, policies)}
	}
	out := resolution{name: named, advertised: named, status: metav1.ConditionTrue, reason: v1alpha1.ReasonResolved,
		message: fmt.Sprintf("WAN policy %q: tunnel %q, port %d.", named, policies[i].Spec.Tunnel, policies[i].Spec.Port)}
	if why := unusable(policies[i]); why != "" {
		out.status, out.reason = metav1.ConditionFalse, v1alpha1.ReasonPolicyNotReady
		out.message = fmt.Sprintf("WAN policy %q cannot be used in this cluster, so traffic follows its failover: %s", named, why)
	}
	return out
}

func resolveDefault(policies []v1alpha1.WANPolicy) resolution {
	p, ok := DefaultPolicy(policies)
	if !ok {
		return resolution{status: metav1.ConditionFalse, reason: v1alpha1.ReasonNoDefaultPolicy,
			message: fmt.Sprintf("The export names no WAN policy and no WANPolicy of this cluster has spec.default: true; set it on one, or name one by the annotation %s. %s",
				v1alpha1.AnnotationWANPolicy, known(policies))}
	}
	out := resolution{name: p.Name, status: metav1.ConditionTrue, reason: v1alpha1.ReasonResolved,
		message: fmt.Sprintf("The export names no WAN policy, so each importing cluster uses its default; here that is %q.", p.Name)}
	if why := unusable(p); why != "" {
		out.status, out.reason = metav1.ConditionFalse, v1alpha1.ReasonPolicyNotReady
		out.message = fmt.Sprintf("The default WAN policy %q cannot be used in this cluster, so traffic follows its failover: %s", p.Name, why)
	}
	return out
}

// unusable is why the policy's port is not open in this cluster, empty when it is, or when nobody has looked yet. Other
// reasons of a policy's Ready=False (a peer that has another port, say) do not keep traffic off its port here.
func unusable(p v1alpha1.WANPolicy) string {
	c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status != metav1.ConditionFalse {
		return ""
	}
	switch c.Reason {
	case v1alpha1.ReasonPortConflict, v1alpha1.ReasonPortReserved, v1alpha1.ReasonInvalid:
		return c.Message
	}
	return ""
}

func unknown(named string, policies []v1alpha1.WANPolicy) string {
	return fmt.Sprintf("WAN policy %s, named by the annotation %s, does not exist in this cluster; correct the annotation or create the WANPolicy. %s",
		quoted(named), v1alpha1.AnnotationWANPolicy, known(policies))
}

func known(policies []v1alpha1.WANPolicy) string {
	if len(policies) == 0 {
		return "There is no WANPolicy in this cluster."
	}
	var names []string
	for _, p := range policies {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return fmt.Sprintf("Known: %s.", bounded(names))
}
