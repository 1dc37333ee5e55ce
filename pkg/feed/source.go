// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// listAttempts is how often a list is begun anew whose continue token expired (410) on the way.
const listAttempts = 3

// newClient makes the REST client of one peer's feed.
func newClient(baseURL string, transport http.RoundTripper) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	gv := v1alpha1.GroupVersion()
	scheme.AddKnownTypeWithName(gv.WithKind(v1alpha1.ServiceAdvertisementKind), &item{})
	scheme.AddKnownTypeWithName(gv.WithKind(v1alpha1.ClusterAdvertisementKind), &item{})
	metav1.AddToGroupVersion(scheme, gv)
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // Status
	config := &rest.Config{
		Host:    baseURL,
		APIPath: "/apis",
		QPS:     -1, // the guard limits, watches too
		ContentConfig: rest.ContentConfig{
			GroupVersion:         &gv,
			ContentType:          runtime.ContentTypeJSON,
			AcceptContentTypes:   runtime.ContentTypeJSON,
			NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
		},
	}
	client, err := rest.RESTClientForConfigAndClient(config, &http.Client{Transport: transport})
	if err != nil {
		return nil, fmt.Errorf("client for the feed %s: %w", baseURL, err)
	}
	return client, nil
}

// source lists and watches one kind of a peer's feed for a reflector.
type source struct {
	client   rest.Interface
	kind     string
	resource string
	limits   ReaderLimits
	timing   Timing
	// failed takes what went wrong with a list or watch.
	failed func(p problem, cause error)
	// opened is called when a watch begins, what it returns when that watch ends.
	opened func() func()
}

// IsWatchListSemanticsUnSupported keeps the reflector from streamed lists (client-go/util/watchlist): pages are what
// can be bounded, and what the server of a feed lets through.
func (s *source) IsWatchListSemanticsUnSupported() bool { return true }

// List is ListWithContext without a context, as cache.ListerWatcher wants it.
func (s *source) List(opts metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), opts)
}

// Watch is WatchWithContext without a context, as cache.ListerWatcher wants it.
func (s *source) Watch(opts metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), opts)
}

// ListWithContext reads all pages. The reflector's own pager is not used: when a continue token expires it asks for
// everything in one answer, and a server that answers in pages nevertheless would make half a list of that. The list
// is a consistent one of now, whatever resource version the reflector proposes.
func (s *source) ListWithContext(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	var err error
	for range listAttempts {
		var list *itemList
		if list, err = s.pages(ctx); err == nil {
			return list, nil
		}
		if !apierrors.IsGone(err) && !apierrors.IsResourceExpired(err) {
			break
		}
	}
	if ctx.Err() == nil {
		failure := asCallError(&call{}, err)
		s.failed(failure.problem, failure.cause)
	}
	return nil, fmt.Errorf("list %s: %w", s.resource, opaque{err})
}

// opaque hides what an error is from the reflector, which has own ways with some of them.
type opaque struct{ error }

func (s *source) pages(ctx context.Context) (*itemList, error) {
	all := &itemList{}
	var held int64
	for token, first := "", true; first || token != ""; first = false {
		page, size, err := s.page(ctx, token, s.limits.MaxAdvertisements-len(all.Items))
		if err != nil {
			return nil, err
		}
		if held += size; held > s.limits.MaxHeldBytes {
			return nil, &callError{problem: tooMuch(s.limits)}
		}
		if len(page.Items) == 0 && page.Continue != "" {
			return nil, &callError{problem: unreadable("the peer's feed answers with empty pages")}
		}
		token, all.ListMeta = page.Continue, page.ListMeta
		all.Items = append(all.Items, page.Items...)
	}
	all.Continue = ""
	return all, nil
}

func (s *source) page(ctx context.Context, token string, room int) (*itemList, int64, error) {
	c := &call{}
	ctx, cancel := context.WithTimeout(withCall(ctx, c), s.timing.ListTimeout)
	defer cancel()
	req := s.client.Get().Namespace(v1alpha1.Namespace).Resource(s.resource).MaxRetries(0).
		Param("limit", strconv.FormatInt(s.limits.PageSize, 10))
	if token != "" {
		req.Param("continue", token)
	}
	data, err := req.Do(ctx).Raw()
	if err != nil {
		if p, _ := c.failure(); p.none() && apierrors.IsGone(err) {
			return nil, 0, err // looked at by ListWithContext
		}
		return nil, 0, asCallError(c, err)
	}
	page, err := decodePage(data, s.kind, room)
	switch {
	case errors.Is(err, errTooManyItems):
		return nil, 0, &callError{tooMany(s.limits), err}
	case err != nil:
		return nil, 0, asCallError(c, err)
	}
	return page, int64(len(data)), nil
}

func tooMany(l ReaderLimits) problem {
	return unreadable("the peer publishes more than %d advertisements", l.MaxAdvertisements)
}

func tooMuch(l ReaderLimits) problem {
	return unreadable("the peer publishes more than %d bytes of advertisements", l.MaxHeldBytes)
}

// WatchWithContext watches from the resource version on.
func (s *source) WatchWithContext(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	c := &call{watch: true}
	req := s.client.Get().Namespace(v1alpha1.Namespace).Resource(s.resource).MaxRetries(0).
		Param("watch", "true").Param("allowWatchBookmarks", "true").Param("resourceVersion", opts.ResourceVersion)
	if opts.TimeoutSeconds != nil {
		req.Param("timeoutSeconds", strconv.FormatInt(*opts.TimeoutSeconds, 10))
	}
	inner, err := req.Watch(withCall(ctx, c))
	if p, cause := c.failure(); err == nil && !p.none() {
		inner.Stop() // client-go made an empty watch of the failure
		err = &callError{p, cause}
	}
	if err != nil {
		if ctx.Err() == nil && !apierrors.IsGone(err) {
			failure := asCallError(c, err)
			s.failed(failure.problem, failure.cause)
		}
		return nil, fmt.Errorf("watch %s: %w", s.resource, opaque{err})
	}
	return newStream(s, c, inner, s.opened()), nil
}
