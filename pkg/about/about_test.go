// SPDX-License-Identifier: Apache-2.0

package about_test

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/l7mp/mc-wan/pkg/about"
)

// served is an API server that serves these kinds by version; err, if set, is what it answers.
type served struct {
	discovery.DiscoveryInterface
	kinds map[string]string
	err   error
}

func (s served) ServerResourcesForGroupVersion(gv string) (*metav1.APIResourceList, error) {
	kind, ok := s.kinds[gv]
	switch {
	case s.err != nil:
		return nil, s.err
	case !ok:
		return nil, apierrors.NewNotFound(schema.GroupResource{}, gv)
	}
	return &metav1.APIResourceList{GroupVersion: gv, APIResources: []metav1.APIResource{{Kind: kind}}}, nil
}

func TestServed(t *testing.T) {
	beta, alpha, refused := about.Group+"/v1beta1", about.Group+"/v1alpha1", errors.New("refused")
	for name, c := range map[string]struct {
		server served
		want   string
		err    error
	}{
		"nothing":                  {served{}, "", nil},
		"the old one":              {served{kinds: map[string]string{alpha: about.Kind}}, "v1alpha1", nil},
		"both":                     {served{kinds: map[string]string{alpha: about.Kind, beta: about.Kind}}, "v1beta1", nil},
		"another kind":             {served{kinds: map[string]string{beta: "Else"}}, "", nil},
		"unreadable is not absent": {served{err: refused}, "", refused},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := about.Served(c.server)
			if got.Version != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestProblem(t *testing.T) {
	property := func(name, value string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": name}, "spec": map[string]any{"value": value}}}
	}
	for name, c := range map[string]struct {
		property *unstructured.Unstructured
		says     string
	}{
		"the same id":      {property(about.ClusterIDProperty, "cluster-1"), ""},
		"another id":       {property(about.ClusterIDProperty, "cluster-2"), `"cluster-2"`},
		"another property": {property("clusterset.k8s.io", "fleet"), ""},
		"no value":         {&unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": about.ClusterIDProperty}}}, `""`},
		"a long value":     {property(about.ClusterIDProperty, strings.Repeat("x", 100000)), "..."},
	} {
		t.Run(name, func(t *testing.T) {
			got := about.Problem("cluster-1", c.property)
			switch {
			case (got != nil) != (c.says != ""):
				t.Errorf("got %+v", got)
			case got != nil && (got.Reason != about.ReasonClusterID || !strings.Contains(got.Message, c.says) || len(got.Message) > 1000):
				t.Errorf("got %+v", got)
			}
		})
	}
}
