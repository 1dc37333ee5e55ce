// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// maxBody bounds what a request may carry: 65535 classes fit.
const maxBody = 4 << 20

// failure is the body of every answer that is not a success.
type failure struct {
	Error string `json:"error"`
}

// newControl returns the control API:
//
//	GET    /v1/status                       -> Status
//	GET    /v1/counters                     -> Counters
//	DELETE /v1/counters                        all to zero
//	PATCH  /v1/tunnels/NAME?from=SITE&to=SITE  Patch; NAME may be *, from and to default to *
//	POST   /v1/heal                            all tunnels as configured, and up
//	PUT    /v1/classes                         Classes, instead of all that were there
//	PUT    /v1/sites/NAME                      Site -> SiteStatus
//	DELETE /v1/sites/NAME
func newControl(r *router) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			req.Body = http.MaxBytesReader(w, req.Body, maxBody)
			v, err := f(req)
			answer(w, v, err)
		})
	}
	handle("GET /v1/status", func(*http.Request) (any, error) { return r.status(), nil })
	handle("GET /v1/counters", func(*http.Request) (any, error) { return r.counters(), nil })
	handle("DELETE /v1/counters", func(*http.Request) (any, error) {
		r.resetCounters()
		return nil, nil
	})
	handle("PATCH /v1/tunnels/{name}", func(req *http.Request) (any, error) { return nil, patchTunnel(r, req) })
	handle("POST /v1/heal", func(*http.Request) (any, error) {
		r.heal()
		return nil, nil
	})
	handle("PUT /v1/classes", func(req *http.Request) (any, error) {
		var c Classes
		if err := decode(req, &c); err != nil {
			return nil, err
		}
		return nil, r.setClasses(c)
	})
	handle("PUT /v1/sites/{name}", func(req *http.Request) (any, error) {
		var s Site
		if err := decode(req, &s); err != nil {
			return nil, err
		}
		s.Name = req.PathValue("name")
		return r.putSite(s)
	})
	handle("DELETE /v1/sites/{name}", func(req *http.Request) (any, error) { return nil, r.removeSite(req.PathValue("name")) })
	return mux
}

func patchTunnel(r *router, req *http.Request) error {
	var p Patch
	if err := decode(req, &p); err != nil {
		return err
	}
	if p.Empty() {
		return errors.New("settings: none is given; name at least one to change, such as latency")
	}
	from, to := req.URL.Query().Get("from"), req.URL.Query().Get("to")
	if from == "" {
		from = Wildcard
	}
	if to == "" {
		to = Wildcard
	}
	return r.set(req.PathValue("name"), from, to, p)
}

func decode(req *http.Request, into any) error {
	d := json.NewDecoder(req.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("request body: %w", err)
	}
	return nil
}

// answer writes v, or nothing for a nil v, or err.
func answer(w http.ResponseWriter, v any, err error) {
	code := http.StatusOK
	switch {
	case errors.Is(err, ErrNotFound):
		code, v = http.StatusNotFound, failure{Error: err.Error()}
	case err != nil:
		code, v = http.StatusBadRequest, failure{Error: err.Error()}
	case v == nil:
		code = http.StatusNoContent
	}
	if v == nil {
		w.WriteHeader(code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// The status line is out, so a client that went away is all that can be wrong, and nobody is left to tell.
	_ = json.NewEncoder(w).Encode(v)
}
