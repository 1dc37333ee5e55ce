// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What of an object leaves the cluster: its name, its versions and its spec. Labels, annotations, managed fields and
// owners are the own cluster's business.
type served struct {
	APIVersion string          `json:"apiVersion,omitempty"`
	Kind       string          `json:"kind,omitempty"`
	Metadata   servedMeta      `json:"metadata"`
	Spec       json.RawMessage `json:"spec,omitempty"`
}

type servedMeta struct {
	Name              string          `json:"name,omitempty"`
	Namespace         string          `json:"namespace,omitempty"`
	UID               string          `json:"uid,omitempty"`
	ResourceVersion   string          `json:"resourceVersion,omitempty"`
	CreationTimestamp json.RawMessage `json:"creationTimestamp,omitempty"`
}

type servedPage struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		ResourceVersion    string `json:"resourceVersion,omitempty"`
		Continue           string `json:"continue,omitempty"`
		RemainingItemCount *int64 `json:"remainingItemCount,omitempty"`
	} `json:"metadata"`
	Items []served `json:"items"`
}

// stripPage strips a page of a list as the API server sent it.
func stripPage(data []byte) (*servedPage, error) {
	page := &servedPage{Items: []served{}}
	if err := json.Unmarshal(data, page); err != nil {
		return nil, fmt.Errorf("decode a list of the API server: %w", err)
	}
	return page, nil
}

// stripEvent strips one event of a watch, and ends it with a newline. The Status of an error is passed on without its
// details.
func stripEvent(event metav1.WatchEvent) ([]byte, error) {
	var object any = &served{}
	if event.Type == "ERROR" {
		object = &metav1.Status{}
	}
	if err := json.Unmarshal(event.Object.Raw, object); err != nil {
		return nil, fmt.Errorf("decode an event of the API server: %w", err)
	}
	if status, ok := object.(*metav1.Status); ok {
		status.Details = nil
		status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"} // without them it cannot be decoded
	}
	data, err := json.Marshal(struct {
		Type   string `json:"type"`
		Object any    `json:"object"`
	}{event.Type, object})
	if err != nil {
		return nil, fmt.Errorf("encode an event: %w", err)
	}
	return append(data, '\n'), nil
}
