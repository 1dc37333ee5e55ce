// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mesh"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// lookup finds out who the own cluster is.
func lookup(ctx context.Context, reader client.Reader, opts Options) (translate.Cluster, error) {
	system := &corev1.Namespace{}
	if err := reader.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, system); err != nil {
		return translate.Cluster{}, fmt.Errorf("reading the uid of namespace %s: %w", metav1.NamespaceSystem, err)
	}
	domain, err := trustDomain(ctx, reader, opts)
	if err != nil {
		return translate.Cluster{}, err
	}
	return translate.Cluster{
		ID:          opts.ClusterID,
		UID:         string(system.UID),
		TrustDomain: domain,
		Identities: v1alpha1.Identities{
			Egress:  translate.Identity(domain, opts.EgressServiceAccount),
			Ingress: translate.Identity(domain, opts.IngressServiceAccount),
		},
		Controller:    translate.Identity(domain, v1alpha1.ControllerName),
		DummyServices: opts.DummyServices,
	}, nil
}

func trustDomain(ctx context.Context, reader client.Reader, opts Options) (string, error) {
	if opts.TrustDomain != "" {
		return opts.TrustDomain, nil
	}
	key := types.NamespacedName{Namespace: opts.IstioNamespace, Name: mesh.ConfigMapName(opts.IstioRevision)}
	config := &corev1.ConfigMap{}
	if err := reader.Get(ctx, key, config); err != nil {
		return "", fmt.Errorf("reading the mesh configuration %s for the trust domain: %w; is Istio installed there? Else set --istio-namespace, --istio-revision or --trust-domain", key, err)
	}
	return mesh.TrustDomain(config.Data)
}

// starter does what a new leader does once: it finds out which keys use paths, and has keys looked at for which no event
// comes, because what they are about went away while nobody looked.
type starter struct{ *core }

// Start runs once the cache is there.
func (s *starter) Start(ctx context.Context) error {
	kinds := s.importKinds()
	written, err := s.applier.Owned(ctx, kinds)
	if err != nil {
		return fmt.Errorf("looking at what was written before: %w", err)
	}
	keys := map[types.NamespacedName]bool{}
	for _, key := range s.advertised(ctx) {
		keys[key] = true
	}
	for _, obj := range written {
		if key, ok := keyOf(ownerOf(obj), "import"); ok {
			keys[key] = true
		}
	}
	// What died between taking an import's objects away and giving its ports back left them in the table.
	// Where the table cannot be read no import can be written either, and each says so.
	held, err := s.ports.Holders(ctx)
	if err != nil {
		s.opts.Log.Error(err, "Ports of imports that are gone are given back at the next start")
	}
	for _, key := range held {
		keys[key] = true
	}
	users := []string{fleetKey}
	for key := range keys {
		users = append(users, importOwner(key))
		s.imports.ask(key)
	}
	s.exports.ask(s.allExports(ctx)...)
	s.fleet.ask(types.NamespacedName{Name: fleetKey})
	s.paths.expect(users)
	return s.sweepPaths(ctx)
}

// cacheSynced is ready once every informer has been filled.
func cacheSynced(cc cache.Cache) healthz.Checker {
	return func(req *http.Request) error {
		ctx, cancel := context.WithTimeout(req.Context(), time.Second)
		defer cancel()
		if !cc.WaitForCacheSync(ctx) {
			return errors.New("caches are not synced")
		}
		return nil
	}
}
