// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/pkg/translate"
	"github.com/l7mp/mc-wan/tests/story"
)

const legSample = "12-protocols.yaml"

// legRounds is how often an import is replaced by another.
const legRounds = 4

// TestLegPorts replaces one import by another, over and over, while clients hold connections to the one that goes and open
// new ones to its address: none of them ever talks to the other. And a service whose port number is that of a live leg's
// listener changes nothing for others.
func TestLegPorts(t *testing.T) {
	w := newTraffic(t, 2)
	names := [2]string{"legs-a", "legs-b"}
	for _, name := range names {
		w.deploy(w.clusters[1], legSample, "protocols", name)
	}
	for _, name := range names {
		w.ok(w.clusters[1].WaitReady(w.ctx, story.NamespaceSidecar, name))
	}
	w.remove(w.clusters[1], w.export(legSample, "protocols", names[1]))
	w.gone(names[1])
	for round := range legRounds {
		a, b := names[round%2], names[(round+1)%2]
		t.Run(fmt.Sprintf("round-%d", round), func(t *testing.T) { w.in(t).replace(a, b) })
	}
	t.Run("same-number", func(t *testing.T) { w.in(t).sameNumber(names[legRounds%2], names[(legRounds+1)%2]) })
}

// replace holds connections to a while its import goes and b's comes.
func (w *traffic) replace(a, b string) {
	w.t.Helper()
	type outcome struct {
		who string
		got callResult
		err error
	}
	ends := make(chan outcome, 4)
	holds, release := 0, []func() error(nil)
	before := w.legPorts(a)
	for _, namespace := range []string{story.NamespacePlain, story.NamespaceSidecar} {
		c := w.client(namespace)
		for _, args := range [][]string{{a + ".secure.svc.clusterset.local:8080"}, {"-tcp", a + ".secure.svc.clusterset.local:5432"}} {
			check := []string{"tcp", args[len(args)-1]}
			if len(args) == 1 {
				check = []string{"http", "http://" + args[0] + "/"}
			}
			w.eventually(a+" answers", func(ctx context.Context) error {
				_, err := call(ctx, c, check...)
				return err
			})
			file := fmt.Sprintf("/tmp/held-%s-%d", a, holds)
			holds++
			release = append(release, func() error {
				_, err := c.Run(context.WithoutCancel(w.ctx), "rm", "-f", file)
				return err
			})
			go func() {
				got, err := call(w.ctx, c, append([]string{"hold", "-redial", "-connections", "3", "-for", "2m", "-while", file}, args...)...)
				ends <- outcome{c.Name() + " " + strings.Join(args, " "), got, err}
			}()
			w.eventually("connections to "+a+" are held", func(ctx context.Context) error {
				_, err := c.Run(ctx, "test", "-e", file)
				return err
			})
		}
	}
	w.remove(w.clusters[1], w.export(legSample, "protocols", a))
	w.ok(w.clusters[1].ApplyObject(w.ctx, w.export(legSample, "protocols", b)))
	w.eventually(b+" answers", func(ctx context.Context) error {
		got, err := call(ctx, w.client(story.NamespacePlain), "http", "-timeout", "2s", "http://"+b+".secure.svc.clusterset.local:8080/")
		if err == nil && !strings.HasPrefix(got.Pod, b+"-") {
			w.t.Errorf("%s is answered by %s", b, got.Pod)
		}
		return err
	})
	w.gone(a)
	for _, f := range release {
		w.ok(f())
	}
	for range holds {
		end := <-ends
		if end.err != nil {
			w.t.Fatal(end.err)
		}
		h := end.got.Held
		w.t.Logf("%s: %d connections, %d ended, answers %v, others %v", end.who, h.Opened, h.Ended, h.Answers, h.Refused)
		if h.Opened < 3 || len(h.Answers) == 0 {
			w.t.Errorf("%s held nothing: %+v", end.who, h)
		}
		for pod := range h.Answers {
			if !strings.HasPrefix(pod, a+"-") {
				w.t.Errorf("%s was answered by %s", end.who, pod)
			}
		}
	}
	for port := range w.legPorts(b) {
		if before[port] {
			w.t.Errorf("port %d was one of %s and is one of %s now", port, a, b)
		}
	}
}

// gone waits until an import is.
func (w *traffic) gone(name string) {
	w.t.Helper()
	w.eventually("import "+name+" gone", func(ctx context.Context) error {
		si := &mcs.ServiceImport{}
		err := w.clusters[0].Get(ctx, types.NamespacedName{Namespace: story.NamespaceSidecar, Name: name}, si)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err == nil {
			err = errors.New("still there")
		}
		return err
	})
}

// legPorts are the listener ports of an import at the first cluster's egress gateway; none while it is not imported.
func (w *traffic) legPorts(name string) map[int32]bool {
	w.t.Helper()
	s := &corev1.Service{}
	key := types.NamespacedName{Namespace: "mc-wan", Name: translate.DerivedServiceName(story.NamespaceSidecar, name)}
	w.ok(client.IgnoreNotFound(w.clusters[0].Get(w.ctx, key, s)))
	out := map[int32]bool{}
	for _, p := range s.Spec.Ports {
		out[p.TargetPort.IntVal] = true
	}
	return out
}

// sameNumber exports a Service that listens on the very numbers of a live import's listeners.
func (w *traffic) sameNumber(live, other string) {
	w.t.Helper()
	const host = ".secure.svc.clusterset.local"
	w.eventually(live+" answers", func(ctx context.Context) error {
		_, err := call(ctx, w.client(story.NamespacePlain), "http", "http://"+live+host+":8080/")
		return err
	})
	var ports []string
	for number := range w.legPorts(live) {
		ports = append(ports, fmt.Sprintf(`{"name":"http-%d","port":%d,"targetPort":"http"}`, number, number))
	}
	if len(ports) == 0 {
		w.t.Fatalf("%s has no listeners", live)
	}
	w.patch(other, `{"spec":{"ports":[`+strings.Join(ports, ",")+`]}}`, w.clusters[1])
	w.ok(w.clusters[1].ApplyObject(w.ctx, w.export(legSample, "protocols", other)))
	for number := range w.legPorts(live) {
		w.eventually(fmt.Sprintf("%s on port %d", other, number), func(ctx context.Context) error {
			got, err := call(ctx, w.client(story.NamespacePlain), "http", "-timeout", "2s", fmt.Sprintf("http://%s:%d/", other+host, number))
			if err == nil && !strings.HasPrefix(got.Pod, other+"-") {
				w.t.Errorf("%s, port %d is answered by %s", other, number, got.Pod)
			}
			return err
		})
	}
	for _, namespace := range []string{story.NamespacePlain, story.NamespaceSidecar} {
		for _, args := range [][]string{
			{"http", "http://" + live + host + ":8080/"}, {"grpc", live + host + ":9090"}, {"tcp", live + host + ":5432"}, {"https", "https://" + live + host + ":8443/"},
		} {
			got, err := call(w.ctx, w.client(namespace), args...)
			w.ok(err)
			if !strings.HasPrefix(got.Pod, live+"-") {
				w.t.Errorf("%s from %s is answered by %s", live, namespace, got.Pod)
			}
		}
	}
}
