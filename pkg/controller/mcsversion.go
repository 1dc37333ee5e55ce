// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/l7mp/mc-wan/pkg/mcsapi"
)

// mcsInUse is the version of the Multi-Cluster Services API that this life of the process reads and writes.
type mcsInUse struct{ mcsapi.API }

func discoverMCS(cfg *rest.Config) (mcsInUse, error) {
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return mcsInUse{}, fmt.Errorf("asking which version of the Multi-Cluster Services API is served: %w", err)
	}
	api, err := mcsapi.Discover(client)
	if err != nil {
		return mcsInUse{}, err
	}
	return mcsInUse{API: api}, nil
}

// vanished looks, when a kind is not served any more, whether the API has moved to another version; then the process
// ends, to be started anew with that one. Until then everything stays as it was last read.
func (m mcsInUse) vanished(cfg *rest.Config, restart func(error)) toolscache.WatchErrorHandlerWithContext {
	return func(ctx context.Context, r *toolscache.Reflector, err error) {
		toolscache.DefaultWatchErrorHandler(ctx, r, err)
		if !apierrors.IsNotFound(err) {
			return
		}
		if now, err := discoverMCS(cfg); err == nil && now.Version != m.Version {
			restart(fmt.Errorf("version %s of the Multi-Cluster Services API is not served any more, %s is", m.Version, now.Version))
		}
	}
}
