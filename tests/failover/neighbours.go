// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/failover/result"
	"github.com/l7mp/mc-wan/tests/story"
)

// badName is the service that behaves badly, healthyName the good ones by number. All have the same backends, so that
// nothing but what is between client and backend can be shared to anybody's harm.
const badName = "bad"

// importedWithin is how long it may take until all neighbours can be called, on two cores that carry three clusters.
const importedWithin = 5 * time.Minute

func healthyName(i int) string { return fmt.Sprintf("good-%03d", i) }

// neighbour is a Service of the bench's backends and its export over the first policy.
const neighbour = `apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: failover}
spec:
  selector: {app: target}
  ports: [{name: http, port: 8080}]
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata:
  name: %[1]s
  namespace: failover
  annotations: {mcw.l7mp.io/mc-wan-policy: failover-first}
`

// impatience is the consumer's rule that bounds some of the bad service's requests.
const impatience = `apiVersion: mc-wan.l7mp.io/v1alpha1
kind: ServiceImport
metadata: {name: bad, namespace: failover}
spec:
  http:
    rules:
      - matches: [{path: {type: Exact, value: ` + slowPath + `}}]
        timeouts: {request: 300ms}
        backendRefs: [{name: bad-failover-failover-first}]
      - backendRefs: [{name: bad-failover-failover-first}]
`

// slowPath is answered later than that rule allows.
const slowPath = "/delay/4s"

// The rate that the tunnel has where its rate is what is used up: bit/s, and as the SD-WAN's flag. What one transfer moves,
// in bytes, takes 3 s of it.
const (
	tunnelRate     = 20_000_000
	tunnelRateFlag = "--rate=20mbit"
	transfer       = 8_000_000
)

// Badness is one way to be a bad neighbour: what the client of the bad service does for a time.
type Badness struct {
	Name string
	// Tunnel is how the tunnel is set meanwhile; nil for as it is when nothing is wrong.
	Tunnel []string
	// Breaches says that the tunnel is beyond its service level meanwhile, for everyone: traffic leaves it as it leaves any
	// tunnel in a brownout.
	Breaches bool
	// rate is how many requests a second the load generator is to send; 0 where the command is another one.
	rate int
	// fails is what all of its requests come to, as far as that is to be seen; empty for anything.
	fails string
	// command is run in the client's pod and ends by itself; what becomes of its requests is its own business.
	command func(host string, length time.Duration) []string
}

// Badnesses are the ways that are played.
func Badnesses() []Badness {
	load := func(name, path string, rate int, timeout time.Duration) Badness {
		return Badness{Name: name, rate: rate, command: func(host string, length time.Duration) []string {
			return []string{"load", "-rate", fmt.Sprint(rate), "-duration", length.String(), "-timeout", timeout.String(), "http://" + host + ":8080" + path}
		}}
	}
	ruled := load("slow under a rule's timeout", slowPath, 20, requestTimeout)
	ruled.fails = "status 504"
	again := func(one string) func(string, time.Duration) []string {
		return func(host string, length time.Duration) []string {
			return []string{"sh", "-c", fmt.Sprintf("end=$(($(date +%%s)+%d)); while [ $(date +%%s) -lt $end ]; do %s; done; true",
				int(length.Seconds()), fmt.Sprintf(one, "http://"+host+":8080"))}
		}
	}
	upload := again(fmt.Sprintf("head -c %d /dev/zero | curl -sS --max-time 20 -o /dev/null -T - -X PUT %%s/upload", transfer))
	download := again(fmt.Sprintf("curl -sS --max-time 20 -o /dev/null %%s/download/%d", transfer))
	return []Badness{
		load("slow under its client's timeout", "/delay/5s", 20, 300*time.Millisecond),
		ruled,
		load("resets", "/reset", 20, requestTimeout),
		// The queue and the round trip of 40 ms are within the policy's 100 ms together, or are not.
		{Name: "uploads at the tunnel's rate", Tunnel: []string{tunnelRateFlag, "--queue=40ms"}, command: upload},
		{Name: "downloads at the tunnel's rate", Tunnel: []string{tunnelRateFlag, "--queue=40ms"}, command: download},
		load("1000 requests a second", "/", 1000, requestTimeout),
		{Name: "uploads into a deep queue", Tunnel: []string{tunnelRateFlag, "--queue=200ms"}, Breaches: true, command: upload},
	}
}

// Neighbours makes n good services and a bad one at the first exporter, and waits until the consumer can call all of them and
// every hop is healthy.
func (b *Bench) Neighbours(ctx context.Context, n int) error {
	names := []string{badName}
	for i := range n {
		names = append(names, healthyName(i))
	}
	for _, name := range names {
		if err := apply(ctx, b.victim(), fmt.Sprintf(neighbour, name)); err != nil {
			return err
		}
	}
	if err := apply(ctx, b.Consumer, impatience); err != nil {
		return err
	}
	if err := story.Eventually(ctx, importedWithin, "all neighbours imported", func(ctx context.Context) error {
		var list mcs.ServiceImportList
		if err := b.Consumer.List(ctx, &list, client.InNamespace(Namespace)); err != nil {
			return err
		}
		ready := 0
		for _, i := range list.Items {
			if meta.IsStatusConditionTrue(i.Status.Conditions, string(mcs.ServiceImportConditionReady)) {
				ready++
			}
		}
		if ready < len(names) {
			return fmt.Errorf("%d of %d", ready, len(names))
		}
		return nil
	}); err != nil {
		return err
	}
	return story.Eventually(ctx, readyWithin, "all hops healthy", b.Healthy)
}

// SendAsByDefault has the gateways send as Linux does by default, and not as Up says. What a bulk transfer loses in a full
// queue is the congestion control's choice, and that of a machine may be one that fills queues for good (BBR): its loss is
// beyond what the policy allows, and moves traffic. Tail loss probes are as installed: without them, a connection that loses
// the same packet again ends sooner.
func (b *Bench) SendAsByDefault(ctx context.Context) error {
	if err := b.allow(cubic().Value); err != nil {
		return err
	}
	return errors.Join(
		gatewaysHave(ctx, b.Consumer, mcw.GatewayEgress, cubic()),
		gatewaysHave(ctx, b.victim(), mcw.GatewayIngress, cubic()),
	)
}

// Outcome is what the others' requests came to, and the hops that Envoy left out while they were sent.
type Outcome struct {
	Requests []result.Request
	LeftOut  []string
}

// Beside sends GETs to the n good services in turn, while one is bad, and returns what became of theirs. It begins when no
// hop is left out; a hop that is left out stays so for longer than maxLength, the most that length may be.
func (b *Bench) Beside(ctx context.Context, bad Badness, n, rate int, length time.Duration) (o Outcome, err error) {
	if length > maxLength {
		return Outcome{}, fmt.Errorf("%s: at most %s", length, maxLength)
	}
	if err := b.noneLeftOut(ctx); err != nil {
		return Outcome{}, err
	}
	if bad.Tunnel != nil {
		if err := b.WAN.Set(ctx, tunnelFirst, bad.Tunnel...); err != nil {
			return Outcome{}, err
		}
		var before story.Counters
		if before, err = b.WAN.Counters(ctx); err != nil {
			return Outcome{}, err
		}
		defer func() {
			err = errors.Join(err, b.carried(context.WithoutCancel(ctx), before, bad.least(length)), b.calm(context.WithoutCancel(ctx)))
		}()
	}
	pods, err := b.Consumer.ReadyPods(ctx, Namespace, client.MatchingLabels{"app": clientName})
	if err != nil || len(pods) == 0 {
		return Outcome{}, fmt.Errorf("no client is ready: %w", err)
	}
	var wg sync.WaitGroup
	var badErr error
	wg.Go(func() {
		var out string
		if out, badErr = b.Consumer.Exec(ctx, &pods[0], "client", bad.command(hostOf(badName), length)...); badErr == nil {
			badErr = bad.wasBad(out, length)
		}
	})
	start := time.Now()
	args := []string{"load", "-rate", fmt.Sprint(rate), "-duration", length.String()}
	for i := range n {
		args = append(args, "http://"+hostOf(healthyName(i))+":8080/")
	}
	out, err := b.Consumer.Exec(ctx, &pods[0], "client", args...)
	left, leftErr := b.leftOut(ctx)
	wg.Wait()
	if err := errors.Join(err, leftErr, badErr); err != nil {
		return Outcome{}, err
	}
	requests, err := parse(out, start)
	return Outcome{Requests: requests, LeftOut: left}, err
}

// wasBad tells whether the load generator sent four fifths at least of what it was to send, and whether it came to what it
// was to come to.
func (bad Badness) wasBad(report string, length time.Duration) error {
	if bad.rate == 0 {
		return nil
	}
	requests, err := parse(report, time.Time{})
	if err != nil {
		return err
	}
	if want := bad.rate * int(length.Seconds()) * 4 / 5; len(requests) < want {
		return fmt.Errorf("%s: %d requests were sent, want %d", bad.Name, len(requests), want)
	}
	for _, r := range requests {
		if !strings.HasPrefix(r.Err, bad.fails) {
			return fmt.Errorf("%s: a request came to %q, want %q", bad.Name, r.Err, bad.fails)
		}
	}
	return nil
}

// least is how many bytes the tunnel must have carried: two thirds of what it can, since each transfer has its beginning; where
// traffic leaves it, one transfer.
func (bad Badness) least(length time.Duration) uint64 {
	if bad.Breaches {
		return transfer
	}
	return uint64(tunnelRate / 8 * length.Seconds() * 2 / 3)
}

// carried tells whether so many bytes at least went over the tunnel since, in one direction.
func (b *Bench) carried(ctx context.Context, before story.Counters, least uint64) error {
	now, err := b.WAN.Counters(ctx)
	if err != nil {
		return err
	}
	carried, most := map[[2]string]uint64{}, uint64(0)
	for _, f := range now.Since(before) {
		if f.Tunnel == tunnelFirst {
			carried[[2]string{f.From, f.To}] += f.Bytes
			most = max(most, carried[[2]string{f.From, f.To}])
		}
	}
	if most < least {
		return fmt.Errorf("the tunnel was not filled: it carried %d bytes, want %d", most, least)
	}
	return nil
}

func hostOf(name string) string { return name + "." + Namespace + ".svc.clusterset.local" }

// Healthy tells whether every hop to the exporters is.
func (b *Bench) Healthy(ctx context.Context) error {
	for _, c := range b.Exporters {
		if err := b.hopsHealthy(ctx, c.Name); err != nil {
			return err
		}
	}
	return nil
}
