// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

const (
	strictPath = "strict"
	// strictRate is the rate of each of two clients, GET and POST in turn, each request with a header of largeBytes.
	strictRate = 8
	// strictSLA is the latency, in milliseconds, that the Strict policy's service level allows.
	strictSLA = 100
)

// harm is what is done to tunnels, one thing after the other, and what the prober says of the strict one in the end.
type harm struct {
	what string
	set  [][]string // arguments of `mcwan-sandbox wan set`
	says mcw.HopState
}

// setsOthers break every tunnel but the strict one in every way, one after the other and together.
func setsOthers() harm {
	return harm{what: "every other tunnel breaks", says: mcw.HopHealthy, set: [][]string{
		{wayHigh().Tunnel, "--state", "refused"}, {wayLow().Tunnel, "--state", "blackhole"}, {"internet", "--state", "refused"},
		{wayHigh().Tunnel, "--state", "blackhole"}, {wayLow().Tunnel, "--state", "up"}, {wayLow().Tunnel, "--state", "refused"},
	}}
}

// setsStrict harm the strict tunnel only: every other one is a way out, for who would take it.
func setsStrict() []harm {
	lte := wayBackup().Tunnel
	down, up := []string{lte, "--state", "refused"}, []string{lte, "--state", "up"}
	return []harm{
		{what: lte + " loses packets", set: [][]string{{lte, "--loss", "15%"}}, says: mcw.HopDegraded},
		{what: lte + " is too slow", set: [][]string{{lte, "--latency", brownoutLatency}}, says: mcw.HopDegraded},
		{what: lte + " comes and goes", set: [][]string{down, up, down, up, down, up}},
		{what: lte + " " + breaks("refused"), set: [][]string{down}, says: mcw.HopDead},
		{what: lte + " " + breaks("blackhole"), set: [][]string{{lte, "--state", "blackhole"}}, says: mcw.HopDead},
	}
}

// proveStrict has every other tunnel break under the load of a Strict policy: no request fails.
func proveStrict(ctx context.Context, e *Env) error {
	return e.underStrictLoad(ctx, []harm{setsOthers()}, func(r *LoadReport) error {
		if r.Failed > 0 {
			return fmt.Errorf("%d of %d requests failed while their tunnel was well: %v %v", r.Failed, r.Requests, r.Codes, r.Failures)
		}
		return nil
	})
}

// proveStrictHarmed harms the tunnel of the Strict policy under its load: requests fail rather than leave it.
func proveStrictHarmed(ctx context.Context, e *Env) error {
	return e.underStrictLoad(ctx, setsStrict(), func(r *LoadReport) error {
		if r.Failed == 0 {
			return fmt.Errorf("%s, and not one of %d requests failed", breaks("refused"), r.Requests)
		}
		return nil
	})
}

// underStrictLoad puts clients with and without a sidecar on a rule of the Strict policy, one that has failed requests asked
// again, and looks at the SD-WAN's counters all the while.
func (e *Env) underStrictLoad(ctx context.Context, harms []harm, right func(*LoadReport) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	rule := ruleOf("/"+strictPath, "backup")
	rule["retry"] = map[string]any{"attempts": int64(2), "codes": []any{int64(500), int64(502), int64(503), int64(504)}}
	rules := rulesForPayment(rule)
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, e.WAN.Heal(ctx), client.IgnoreNotFound(e.Consumer.Delete(ctx, rules)), e.policiesAsPrepared(ctx))
	}()
	if err := e.applySLA(ctx, map[string]int64{"backup": strictSLA}, nil); err != nil {
		return err
	}
	if err := e.Consumer.ApplyObject(ctx, rules); err != nil {
		return err
	}
	if err := e.Consumer.l7Condition(ctx, "ServiceImport", "Programmed", "True", ""); err != nil {
		return err
	}
	if err := e.provesTunnel(ctx, NamespacePlain, wayBackup(), "GET", PaymentURL+strictPath); err != nil {
		return err
	}
	loads := map[string]*Load{}
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		var c *Client
		if c, err = e.Consumer.ClientPod(ctx, ns); err == nil {
			loads[ns], err = c.startLoad(ctx, PaymentURL+strictPath, strictRate, largeBytes, []string{"GET", "POST"})
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = e.harmStrict(ctx, harms)
	}
	for ns, load := range loads {
		if load == nil {
			continue
		}
		report, stopErr := load.Stop(context.WithoutCancel(ctx))
		if err = errors.Join(err, stopErr); stopErr == nil {
			e.Say("client in %s, GET and POST %s%s, %s each: %s, answered %v", ns, PaymentURL, strictPath, size(largeBytes), report, report.Codes)
			err = errors.Join(err, right(report))
		}
	}
	return err
}

// harmStrict does the harms one by one, each to tunnels that are well again.
func (e *Env) harmStrict(ctx context.Context, harms []harm) error {
	w, err := e.watchStrict(ctx)
	if err != nil {
		return err
	}
	for _, h := range harms {
		if err := e.WAN.Heal(ctx); err != nil {
			return err
		}
		if err := w.until(ctx, "the load is on "+wayBackup().String(), w.carries); err != nil {
			return fmt.Errorf("before %s: %w", h.what, err)
		}
		w.total = usage{}
		for _, set := range h.set {
			if err := e.WAN.Set(ctx, set[0], set[1:]...); err != nil {
				return err
			}
			if err := w.look(ctx); err != nil {
				return fmt.Errorf("%s (%v): %w", h.what, set, err)
			}
		}
		if h.says != "" {
			if err := w.until(ctx, "the prober says "+string(h.says), func(ctx context.Context) error { return e.hopsOf(ctx, "backup", h.says) }); err != nil {
				return fmt.Errorf("%s: %w", h.what, err)
			}
		}
		// What the prober has said is in Envoy by now.
		for range 3 {
			if err := w.look(ctx); err != nil {
				return fmt.Errorf("%s: %w", h.what, err)
			}
		}
		e.Say("%s: %s", h.what, w.total)
	}
	return nil
}

// hopsOf says whether all of the consumer's hops to the exporter on a policy are in a state.
func (e *Env) hopsOf(ctx context.Context, policy string, want mcw.HopState) error {
	var peer mcw.Peer
	if err := e.Consumer.Get(ctx, client.ObjectKey{Namespace: mcw.Namespace, Name: e.Exporter.Name}, &peer); err != nil {
		return err
	}
	known := 0
	for _, h := range peer.Status.Hops {
		if h.Policy != policy {
			continue
		}
		known++
		if h.State != want {
			return fmt.Errorf("the hop %s on %s is %s", h.Address, policy, h.State)
		}
	}
	if known == 0 {
		return fmt.Errorf("no hop on %s", policy)
	}
	return nil
}
