// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// drifted tells whether applying want over live would change anything: a value differs, a field of want is not ours
// yet, or a field is ours that want no longer states. managed are the field managers of live as the API server keeps
// them (metadata.managedFields); only entries of manager, made by Apply to subresource, count.
func drifted(live, want map[string]any, managed []metav1.ManagedFieldsEntry, manager, subresource string) bool {
	owned, ok := ownedFields(managed, manager, subresource)
	if !ok {
		return true
	}
	stated := statedFields(want)
	if _, statesStatus := stated[statusSubresource]; !statesStatus {
		delete(owned, "f:"+statusSubresource) // never stated with the object, whatever a server records
	}
	return !settled(owned, live, stated)
}

// statedFields is want without what identifies the object: nobody owns that.
func statedFields(want map[string]any) map[string]any {
	out := make(map[string]any, len(want))
	for key, value := range want {
		switch key {
		case "apiVersion", "kind":
		case "metadata":
			if meta := statedMeta(value); len(meta) > 0 {
				out[key] = meta
			}
		default:
			out[key] = value
		}
	}
	return out
}

func statedMeta(value any) map[string]any {
	in, _ := value.(map[string]any)
	out := make(map[string]any, len(in))
	for key, field := range in {
		if key != "name" && key != "namespace" {
			out[key] = field
		}
	}
	return out
}

// ownedFields returns the fields of manager in the notation of fieldsV1 (k8s.io/apimachinery, FieldsV1), the union over
// API versions; false when there is no entry.
func ownedFields(managed []metav1.ManagedFieldsEntry, manager, subresource string) (map[string]any, bool) {
	union, found := map[string]any{}, false
	for _, entry := range managed {
		if entry.Manager != manager || entry.Operation != metav1.ManagedFieldsOperationApply ||
			entry.Subresource != subresource || entry.FieldsV1 == nil {
			continue
		}
		raw, err := json.Marshal(entry.FieldsV1)
		if err != nil {
			return nil, false
		}
		var fields map[string]any
		if err := utiljson.Unmarshal(raw, &fields); err != nil {
			return nil, false
		}
		mergeFields(union, fields)
		found = true
	}
	return union, found
}

func mergeFields(into, from map[string]any) {
	for key, value := range from {
		have, ok := into[key].(map[string]any)
		more, isMap := value.(map[string]any)
		if !ok || !isMap {
			into[key] = value
			continue
		}
		mergeFields(have, more)
	}
}

// contains tells whether every value of want is in live. Fields of live that want does not state (defaults, other
// managers' fields) do not matter; the length and order of lists do.
func contains(live, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return len(w) == 0 && live == nil
		}
		for key, value := range w {
			if !contains(l[key], value) {
				return false
			}
		}
		return true
	case []any:
		l, _ := live.([]any)
		if len(l) != len(w) {
			return false
		}
		for i := range w {
			if !contains(l[i], w[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(live, want)
	}
}

// settled tells whether want is in live and the owned fields are exactly those of want. A leaf of owned stands for the
// whole value below it (a scalar, or a list or map that is atomic in its schema).
func settled(owned map[string]any, live, want any) bool {
	if isLeaf(owned) {
		return contains(live, want)
	}
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		return ok && settledMap(owned, l, w)
	case []any:
		l, ok := live.([]any)
		return ok && settledList(owned, l, w)
	default:
		return false
	}
}

func isLeaf(owned map[string]any) bool {
	for key := range owned {
		if key != "." {
			return false
		}
	}
	return true
}

func settledMap(owned, live, want map[string]any) bool {
	fields := 0
	for key, below := range owned {
		name, ok := strings.CutPrefix(key, "f:")
		if !ok {
			if key == "." {
				continue
			}
			return false
		}
		value, ok := want[name]
		if !ok || !settled(child(below), live[name], value) {
			return false
		}
		fields++
	}
	return fields == len(want)
}

// settledList compares a list that is a map or a set in its schema: elements of other managers and their order do not
// matter.
func settledList(owned map[string]any, live, want []any) bool {
	elements := 0
	for key, below := range owned {
		if key == "." {
			continue
		}
		stated, ok := find(want, key)
		if !ok {
			return false
		}
		element, ok := find(live, key)
		if !ok || !settled(child(below), element, stated) {
			return false
		}
		elements++
	}
	return elements == len(want)
}

// find returns the element of list that key names: k:{fields} in a list that is a map, v:value in one that is a set.
func find(list []any, key string) (any, bool) {
	kind, raw, _ := strings.Cut(key, ":")
	var named any
	if err := utiljson.Unmarshal([]byte(raw), &named); err != nil {
		return nil, false
	}
	for _, element := range list {
		switch kind {
		case "v":
			if reflect.DeepEqual(element, named) {
				return element, true
			}
		case "k":
			if hasKey(element, named) {
				return element, true
			}
		}
	}
	return nil, false
}

// hasKey compares the fields of a list key. One that element leaves to its default matches.
func hasKey(element, key any) bool {
	e, ok := element.(map[string]any)
	k, isMap := key.(map[string]any)
	if !ok || !isMap {
		return false
	}
	for name, value := range k {
		if stated, ok := e[name]; ok && !reflect.DeepEqual(stated, value) {
			return false
		}
	}
	return true
}

func child(value any) map[string]any {
	fields, _ := value.(map[string]any)
	return fields
}
