// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// More samples of steering.
const (
	sampleV1, sampleV2, sampleCookie = "18-payment-v1.yaml", "19-payment-v2.yaml", "20-cookie-virtualservice.yaml"
	sampleHTTPRoute                  = "14-httproute.yaml"
	sampleOwner                      = "15-l7-export.yaml"
	sampleLimits                     = "16-l7-limits.yaml"
	sampleFailover                   = "07-failover.yaml"
)

// tunnelBackup is that of the Strict policy of sampleFailover.
const tunnelBackup = "lte"

// httpRouteURL is the gateway that Istio makes of sampleHTTPRoute.
const httpRouteURL = "http://payment-clusterset-istio.secure.svc.cluster.local:8080/"

// SteeringPrepared brings up what SteeringMore plays with.
func SteeringPrepared() []Step {
	return []Step{
		{Name: "policies", Title: "Policies, among them one that never leaves its tunnel", Run: func(ctx context.Context, e *Env) error {
			for _, c := range e.Clusters() {
				if err := c.ApplyFile(ctx, e.sample(sampleFailover)); err != nil {
					return err
				}
			}
			return applyPoliciesWithoutSLA(ctx, e)
		}},
		{Name: "workloads", Title: "payment in one cluster, clients in the other", Run: deploy},
		{Name: "export", Title: "payment is exported", Run: func(ctx context.Context, e *Env) error {
			if err := e.Exporter.ApplyFile(ctx, e.sample("03-export-payment.yaml")); err != nil {
				return err
			}
			c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
			if err != nil {
				return err
			}
			return Eventually(ctx, time.Minute, "an answer from "+PaymentURL, func(ctx context.Context) error {
				_, err := c.Get(ctx, PaymentURL)
				return err
			})
		}},
	}
}

// SteeringMore is the second user story beyond the documents' own example: what else requests can be steered by.
func SteeringMore() []Step {
	return []Step{
		{Name: "cookie", Title: "By cookie, between a version here and a version there (a VirtualService)", Run: proveCookie},
		{Name: "counted", Title: "What no rule matches is counted by the egress gateway", Run: proveCounted},
		{Name: "owner", Title: "The owner says it once for all consumers, and what he denies is denied at his own gateway", Run: proveOwner},
		{Name: "owner-tunnels", Title: "Which tunnel carried what? Ask the SD-WAN's counters", NeedsWAN: true, Run: proveOwnerTunnels},
		{Name: "consumer-wins", Title: "A consumer's own rules choose tunnels where the owner lets them, and open nothing", Run: proveConsumer},
		{Name: "limits", Title: "Timeouts and retries of rules, kept by the exporting cluster's gateway", Run: proveLimits},
		{Name: "strict", Title: "Requests of a Strict policy stay on their tunnel while everything else breaks, at 50 requests/s", NeedsWAN: true, Run: proveStrict},
		{Name: "strict-dead", Title: "They fail rather than leave it", NeedsWAN: true, Run: proveStrictDead},
	}
}

// SteeringUndone removes what the steps may have left, in whatever state they ended.
func SteeringUndone(ctx context.Context, e *Env) error {
	var errs []error
	for _, f := range []string{sampleCookie, sampleV2, sampleLimits, sampleRules} {
		errs = append(errs, e.Consumer.DeleteFile(ctx, e.sample(f)))
	}
	for _, f := range []string{sampleOwner, sampleV1, "03-export-payment.yaml"} {
		errs = append(errs, e.Exporter.DeleteFile(ctx, e.sample(f)))
	}
	for _, c := range e.Clusters() {
		errs = append(errs, c.DeleteFile(ctx, e.sample(sampleFailover)), c.ApplyFile(ctx, e.sample("01-wan-policies.yaml")))
	}
	if e.WAN != nil {
		errs = append(errs, e.WAN.Heal(ctx))
	}
	return errors.Join(errs...)
}

// applyPoliciesWithoutSLA: these steps are about which tunnel a request is meant for. On a machine that is too busy for the
// service levels of the samples, traffic would leave it.
func applyPoliciesWithoutSLA(ctx context.Context, e *Env) error {
	objects, err := readObjects(e.sample("01-wan-policies.yaml"))
	if err != nil {
		return err
	}
	for _, o := range objects {
		unstructured.RemoveNestedField(o.Object, "spec", "sla")
		for _, c := range e.Clusters() {
			if err := c.ApplyObject(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func proveCookie(ctx context.Context, e *Env) (err error) {
	if err := e.Exporter.ApplyFile(ctx, e.sample(sampleV1)); err != nil {
		return err
	}
	for _, f := range []string{sampleV2, sampleCookie} {
		if err := e.Consumer.ApplyFile(ctx, e.sample(f)); err != nil {
			return err
		}
	}
	defer func() {
		err = errors.Join(err, e.Consumer.DeleteFile(context.WithoutCancel(ctx), e.sample(sampleCookie)))
	}()
	if err := e.Consumer.waitPods(ctx, NamespaceSidecar, "payment-v2"); err != nil {
		return err
	}
	c, err := e.Consumer.ClientPod(ctx, NamespaceSidecar)
	if err != nil {
		return err
	}
	for _, ask := range []struct{ cookie, pod string }{{"user=test", "payment-v2-"}, {"a=b;user=test;c=d", "payment-v2-"}, {"user=other", "payment-"}} {
		var a *Answer
		if err := Eventually(ctx, time.Minute, "an answer for cookie "+ask.cookie, func(ctx context.Context) (err error) {
			if a, err = c.Get(ctx, PaymentURL, "-H", "cookie: "+ask.cookie); err != nil {
				return err
			}
			if here := strings.HasPrefix(a.Pod, "payment-v2-"); !strings.HasPrefix(a.Pod, ask.pod) || here != (ask.pod == "payment-v2-") {
				return fmt.Errorf("answered by %s", a.Pod)
			}
			return nil
		}); err != nil {
			return err
		}
		e.Say("cookie %-18s answered by %s %s", ask.cookie, a.Pod, a.Cluster)
	}
	return nil
}

// answeredByRules is the metric of the requests that rules have answered themselves.
const answeredByRules = "envoy_http_rq_direct_response{"

// proveCounted: the count of denied requests grows by as many as were denied.
func proveCounted(ctx context.Context, e *Env) (err error) {
	if err := e.Consumer.ApplyFile(ctx, e.sample(sampleRules)); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, e.Consumer.DeleteFile(context.WithoutCancel(ctx), e.sample(sampleRules)))
	}()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if err := c.answers(ctx, 403, PaymentURL); err != nil {
		return err
	}
	before, err := c.countAnsweredByRules(ctx)
	if err != nil {
		return err
	}
	const more = 10
	for range more {
		if code, body, err := c.Status(ctx, PaymentURL); err != nil || code != 403 {
			return fmt.Errorf("HTTP %d %s: %w", code, body, err)
		}
	}
	// Envoy's workers hand their counts over every few seconds.
	return Eventually(ctx, 30*time.Second, "the denied requests are counted", func(ctx context.Context) error {
		after, err := c.countAnsweredByRules(ctx)
		if err == nil && after < before+more {
			err = fmt.Errorf("%s...} went from %d to %d by %d denied requests", answeredByRules, before, after, more)
		}
		if err == nil {
			e.Say("%d denied requests, counted %d before and %d after", more, before, after)
		}
		return err
	})
}

// countAnsweredByRules asks the egress gateway's pods of the client's cluster, as Prometheus does.
func (c *Client) countAnsweredByRules(ctx context.Context) (int, error) {
	pods, err := c.cluster.ReadyPods(ctx, "mc-wan", client.MatchingLabels{"mcw.l7mp.io/gateway": "egress"})
	if err != nil {
		return 0, err
	}
	sum := 0
	for i := range pods {
		out, err := c.Run(ctx, "curl", "-sS", "--fail-with-body", "--max-time", "10", fmt.Sprintf("http://%s/stats/prometheus", net.JoinHostPort(pods[i].Status.PodIP, "15090")))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(out) {
			if !strings.HasPrefix(line, answeredByRules) || !strings.Contains(line, `"outbound_`) {
				continue
			}
			n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndex(line, " "):]))
			if err != nil {
				return 0, fmt.Errorf("%s: %w", line, err)
			}
			sum += n
		}
	}
	return sum, nil
}

func proveOwner(ctx context.Context, e *Env) error {
	if err := e.Exporter.ApplyFile(ctx, e.sample(sampleOwner)); err != nil {
		return err
	}
	for _, kind := range []string{"Accepted", "ResolvedRefs", "Programmed"} {
		if err := e.Exporter.l7Condition(ctx, "ServiceExport", kind, "True", ""); err != nil {
			return err
		}
	}
	return e.asked(ctx, []ask{
		{"GET", "", 403}, {"POST", "payment", 403}, {"GET", "paymentx", 403},
		{"GET", "payment", 200}, {"GET", "payment/1?a=b", 200}, {"GET", "stats", 200}, {"POST", "stats/now", 200},
	})
}

func proveOwnerTunnels(ctx context.Context, e *Env) error {
	if err := e.soonProvesTunnel(ctx, tunnelHigh, PaymentURL+"payment"); err != nil {
		return err
	}
	return e.soonProvesTunnel(ctx, tunnelLow, PaymentURL+"stats")
}

// ask is a request and the status that it has to be answered with.
type ask struct {
	method, path string
	code         int
}

// asked waits until clients with and without a sidecar get these answers.
func (e *Env) asked(ctx context.Context, all []ask) error {
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		for _, a := range all {
			if err := c.answers(ctx, a.code, PaymentURL+a.path, "-X", a.method); err != nil {
				return fmt.Errorf("client in %s: %s /%s: %w", ns, a.method, a.path, err)
			}
		}
		e.Say("client in %s: %d requests are answered as they shall be", ns, len(all))
	}
	return nil
}

// l7Condition waits for a condition of the object of group mc-wan.l7mp.io that is about payment.
func (c *Cluster) l7Condition(ctx context.Context, kind, condition, status, reason string) error {
	return Eventually(ctx, 20*time.Second, fmt.Sprintf("%s of %s in %s is %s", condition, kind, c.Name, status), func(ctx context.Context) error {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("mc-wan.l7mp.io/v1alpha1")
		o.SetKind(kind)
		if err := c.Get(ctx, client.ObjectKey{Namespace: "secure", Name: "payment"}, o); err != nil {
			return err
		}
		all, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
		if err != nil {
			return err
		}
		for _, item := range all {
			m, _ := item.(map[string]any)
			if m["type"] == condition && m["status"] == status && (reason == "" || m["reason"] == reason) && m["observedGeneration"] == o.GetGeneration() {
				return nil
			}
		}
		return fmt.Errorf("it has %v", all)
	})
}

// proveConsumer: the consumer's rule sends all it is asked over the low-priority tunnel, the owner goes on denying.
func proveConsumer(ctx context.Context, e *Env) (err error) {
	rules := consumerRules("payment-secure-sd-wan-priority-low")
	if err := e.Consumer.ApplyObject(ctx, rules); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, client.IgnoreNotFound(e.Consumer.Delete(context.WithoutCancel(ctx), rules)),
			e.Exporter.DeleteFile(context.WithoutCancel(ctx), e.sample(sampleOwner)))
	}()
	if err := e.Consumer.l7Condition(ctx, "ServiceImport", "Programmed", "True", ""); err != nil {
		return err
	}
	if err := e.asked(ctx, []ask{{"GET", "", 403}, {"POST", "payment", 403}, {"GET", "payment", 200}}); err != nil {
		return err
	}
	if e.WAN != nil {
		if err := e.soonProvesTunnel(ctx, tunnelLow, PaymentURL+"payment"); err != nil {
			return err
		}
	}
	owner, err := readObjects(e.sample(sampleOwner))
	if err != nil {
		return err
	}
	if err := unstructured.SetNestedField(owner[0].Object, "Refused", "spec", "consumerRules"); err != nil {
		return err
	}
	if err := e.Exporter.ApplyObject(ctx, owner[0]); err != nil {
		return err
	}
	if err := e.Consumer.l7Condition(ctx, "ServiceImport", "Accepted", "False", "NotAllowedByOwner"); err != nil {
		return err
	}
	e.Say("the owner refuses consumers' rules: Accepted is False, NotAllowedByOwner")
	return nil
}

// consumerRules are a rule for everything.
func consumerRules(dummy string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"http": map[string]any{"rules": []any{
		map[string]any{"backendRefs": []any{map[string]any{"name": dummy, "namespace": "mc-wan"}}},
	}}}}}
	o.SetAPIVersion("mc-wan.l7mp.io/v1alpha1")
	o.SetKind("ServiceImport")
	o.SetNamespace("secure")
	o.SetName("payment")
	return o
}

func proveLimits(ctx context.Context, e *Env) error {
	if err := e.Consumer.ApplyFile(ctx, e.sample(sampleLimits)); err != nil {
		return err
	}
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if err := c.answers(ctx, 504, PaymentURL+"delay/5s"); err != nil {
		return err
	}
	// Twenty at once: if they counted against the hop, it would be left out, and the rest would fail or move.
	codes, err := c.Run(ctx, "sh", "-c", fmt.Sprintf(
		`for i in $(seq 20); do curl -s -o /dev/null --max-time 20 -w '%%{http_code} ' %sdelay/5s & done; wait`, PaymentURL))
	if err != nil {
		return err
	}
	if strings.TrimSpace(codes) != strings.TrimSpace(strings.Repeat("504 ", 20)) {
		return fmt.Errorf("requests that take longer than they may are answered with %s, want 504", codes)
	}
	e.Say("20 requests that would take 5 s are answered with 504")
	if e.WAN != nil {
		if err := e.soonProvesTunnel(ctx, tunnelHigh, PaymentURL+"delay/1ms"); err != nil {
			return err
		}
	}
	// What a client says is not heard.
	if code, body, err := c.Status(ctx, PaymentURL+"delay/100ms", "-H", "x-mcw-timeout-ms: 1"); err != nil || code != 200 {
		return fmt.Errorf("with a client's own x-mcw-timeout-ms: HTTP %d %s: %w", code, body, err)
	}
	out, err := c.Run(ctx, "curl", "-s", "--max-time", "10", PaymentURL+"status/503")
	if err != nil {
		return err
	}
	if !strings.Contains(out, `"X-Envoy-Attempt-Count":["3"]`) {
		return fmt.Errorf("a service that answers 503 was not asked three times: %s", out)
	}
	e.Say("503 is asked again twice, and then it is what the client gets")
	return nil
}

// proveStrict has every other tunnel break in every way, one after the other and together.
func proveStrict(ctx context.Context, e *Env) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	if err := c.answers(ctx, 200, PaymentURL+"backup"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.WAN.Heal(context.WithoutCancel(ctx))) }()
	var used usage
	report, err := c.underLoad(ctx, PaymentURL+"backup", 50, func(ctx context.Context) (err error) {
		used, err = e.bytesByTunnel(ctx, e.breakAllButBackup)
		return err
	})
	if err != nil {
		return err
	}
	e.Say("GET: %s; %s", report, used)
	for tunnel, n := range used {
		// The feed crosses the default policy's tunnel, and keepalives all of them.
		if tunnel != tunnelBackup && n >= used[tunnelBackup]/4 {
			return fmt.Errorf("tunnel %s carried %d bytes; all requests belong on %s (%s)", tunnel, n, tunnelBackup, used)
		}
	}
	return nil
}

// breakAllButBackup breaks every tunnel but the backup's, and waits after each that the load is still on that one.
func (e *Env) breakAllButBackup(ctx context.Context) error {
	for _, breaks := range [][2]string{
		{tunnelHigh, "refused"}, {tunnelLow, "blackhole"}, {"internet", "refused"}, {tunnelHigh, "blackhole"}, {tunnelLow, "up"}, {tunnelLow, "refused"},
	} {
		if err := e.WAN.SetState(ctx, breaks[0], breaks[1]); err != nil {
			return err
		}
		if err := e.loadIsOn(ctx, tunnelBackup); err != nil {
			return err
		}
	}
	return nil
}

// proveStrictDead: large requests, so that the counters tell them from the feed.
func proveStrictDead(ctx context.Context, e *Env) (err error) {
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	for _, state := range []string{"refused", "blackhole"} {
		if err := e.WAN.SetState(ctx, tunnelBackup, state); err != nil {
			return err
		}
		answered, used := "", usage(nil)
		used, err = e.bytesByTunnel(ctx, func(ctx context.Context) (err error) {
			answered, err = c.Run(ctx, "sh", "-c", fmt.Sprintf(
				`fill=$(head -c %d /dev/zero | tr '\0' x); for i in $(seq %d); do curl -s --max-time 1 -o /dev/null -w '%%{http_code} ' -H "x-fill: $fill" %sbackup & done; wait`,
				fillBytes, fillRequests, PaymentURL))
			return err
		})
		if err = errors.Join(err, e.WAN.SetState(ctx, tunnelBackup, "up")); err != nil {
			return err
		}
		for tunnel, n := range used {
			if tunnel != tunnelBackup && n >= fillBytes*fillRequests/4 {
				return fmt.Errorf("tunnel %s is %s and %s carried %d bytes (%s)", tunnelBackup, state, tunnel, n, used)
			}
		}
		if strings.Contains(answered, "200") {
			return fmt.Errorf("tunnel %s is %s, and requests were answered: %s", tunnelBackup, state, answered)
		}
		e.Say("%s %s: %s(%s)", tunnelBackup, state, answered, used)
	}
	return c.answers(ctx, 200, PaymentURL+"backup")
}

// ProveHTTPRoute leads requests to dummy Services by an HTTPRoute on a gateway of the consumer's own. The cluster needs the
// Gateway API's kinds.
func ProveHTTPRoute(ctx context.Context, e *Env) (err error) {
	file := e.sample(sampleHTTPRoute)
	if err := Eventually(ctx, 30*time.Second, "the API server takes Gateways", func(ctx context.Context) error {
		return e.Consumer.ApplyFile(ctx, file)
	}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Consumer.DeleteFile(context.WithoutCancel(ctx), file)) }()
	c, err := e.Consumer.ClientPod(ctx, NamespacePlain)
	if err != nil {
		return err
	}
	for _, a := range []ask{{"GET", "payment", 200}, {"POST", "stats", 200}, {"POST", "payment", 404}, {"GET", "", 404}} {
		// The gateway's pods start first.
		if err := Eventually(ctx, deployTime, fmt.Sprintf("%s /%s is answered with %d", a.method, a.path, a.code), func(ctx context.Context) error {
			code, body, err := c.Status(ctx, httpRouteURL+a.path, "-X", a.method)
			if err == nil && code != a.code {
				err = fmt.Errorf("HTTP %d %s", code, body)
			}
			return err
		}); err != nil {
			return err
		}
	}
	e.Say("the HTTPRoute's gateway answers as its rules say")
	if e.WAN == nil {
		return nil
	}
	if err := e.soonProvesTunnel(ctx, tunnelHigh, httpRouteURL+"payment"); err != nil {
		return err
	}
	return e.soonProvesTunnel(ctx, tunnelLow, httpRouteURL+"stats")
}

// soonProvesTunnel waits as long as a tunnel may take to come back: earlier steps broke some, and a busy machine may.
func (e *Env) soonProvesTunnel(ctx context.Context, tunnel, url string) error {
	return Eventually(ctx, 2*time.Minute, "requests on tunnel "+tunnel, func(ctx context.Context) error {
		return e.provesTunnel(ctx, NamespacePlain, tunnel, "GET", url)
	})
}
