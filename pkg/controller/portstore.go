// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/snapshot"
)

// portStore keeps the table of leg ports: a value in one ConfigMap, written with a resourceVersion precondition before
// anything uses a port, so that two controllers that both believe to lead cannot give one port to two services. Changes
// that are asked for while one is being written are written together.
type portStore struct {
	client client.Client
	// reader reads from the API server: neither the table nor the Services that it is repaired by may be older than the
	// last write.
	reader client.Reader
	report func(ports.Finding)

	mu      sync.Mutex
	current *corev1.ConfigMap
	table   ports.Table
	pending []*portRequest

	writing sync.Mutex
}

func newPortStore(c client.Client, reader client.Reader, report func(ports.Finding)) *portStore {
	return &portStore{client: c, reader: reader, report: report, table: ports.New()}
}

// portRequest is one change to be made.
type portRequest struct {
	change func(ports.Table) ports.Table
	done   bool
	err    error
}

// Table is the table as it stands on the API server.
func (s *portStore) Table() ports.Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table
}

// Loaded tells whether Table is what stands; before the first Update it is empty.
func (s *portStore) Loaded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil
}

// Holders are the services that have ports in the table as it stands on the API server, sorted.
func (s *portStore) Holders(ctx context.Context) ([]types.NamespacedName, error) {
	if err := s.Update(ctx, func(table ports.Table) ports.Table { return table }); err != nil {
		return nil, err
	}
	var out []types.NamespacedName
	for _, k := range s.Table().Keys() {
		out = append(out, types.NamespacedName{Namespace: k.Namespace, Name: k.Name})
	}
	return slices.Compact(out), nil
}

// Update changes the table and returns when the change is on the API server. change may be called more than once.
func (s *portStore) Update(ctx context.Context, change func(ports.Table) ports.Table) error {
	request := &portRequest{change: change}
	s.mu.Lock()
	s.pending = append(s.pending, request)
	s.mu.Unlock()

	s.writing.Lock()
	defer s.writing.Unlock()
	if request.done {
		return request.err
	}
	s.mu.Lock()
	batch := s.pending
	s.pending = nil
	s.mu.Unlock()
	err := s.commit(ctx, batch)
	for _, r := range batch {
		r.done, r.err = true, err
	}
	return err
}

// commit writes a batch of changes, on top of what another controller may have written.
func (s *portStore) commit(ctx context.Context, batch []*portRequest) error {
	const attempts = 5
	for range attempts {
		if err := s.load(ctx); err != nil {
			return err
		}
		next := s.Table()
		for _, r := range batch {
			next = r.change(next)
		}
		err := s.store(ctx, next)
		if err == nil {
			return nil
		}
		s.forget() // whatever went wrong, the table may have been written
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return errors.New("the table of leg ports is being changed by someone else all the time")
}

// forget makes the next load read the table again.
func (s *portStore) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
}

// load reads the table where it is not known, and brings it in line with the live derived Services.
func (s *portStore) load(ctx context.Context) error {
	s.mu.Lock()
	known := s.current != nil
	s.mu.Unlock()
	if known {
		return nil
	}
	found := &corev1.ConfigMap{}
	err := s.reader.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: snapshot.PortTableName}, found)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the table of leg ports: %w", err)
	}
	table, err := ports.Parse(found.Data)
	if errors.Is(err, ports.ErrCorrupt) {
		s.report(ports.Finding{Message: err.Error()})
		table, err = ports.New(), nil
	}
	if err != nil {
		return fmt.Errorf("reading the table of leg ports: %w", err)
	}
	live, err := observePorts(ctx, s.reader)
	if err != nil {
		return fmt.Errorf("repairing the table of leg ports: %w", err)
	}
	table, findings := table.Repair(live)
	for _, finding := range findings {
		s.report(finding)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.table = found, table
	return nil
}

// observePorts reads which leg ports the derived Services use. It asks the API server, not the cache: in a cache that lags
// behind stand Services of imports that are gone, whose ports have been given back and must not be taken into use again.
// One that is being deleted has lost its import as well.
func observePorts(ctx context.Context, reader client.Reader) ([]ports.Observation, error) {
	var list corev1.ServiceList
	if err := reader.List(ctx, &list, client.InNamespace(v1alpha1.Namespace),
		client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ValueManagedBy}); err != nil {
		return nil, fmt.Errorf("listing derived Services: %w", err)
	}
	var out []ports.Observation
	for i := range list.Items {
		service := &list.Items[i]
		if key, ok := keyOf(ownerOf(service), "import"); ok && service.DeletionTimestamp == nil {
			out = append(out, snapshot.ObservedPorts(key, service)...)
		}
	}
	return out, nil
}

// store writes the table if it differs from what stands.
func (s *portStore) store(ctx context.Context, table ports.Table) error {
	data, err := table.Data()
	if err != nil {
		return fmt.Errorf("writing the table of leg ports: %w", err)
	}
	s.mu.Lock()
	object := s.current.DeepCopy()
	s.mu.Unlock()
	if object.ResourceVersion == "" {
		object = emptyPortTable()
	}
	if !maps.Equal(object.Data, data) {
		object.Data = data
		if err := s.write(ctx, object); err != nil {
			return fmt.Errorf("writing the table of leg ports: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.table = object, table
	return nil
}

// write creates or updates; the resourceVersion that object was read with is the precondition.
func (s *portStore) write(ctx context.Context, object *corev1.ConfigMap) error {
	if object.ResourceVersion == "" {
		return s.client.Create(ctx, object)
	}
	return s.client.Update(ctx, object)
}

func emptyPortTable() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: v1alpha1.Namespace,
		Name:      snapshot.PortTableName,
		Labels:    map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ValueManagedBy, v1alpha1.LabelPart: v1alpha1.PartFleet},
	}}
}
