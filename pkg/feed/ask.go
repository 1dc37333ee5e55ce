// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"io"
	"net/http"
)

// Asker finds out whether a peer's feed answers at this moment. A Reader cannot tell: a watch is silent while nothing
// changes, and the end of its connection may be noticed late.
type Asker struct {
	baseURL   func(clusterID string) string
	transport http.RoundTripper
}

// NewAsker asks at the feeds' addresses; nil takes BaseURL and NewTransport().
func NewAsker(baseURL func(clusterID string) string, transport http.RoundTripper) *Asker {
	if baseURL == nil {
		baseURL = BaseURL
	}
	if transport == nil {
		transport = NewTransport()
	}
	return &Asker{baseURL: baseURL, transport: transport}
}

// Answers tells whether the peer has answered a read of its card before ctx ends. Anything but the card is none: it may
// be the word of a gateway on the way.
func (a *Asker) Answers(ctx context.Context, clusterID string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.baseURL(clusterID)+pathPrefix+resourceCard+"?limit=1", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := a.transport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody)) // so that the connection can be used again
	return resp.StatusCode == http.StatusOK
}
