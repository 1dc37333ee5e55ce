// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Action is what became of one object.
type Action string

// The actions.
const (
	Created    Action = "created"
	Configured Action = "configured"
	Unchanged  Action = "unchanged"
	Deleted    Action = "deleted"
	// Skipped objects could not be written for a reason that is not an error: their namespace is going away.
	Skipped Action = "skipped"
)

// Change is one entry of a ChangeSet.
type Change struct {
	Ref
	Action Action
	// Result is the object as the API server answered; nil unless it was created or configured.
	Result *unstructured.Unstructured
	// Transitions are the conditions whose status or reason changed; of ApplyStatus only.
	Transitions []metav1.Condition
}

// ChangeSet says what a call wrote, in order.
type ChangeSet []Change

// String renders the entries that changed something, one "Kind namespace/name action" after the other.
func (c ChangeSet) String() string {
	var parts []string
	for _, change := range c {
		if change.Action != Unchanged {
			parts = append(parts, fmt.Sprintf("%s %s", change.Ref, change.Action))
		}
	}
	return strings.Join(parts, ", ")
}
