// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// exports exports Services that have not been exported before, one after the other, and measures from the export to the
// import in the other cluster and to the first answer there. All have the backends of payment.
func exports(ctx context.Context, env *story.Env, runs int) (imported, answered []time.Duration, err error) {
	curl, err := env.Consumer.ClientPod(ctx, story.NamespacePlain)
	if err != nil {
		return nil, nil, err
	}
	for i := range runs {
		service, export := exported(fmt.Sprintf("payment-%d", i))
		if err := env.Exporter.Create(ctx, service); err != nil {
			return nil, nil, err
		}
		first, second, err := firstAnswer(ctx, env, curl, export)
		imported, answered = append(imported, first), append(answered, second)
		if err := errors.Join(err, env.Exporter.Delete(ctx, export), env.Exporter.Delete(ctx, service)); err != nil {
			return nil, nil, err
		}
		if err := poll(ctx, func() (bool, error) {
			err := env.Consumer.Get(ctx, client.ObjectKeyFromObject(export), &mcs.ServiceImport{})
			return err != nil, client.IgnoreNotFound(err)
		}); err != nil {
			return nil, nil, fmt.Errorf("the import of %s does not go: %w", export.Name, err)
		}
	}
	return imported, answered, nil
}

func exported(name string) (*corev1.Service, *mcs.ServiceExport) {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: story.NamespaceSidecar, Name: name},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "payment"},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 8080}},
		},
	}
	export := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{
		Namespace: story.NamespaceSidecar, Name: name,
		Annotations: map[string]string{v1alpha1.AnnotationWANPolicy: "sd-wan-priority-high"},
	}}
	return service, export
}

// firstAnswer exports, and returns how long it took until the import had its ClusterSetIP, and until a client was answered.
func firstAnswer(ctx context.Context, env *story.Env, curl *story.Client, export *mcs.ServiceExport) (imported, answered time.Duration, err error) {
	start := time.Now()
	if err := env.Exporter.Create(ctx, export); err != nil {
		return 0, 0, err
	}
	err = poll(ctx, func() (bool, error) {
		var imp mcs.ServiceImport
		err := env.Consumer.Get(ctx, client.ObjectKeyFromObject(export), &imp)
		return len(imp.Spec.IPs) > 0, client.IgnoreNotFound(err)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("%s is not imported: %w", export.Name, err)
	}
	imported = time.Since(start)
	url := fmt.Sprintf("http://%s.%s.svc.clusterset.local:8080/", export.Name, export.Namespace)
	again := "for i in $(seq 600); do curl -sS -o /dev/null --fail --max-time 2 " + url + " 2>/dev/null && exit 0; done; exit 1"
	if _, err := curl.Run(ctx, "sh", "-c", again); err != nil {
		return 0, 0, fmt.Errorf("no answer of %s: %w", export.Name, err)
	}
	return imported, time.Since(start), nil
}

func poll(ctx context.Context, done func() (bool, error)) error {
	return wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return done() })
}
