// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// drains knows which draining advertisements this cluster no longer relies on. An exporter that waits for it takes its
// route away when all peers say so.
type drains struct {
	settle time.Duration
	now    func() time.Time

	mu sync.Mutex
	// avoided says since when the legs of a service avoid a draining exporter.
	avoided map[types.NamespacedName]map[drain]time.Time
}

// drain is one draining advertisement. Its deadline tells it from an earlier one of the same service.
type drain struct {
	cluster  string
	deadline int64
}

func newDrains(settle time.Duration, now func() time.Time) *drains {
	return &drains{settle: settle, now: now, avoided: map[types.NamespacedName]map[drain]time.Time{}}
}

func drainOf(spec *v1alpha1.ServiceAdvertisementSpec) drain {
	d := drain{cluster: spec.ClusterID}
	if spec.DrainDeadline != nil {
		d.deadline = spec.DrainDeadline.Unix()
	}
	return d
}

// avoid notes that what stands for the service was written with knowledge of these advertisements. It returns whether
// that changes what is acknowledged, and after which time it will.
func (d *drains) avoid(service types.NamespacedName, advertisements []v1alpha1.ServiceAdvertisement) (changed bool, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before, now := d.avoided[service], d.now()
	after := map[drain]time.Time{}
	for i := range advertisements {
		if !advertisements[i].Spec.Draining {
			continue
		}
		key := drainOf(&advertisements[i].Spec)
		since, known := before[key]
		if !known {
			since = now
		}
		after[key] = since
		if left := since.Add(d.settle).Sub(now); left > 0 {
			wait = max(wait, left)
		} else {
			changed = true
		}
	}
	for key, since := range before {
		if _, still := after[key]; !still && !since.Add(d.settle).After(now) {
			changed = true
		}
	}
	if len(after) == 0 {
		delete(d.avoided, service)
	} else {
		d.avoided[service] = after
	}
	return changed, wait
}

// acknowledged tells whether a draining advertisement is no longer relied on here.
func (d *drains) acknowledged(spec *v1alpha1.ServiceAdvertisementSpec) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	since, ok := d.avoided[types.NamespacedName{Namespace: spec.Namespace, Name: spec.Name}][drainOf(spec)]
	return ok && !since.Add(d.settle).After(d.now())
}

// acks are the acknowledgements of other clusters' advertisements, sorted, as the card carries them.
func (d *drains) acks(self string) []v1alpha1.DrainAck {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []v1alpha1.DrainAck
	for service, avoided := range d.avoided {
		for key, since := range avoided {
			if key.cluster != self && !since.Add(d.settle).After(d.now()) {
				out = append(out, v1alpha1.DrainAck{ClusterID: key.cluster, Namespace: service.Namespace, Name: service.Name, Deadline: key.deadline})
			}
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.DrainAck) int {
		return cmp.Or(cmp.Compare(a.ClusterID, b.ClusterID), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Deadline, b.Deadline))
	})
	return out
}

// acknowledges tells whether a card acknowledges a draining advertisement.
func acknowledges(card *v1alpha1.ClusterAdvertisementSpec, spec *v1alpha1.ServiceAdvertisementSpec) bool {
	want := v1alpha1.DrainAck{ClusterID: spec.ClusterID, Namespace: spec.Namespace, Name: spec.Name, Deadline: drainOf(spec).deadline}
	return slices.Contains(card.Drained, want)
}
