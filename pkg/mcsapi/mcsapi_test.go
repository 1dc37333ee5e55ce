// SPDX-License-Identifier: Apache-2.0

package mcsapi

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// served is an API server that serves these kinds by version; err, if set, is what it answers.
type served struct {
	discovery.DiscoveryInterface
	kinds map[string][]string
	err   error
}

func (s served) ServerResourcesForGroupVersion(gv string) (*metav1.APIResourceList, error) {
	kinds, ok := s.kinds[gv]
	switch {
	case s.err != nil:
		return nil, s.err
	case !ok:
		return nil, apierrors.NewNotFound(schema.GroupResource{}, gv)
	}
	out := &metav1.APIResourceList{GroupVersion: gv}
	for _, kind := range kinds {
		out.APIResources = append(out.APIResources, metav1.APIResource{Kind: kind})
	}
	return out, nil
}

func TestServed(t *testing.T) {
	both := []string{"ServiceExport", "ServiceImport"}
	beta, alpha := "multicluster.x-k8s.io/v1beta1", "multicluster.x-k8s.io/v1alpha1"
	refused := errors.New("refused")
	for name, tc := range map[string]struct {
		server served
		want   string
		err    error
	}{
		"both":                      {served{kinds: map[string][]string{beta: both, alpha: both}}, "v1beta1", nil},
		"the old one":               {served{kinds: map[string][]string{alpha: both}}, "v1alpha1", nil},
		"the new one by half":       {served{kinds: map[string][]string{beta: {"ServiceExport"}, alpha: both}}, "v1alpha1", nil},
		"neither":                   {served{}, "", ErrNotServed},
		"unreadable is not neither": {served{err: refused}, "", refused},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Served(tc.server)
			absent := errors.Is(tc.err, ErrNotServed)
			if got != tc.want || !errors.Is(err, tc.err) || errors.Is(err, ErrNotServed) != absent {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// The types of v1beta1 are written as what is served, and as nothing else.
func TestAddToScheme(t *testing.T) {
	for _, version := range Versions() {
		scheme := runtime.NewScheme()
		if err := AddToScheme(version)(scheme); err != nil {
			t.Fatal(err)
		}
		kinds, _, err := scheme.ObjectKinds(&mcsv1beta1.ServiceImport{})
		if err != nil || len(kinds) != 1 || kinds[0] != (API{Version: version}).Kind("ServiceImport") {
			t.Errorf("%s: kinds %v: %v", version, kinds, err)
		}
	}
}

func TestTrim(t *testing.T) {
	api := API{Version: "v1alpha1", fields: map[string]map[string][]string{"ServiceImport": {"status": {"clusters"}}}}
	object := func(apiVersion string) map[string]any {
		return map[string]any{
			"apiVersion": apiVersion, "kind": "ServiceImport", "spec": map[string]any{"ipFamilies": []any{"IPv4"}},
			"status": map[string]any{"clusters": []any{}, "endpointSliceObjects": "Present"},
		}
	}
	got := object("multicluster.x-k8s.io/v1alpha1")
	api.Trim(got)
	want := object("multicluster.x-k8s.io/v1alpha1")
	delete(want["status"].(map[string]any), "endpointSliceObjects")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, other := range []string{"mc-wan.l7mp.io/v1alpha1", "v1"} {
		got := object(other)
		api.Trim(got)
		if diff := cmp.Diff(object(other), got); diff != "" {
			t.Errorf("%s is not concerned:\n%s", other, diff)
		}
	}
}
