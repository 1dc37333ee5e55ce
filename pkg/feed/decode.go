// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Resources that a feed serves.
const (
	resourceAdvertisement = "serviceadvertisements"
	resourceCard          = "clusteradvertisements"
)

// maxAdvertisementBytes bounds one advertisement as JSON. 250 ports and 16 KiB of exported keys fit in it.
const maxAdvertisementBytes = 128 << 10

var (
	errNotAPage     = errors.New("the answer is not a list of the kind that was asked for")
	errTooManyItems = errors.New("the answer holds more items than are taken from one peer")
)

// item is one object of a list or watch of which nothing but the metadata is decoded: one object with a field of a
// wrong type must not make the list that it is in unreadable.
type item struct {
	metav1.TypeMeta
	metav1.ObjectMeta
	kind string // as it was sent: decoders clear the one in TypeMeta
	spec json.RawMessage
}

// UnmarshalJSON takes what it understands and never fails on what is JSON: what is not understood is refused when
// the spec is decoded.
func (o *item) UnmarshalJSON(data []byte) error {
	var top struct {
		metav1.TypeMeta
		Metadata json.RawMessage
		Spec     json.RawMessage
	}
	if err := json.Unmarshal(data, &top); err != nil {
		return nil // an item without name and spec: refused as undecodable
	}
	var meta struct {
		Name            string
		ResourceVersion string
	}
	_ = json.Unmarshal(top.Metadata, &meta) // what is of a wrong type stays empty
	*o = item{
		TypeMeta:   top.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{Name: meta.Name, ResourceVersion: meta.ResourceVersion},
		kind:       top.Kind, spec: top.Spec,
	}
	return nil
}

// DeepCopyObject is what runtime.Object asks for.
func (o *item) DeepCopyObject() runtime.Object {
	c := &item{TypeMeta: o.TypeMeta, kind: o.kind, spec: bytes.Clone(o.spec)}
	o.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	return c
}

// itemList is what the reflector sees of a list.
type itemList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []item
}

// DeepCopyObject is what runtime.Object asks for.
func (l *itemList) DeepCopyObject() runtime.Object {
	c := &itemList{TypeMeta: l.TypeMeta, Items: make([]item, len(l.Items))}
	l.ListMeta.DeepCopyInto(&c.ListMeta)
	for i := range l.Items {
		c.Items[i] = *l.Items[i].DeepCopyObject().(*item)
	}
	return c
}

// decodePage decodes one page of a list of the kind, which may hold at most limit items. An item may be anything; the
// list around it may not.
func decodePage(data []byte, kind string, limit int) (*itemList, error) {
	var top struct {
		APIVersion string
		Kind       string
		Metadata   struct{ ResourceVersion, Continue string }
		Items      json.RawMessage
	}
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotAPage, err)
	}
	if top.Kind != kind+"List" || top.APIVersion != v1alpha1.GroupVersion().String() {
		return nil, fmt.Errorf("%w: apiVersion %s, kind %s", errNotAPage, quote(top.APIVersion), quote(top.Kind))
	}
	list := &itemList{ListMeta: metav1.ListMeta{ResourceVersion: top.Metadata.ResourceVersion, Continue: top.Metadata.Continue}}
	items, err := decodeItems(top.Items, limit)
	if err != nil {
		return nil, err
	}
	list.Items = items
	return list, nil
}

// decodeItems goes through the array item by item: a few megabytes of "{}," would be gigabytes as a slice.
func decodeItems(data json.RawMessage, limit int) ([]item, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	start, err := dec.Token()
	if err != nil || start != json.Delim('[') {
		return nil, fmt.Errorf("%w: items is not an array", errNotAPage)
	}
	var items []item
	for dec.More() {
		if len(items) == limit {
			return nil, errTooManyItems
		}
		var o item
		if err := dec.Decode(&o); err != nil {
			return nil, fmt.Errorf("%w: %w", errNotAPage, err)
		}
		items = append(items, o)
	}
	return items, nil
}

// decodeAdvertisement decodes one advertisement's spec; the refusal says what is wrong with it.
func decodeAdvertisement(o *item) (*v1alpha1.ServiceAdvertisementSpec, verdict) {
	if len(o.spec) > maxAdvertisementBytes {
		return nil, refuse(v1alpha1.RefusedBounds, "the advertisement has %d bytes, at most %d are taken", len(o.spec), maxAdvertisementBytes)
	}
	var spec v1alpha1.ServiceAdvertisementSpec
	if v := decodeSpec(o.spec, &spec); v.reason != "" {
		return nil, v
	}
	return &spec, accept()
}

// decodeCard decodes a card's spec; the refusal says what is wrong with it.
func decodeCard(o *item) (*v1alpha1.ClusterAdvertisementSpec, verdict) {
	var spec v1alpha1.ClusterAdvertisementSpec
	if v := decodeSpec(o.spec, &spec); v.reason != "" {
		return nil, v
	}
	return &spec, accept()
}

func decodeSpec(data json.RawMessage, into any) verdict {
	err := json.Unmarshal(data, into)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil && len(data) > 0 && data[0] == '{':
		return accept()
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return refuse(v1alpha1.RefusedUndecodable, "the field %s has another type than this version of mc-wan reads", quote(wrongType.Field))
	}
	return refuse(v1alpha1.RefusedUndecodable, "the spec is missing or cannot be decoded")
}
