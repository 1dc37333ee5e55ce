// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Ref names one object.
type Ref struct {
	schema.GroupVersionKind
	Namespace, Name string
}

// RefOf returns the name of obj, whose TypeMeta must be set.
func RefOf(obj client.Object) Ref {
	return Ref{GroupVersionKind: obj.GetObjectKind().GroupVersionKind(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// String renders r as Kind namespace/name.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// configuration is the apply configuration of obj: what we state about it and nothing else. Status and everything that
// the API server fills in is left out.
func configuration(obj client.Object) (map[string]any, error) {
	content, err := toMap(obj)
	if err != nil {
		return nil, err
	}
	delete(content, "status")
	content["metadata"] = statedMetadata(obj)
	return content, identify(content, obj)
}

// statusConfiguration is the apply configuration of the status of obj.
func statusConfiguration(obj client.Object) (map[string]any, error) {
	content, err := toMap(obj)
	if err != nil {
		return nil, err
	}
	status, ok := content["status"]
	if !ok {
		status = map[string]any{}
	}
	out := map[string]any{"status": status, "metadata": nameOf(obj)}
	return out, identify(out, obj)
}

// toMap converts obj to plain JSON values, without nulls: in an apply configuration a null would claim the field.
func toMap(obj any) (map[string]any, error) {
	raw, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", obj, err)
	}
	var content map[string]any
	if err := utiljson.Unmarshal(raw, &content); err != nil {
		return nil, fmt.Errorf("decoding %T: %w", obj, err)
	}
	return withoutNulls(content).(map[string]any), nil
}

func withoutNulls(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, field := range v {
			if field == nil {
				delete(v, key)
				continue
			}
			v[key] = withoutNulls(field)
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return value
}

func identify(content map[string]any, obj client.Object) error {
	gvk := obj.GetObjectKind().GroupVersionKind()
	if gvk.Empty() {
		return fmt.Errorf("%T has no apiVersion and kind; set its TypeMeta", obj)
	}
	content["apiVersion"], content["kind"] = gvk.ToAPIVersionAndKind()
	return nil
}

func nameOf(obj client.Object) map[string]any {
	meta := map[string]any{"name": obj.GetName()}
	if ns := obj.GetNamespace(); ns != "" {
		meta["namespace"] = ns
	}
	return meta
}

func statedMetadata(obj client.Object) map[string]any {
	meta := nameOf(obj)
	if labels := obj.GetLabels(); len(labels) > 0 {
		meta["labels"] = anyMap(labels)
	}
	if annotations := obj.GetAnnotations(); len(annotations) > 0 {
		meta["annotations"] = anyMap(annotations)
	}
	return meta
}

func anyMap(in map[string]string) map[string]any {
	out := make(map[string]any, len(in))
	for key, value := range in {
		out[key] = value
	}
	return out
}

// digest identifies a configuration; encoding/json sorts the keys of maps.
func digest(content map[string]any) ([sha256.Size]byte, error) {
	var buf bytes.Buffer
	if err := json.NewEncoder(&buf).Encode(content); err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("encoding configuration: %w", err)
	}
	return sha256.Sum256(buf.Bytes()), nil
}

func copyOf(content map[string]any) *unstructured.Unstructured {
	return (&unstructured.Unstructured{Object: content}).DeepCopy()
}

// Ours tells whether mc-wan has written obj: only then is it changed or deleted. An object with a controller is that
// controller's, whatever its labels: Kubernetes copies the labels of a Service to the EndpointSlices it makes for it, and
// nothing we write has an owner reference.
func Ours(obj metav1.Object, label, value string) bool {
	return obj.GetLabels()[label] == value && metav1.GetControllerOf(obj) == nil
}
