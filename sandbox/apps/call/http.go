// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// answer is what this client reads of command echo's.
type answer struct {
	Pod     string `json:"pod"`
	Cluster string `json:"cluster"`
	Path    string `json:"path"`
	Proto   string `json:"proto"`
}

// callHTTP sends requests on one connection: it never opens a second one.
func callHTTP(ctx context.Context, o options, out *result) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!o.h2)
	protocols.SetUnencryptedHTTP2(o.h2)
	return requests(ctx, o, out, &http.Transport{Protocols: protocols, MaxConnsPerHost: 1})
}

// callHTTPS does not care who signed the certificate: it says whose it was.
func callHTTPS(ctx context.Context, o options, out *result) error {
	return requests(ctx, o, out, &http.Transport{
		MaxConnsPerHost:   1,
		ForceAttemptHTTP2: o.h2,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a test wants to see the name
	})
}

func requests(ctx context.Context, o options, out *result, transport *http.Transport) error {
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	return messages(ctx, o, out, func(text string) (string, error) {
		a, state, err := get(ctx, client, o.target+"?"+url.Values{"text": {text}}.Encode())
		if err != nil {
			return "", err
		}
		if state != nil && len(state.PeerCertificates) > 0 {
			out.Certificate = state.PeerCertificates[0].Subject.CommonName
		}
		out.Pod, out.Cluster, out.Proto = a.Pod, a.Cluster, a.Proto
		u, err := url.Parse(a.Path)
		if err != nil {
			return "", err
		}
		return u.Query().Get("text"), nil
	})
}

func get(ctx context.Context, client *http.Client, target string) (answer, *tls.ConnectionState, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return answer{}, nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, nil, err
	}
	a, err := decode(res)
	return a, res.TLS, err
}

// decode reads an answer to its end, so that the connection can be used again.
func decode(res *http.Response) (answer, error) {
	defer func() { _ = res.Body.Close() }() // nothing is read from it any more
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	if res.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("status %s", res.Status)
	}
	a := answer{}
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fmt.Errorf("not an answer of the echo backend: %w", err)
	}
	return a, nil
}
