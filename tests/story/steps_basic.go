// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// The samples of the exports.
const (
	sampleExport = "03-export-payment.yaml"
	sampleDB     = "04-db.yaml"
)

// The story's service and its URL.
const (
	paymentHost = "payment.secure.svc.clusterset.local"
	PaymentURL  = "http://" + paymentHost + ":8080/"
	dbHost      = "db.secure.svc.clusterset.local"
	dbPort      = 5432
)

// deployTime bounds how long workloads take to become ready.
const deployTime = 3 * time.Minute

// Basic is the first part of the story: policies, workloads, export, first requests.
func Basic() []Step {
	return []Step{
		{Name: "policies", Title: "The operator names two tunnels by TCP port (WANPolicy high and low, in both clusters)", Run: applyPolicies},
		{Name: "workloads", Title: "payment and db run in the exporting cluster, clients with and without a sidecar in the other", Run: deploy},
		{Name: "export", Title: "The service owner exports payment over the high-priority tunnel", Run: exportPayment},
		{Name: "http", Title: "Both clients call " + PaymentURL, Run: callPayment},
		{Name: "tunnel", Title: "Which tunnel carries their requests? Ask the SD-WAN's counters", NeedsWAN: true, Run: provePaymentTunnel},
		{Name: "tcp", Title: "Both clients talk to a TCP service that is exported beside it", Run: callDB},
	}
}

func applyPolicies(ctx context.Context, e *Env) error {
	apply := (*Cluster).ApplyFile
	if e.Busy {
		apply = (*Cluster).ApplyPoliciesForBusyMachines
	}
	for _, c := range e.Clusters() {
		if err := apply(c, ctx, e.sample(samplePolicies)); err != nil {
			return err
		}
	}
	e.Say("sd-wan-priority-high is tunnel %s, sd-wan-priority-low is tunnel %s", wayHigh(), wayLow())
	return nil
}

func deploy(ctx context.Context, e *Env) error {
	if err := e.Exporter.applyBackends(ctx, e.sample("02-payment.yaml"), e.sample(sampleDB)); err != nil {
		return err
	}
	if err := e.Consumer.ApplyFile(ctx, e.sample("05-clients.yaml")); err != nil {
		return err
	}
	return errors.Join(
		e.Exporter.waitPods(ctx, "secure", "payment"), e.Exporter.waitPods(ctx, "secure", "db"),
		e.Consumer.waitPods(ctx, NamespaceSidecar, "client"), e.Consumer.waitPods(ctx, NamespacePlain, "client"))
}

// applyBackends applies backends that say in which cluster they run: they read it from a ConfigMap when they start.
func (c *Cluster) applyBackends(ctx context.Context, files ...string) error {
	for _, f := range files {
		objects, err := readObjects(f)
		if err != nil {
			return err
		}
		for _, o := range objects {
			if err := c.ApplyObject(ctx, o); err != nil {
				return err
			}
			if o.GetKind() != "Namespace" {
				continue
			}
			if err := c.ApplyObject(ctx, clusterID(o.GetName(), c.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func clusterID(namespace, id string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"id": id}}}
	o.SetAPIVersion("v1")
	o.SetKind("ConfigMap")
	o.SetNamespace(namespace)
	o.SetName("cluster")
	return o
}

func (c *Cluster) waitPods(ctx context.Context, namespace, app string) error {
	return Eventually(ctx, deployTime, fmt.Sprintf("pods of %s/%s ready in %s", namespace, app, c.Name), func(ctx context.Context) error {
		ready, err := c.ReadyPods(ctx, namespace, client.MatchingLabels{"app": app})
		if err != nil {
			return err
		}
		if len(ready) == 0 {
			return errors.New("none is ready")
		}
		return nil
	})
}

// exportPayment measures from the export to the last import. An export that stands already is taken back first.
func exportPayment(ctx context.Context, e *Env) error {
	if err := e.unexported(ctx, sampleExport, "payment"); err != nil {
		return err
	}
	start := time.Now()
	if err := e.Exporter.ApplyFile(ctx, e.sample(sampleExport)); err != nil {
		return err
	}
	imports, took := make([]*mcs.ServiceImport, len(e.Clusters())), make([]time.Duration, len(e.Clusters()))
	err := e.inEach(func(i int, c *Cluster) error {
		return Eventually(ctx, patience, "ServiceImport in "+c.Name, func(ctx context.Context) (err error) {
			imports[i], err = c.readyImport(ctx, "payment")
			took[i] = time.Since(start)
			return err
		})
	})
	if err != nil {
		return err
	}
	for i, c := range e.Clusters() {
		e.Say("%s: %s after the export a ServiceImport secure/payment stands: ClusterSetIP %s, exported by %s",
			c.Name, took[i].Round(10*time.Millisecond), imports[i].Spec.IPs[0], clusterNames(imports[i]))
	}
	return nil
}

// unexported takes the exports of an earlier story back, in both clusters, and waits until nothing is left of it.
func (e *Env) unexported(ctx context.Context, sample, name string) error {
	if _, err := e.Exporter.readyImport(ctx, name); apierrors.IsNotFound(err) {
		return nil
	}
	for _, c := range e.Clusters() {
		if err := c.DeleteFile(ctx, e.sample(sample)); err != nil {
			return err
		}
	}
	if err := e.waitGone(ctx, name); err != nil {
		return err
	}
	e.Say("it was exported already, by an earlier story: that export is taken back, and nothing is left of it")
	return nil
}

// inEach does something in both clusters at the same time.
func (e *Env) inEach(do func(i int, c *Cluster) error) error {
	clusters := e.Clusters()
	errs := make([]error, len(clusters))
	var all sync.WaitGroup
	for i, c := range clusters {
		all.Go(func() { errs[i] = do(i, c) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (c *Cluster) readyImport(ctx context.Context, name string) (*mcs.ServiceImport, error) {
	imp := &mcs.ServiceImport{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: "secure", Name: name}, imp); err != nil {
		return nil, err
	}
	if len(imp.Spec.IPs) == 0 || len(imp.Status.Clusters) == 0 {
		return nil, errors.New("it has no ClusterSetIP or no exporting cluster yet")
	}
	return imp, nil
}

func clusterNames(imp *mcs.ServiceImport) string {
	var names []string
	for _, c := range imp.Status.Clusters {
		names = append(names, c.Cluster)
	}
	return strings.Join(names, ", ")
}

// answered polls until a first request is answered: the export is visible at once, its listener in Envoy a moment later.
func answered(ctx context.Context, c *Client, url string) (*Answer, error) {
	var a *Answer
	err := Eventually(ctx, patience, "an answer from "+url, func(ctx context.Context) (err error) {
		a, err = c.Get(ctx, url)
		return err
	})
	return a, err
}

// answeredBy polls until a request is answered over a way: it may have been left for another one a moment ago, because
// somebody broke it, or because the machine was too busy for the policy's service level.
func answeredBy(ctx context.Context, c *Client, url string, way Way) (*Answer, error) {
	var a *Answer
	err := Eventually(ctx, moveTime, "an answer over "+way.String(), func(ctx context.Context) (err error) {
		if a, err = c.Get(ctx, url); err != nil {
			return err
		}
		return a.cameBy(way)
	})
	return a, err
}

func callPayment(ctx context.Context, e *Env) error {
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		if _, err := answered(ctx, c, PaymentURL); err != nil {
			return err
		}
		a, err := answeredBy(ctx, c, PaymentURL, wayHigh())
		if err != nil {
			return err
		}
		if err := checkAnswer(e, ns, a); err != nil {
			return fmt.Errorf("client in %s: %w", ns, err)
		}
		e.Say("client in %s: answered by pod %s of %s, over port %d; the backend saw Host %s, %s %s%s", ns, a.Pod, a.Cluster, wayHigh().Port, a.Host,
			mcw.HeaderForwardedHost, a.Headers.Get(mcw.HeaderForwardedHost), sourceNote(a))
	}
	return nil
}

func sourceNote(a *Answer) string {
	if s := a.Headers.Get(mcw.HeaderSource); strings.HasPrefix(s, "spiffe://") {
		return ", " + mcw.HeaderSource + " " + s
	}
	return ", and no identity"
}

func checkAnswer(e *Env, ns string, a *Answer) error {
	if a.Cluster != e.Exporter.Name {
		return fmt.Errorf("answered by %q, want %s", a.Cluster, e.Exporter.Name)
	}
	if want := "payment.secure.svc.cluster.local"; a.Host != want {
		return fmt.Errorf("the backend saw Host %q, want %q", a.Host, want)
	}
	if got := a.Headers.Get(mcw.HeaderForwardedHost); !strings.HasPrefix(got, paymentHost) {
		return fmt.Errorf("the backend saw x-forwarded-host %q, want the client's own Host %s", got, paymentHost)
	}
	source := a.Headers.Get(mcw.HeaderSource)
	if ns == NamespaceSidecar && !strings.HasSuffix(source, "/ns/"+ns+"/sa/default") && !strings.HasSuffix(source, "/ns/"+ns+"/sa/client") {
		return fmt.Errorf("the backend saw x-mcw-source %q, want the client's SPIFFE id", source)
	}
	if ns == NamespacePlain && strings.HasPrefix(source, "spiffe://") {
		return fmt.Errorf("the backend saw x-mcw-source %q from a client that has no identity", source)
	}
	return nil
}

func callDB(ctx context.Context, e *Env) error {
	for _, ns := range []string{NamespaceSidecar, NamespacePlain} {
		c, err := e.Consumer.ClientPod(ctx, ns)
		if err != nil {
			return err
		}
		var banner string
		if err := Eventually(ctx, patience, "a TCP connection to "+dbHost, func(ctx context.Context) (err error) {
			banner, err = c.Banner(ctx, dbHost, dbPort, len("ping"))
			return err
		}); err != nil {
			return fmt.Errorf("client in %s: %w", ns, err)
		}
		if !strings.Contains(banner, e.Exporter.Name) {
			return fmt.Errorf("client in %s: the server said %q, want a backend of %s", ns, banner, e.Exporter.Name)
		}
		e.Say("client in %s: %s:%d says %q", ns, dbHost, dbPort, banner)
		if e.WAN == nil {
			continue
		}
		proof, err := e.provesTCPTunnel(ctx, c, wayHigh(), dbHost, dbPort)
		if err != nil {
			return fmt.Errorf("client in %s: %w", ns, err)
		}
		e.Say("client in %s, %s", ns, proof)
	}
	return nil
}
