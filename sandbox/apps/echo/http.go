// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// maxDelay bounds /delay: longer than any timeout a test would set.
const maxDelay = 10 * time.Minute

// maxDownload bounds /download, in bytes.
const maxDownload = 1 << 30

// answer is what a backend saw of a request, and who it is.
type answer struct {
	Pod       string              `json:"pod"`
	Cluster   string              `json:"cluster"`
	Namespace string              `json:"namespace"`
	Host      string              `json:"host"` // the authority as it arrived
	Method    string              `json:"method"`
	Path      string              `json:"path"` // with the query
	Headers   map[string][]string `json:"headers"`
	Proto     string              `json:"proto"`         // HTTP/1.1 or HTTP/2.0
	Read      int64               `json:"read,omitzero"` // bytes of the body, where the path reads it
}

// httpEcho answers HTTP requests with themselves.
type httpEcho struct {
	id      identity
	unready atomic.Bool
	server  *http.Server
}

func newHTTP(id identity) *httpEcho {
	e := &httpEcho{id: id}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { e.echo(w, r, http.StatusOK) })
	mux.HandleFunc("/status/{code}", e.status)
	mux.HandleFunc("/delay/{duration}", e.delay)
	mux.HandleFunc("/ws", e.webSocket)
	mux.HandleFunc("/upload", e.upload)
	mux.HandleFunc("/download/{bytes}", e.download)
	mux.HandleFunc("/reset", e.reset)
	mux.HandleFunc("/healthz", e.healthz)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)            // by ALPN, on the TLS port
	protocols.SetUnencryptedHTTP2(true) // h2c by prior knowledge, as gRPC and Envoy speak it inside a cluster
	e.server = &http.Server{Handler: mux, Protocols: protocols, ReadHeaderTimeout: 30 * time.Second}
	return e
}

func (e *httpEcho) healthz(w http.ResponseWriter, _ *http.Request) {
	if e.unready.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n") // a probe that went away asks again
}

func (e *httpEcho) status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		http.Error(w, "status: want a number from 200 to 599", http.StatusBadRequest)
		return
	}
	e.echo(w, r, code)
}

func (e *httpEcho) delay(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.PathValue("duration"))
	if err != nil || d < 0 || d > maxDelay {
		http.Error(w, "delay: want a duration such as 250ms, at most 10m", http.StatusBadRequest)
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		e.echo(w, r, http.StatusOK)
	case <-r.Context().Done():
	}
}

// reset begins to answer and breaks the connection.
func (e *httpEcho) reset(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(w).Flush(); err != nil {
		slog.Debug("answer not begun", "error", err)
	}
	panic(http.ErrAbortHandler) // how net/http is told to break a connection
}

// upload answers when it has read the whole body; the other paths leave the body alone.
func (e *httpEcho) upload(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, "upload: "+err.Error(), http.StatusBadRequest)
		return
	}
	e.answer(w, r, http.StatusOK, n)
}

// download answers with as many zeros as it is asked for.
func (e *httpEcho) download(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("bytes"), 10, 64)
	if err != nil || n < 0 || n > maxDownload {
		http.Error(w, "download: want a number of bytes, at most 1073741824", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	if _, err := io.CopyN(w, zeros{}, n); err != nil {
		slog.Debug("answer not written", "path", r.URL.Path, "error", err)
	}
}

// zeros are read for ever.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (e *httpEcho) echo(w http.ResponseWriter, r *http.Request, code int) { e.answer(w, r, code, 0) }

func (e *httpEcho) answer(w http.ResponseWriter, r *http.Request, code int, read int64) {
	body, err := json.Marshal(answer{
		Pod: e.id.Pod, Cluster: e.id.Cluster, Namespace: e.id.Namespace,
		Host: r.Host, Method: r.Method, Path: r.URL.RequestURI(), Headers: r.Header, Proto: r.Proto, Read: read,
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if code == http.StatusNoContent || code == http.StatusNotModified {
		return // these have no body by definition
	}
	// A client that went away is no failure of the backend, but worth a line when a test is looked into.
	if _, err := w.Write(append(body, '\n')); err != nil {
		slog.Debug("answer not written", "path", r.URL.Path, "error", err)
	}
}
