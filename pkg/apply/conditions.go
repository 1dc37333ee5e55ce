// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stabilize sets the time and the observed generation of the conditions in want's status: a condition whose status is
// as in live keeps its time. It returns the conditions whose status or reason differ from live.
func stabilize(want, live map[string]any, generation int64, now time.Time) []metav1.Condition {
	had := conditionsByType(live)
	var transitions []metav1.Condition
	for _, condition := range conditionsOf(want) {
		before, existed := had[text(condition, "type")]
		if generation > 0 && number(condition, "observedGeneration") == 0 {
			condition["observedGeneration"] = generation
		}
		condition["lastTransitionTime"] = now.UTC().Format(time.RFC3339)
		if existed && text(before, "status") == text(condition, "status") && text(before, "lastTransitionTime") != "" {
			condition["lastTransitionTime"] = before["lastTransitionTime"]
		}
		if !existed || text(before, "status") != text(condition, "status") || text(before, "reason") != text(condition, "reason") {
			transitions = append(transitions, metav1.Condition{
				Type:    text(condition, "type"),
				Status:  metav1.ConditionStatus(text(condition, "status")),
				Reason:  text(condition, "reason"),
				Message: text(condition, "message"),
			})
		}
	}
	return transitions
}

func conditionsByType(content map[string]any) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, condition := range conditionsOf(content) {
		out[text(condition, "type")] = condition
	}
	return out
}

func conditionsOf(content map[string]any) []map[string]any {
	status, _ := content["status"].(map[string]any)
	list, _ := status["conditions"].([]any)
	out := make([]map[string]any, 0, len(list))
	for _, element := range list {
		if condition, ok := element.(map[string]any); ok {
			out = append(out, condition)
		}
	}
	return out
}

func text(fields map[string]any, name string) string {
	value, _ := fields[name].(string)
	return value
}

func number(fields map[string]any, name string) int64 {
	value, _ := fields[name].(int64)
	return value
}
