// SPDX-License-Identifier: Apache-2.0

package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// fieldOwner is the server-side-apply manager of what the story writes.
const fieldOwner = "mc-wan-story"

// Cluster is one of the story's clusters.
type Cluster struct {
	// Name is the kubectl context, and the cluster id of the add-on.
	Name string
	client.Client
	config *rest.Config
}

// Connect opens the cluster of a kubectl context.
func Connect(kubeconfig, kubeContext string) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: kubeContext}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("context %s: %w", kubeContext, err)
	}
	config.QPS, config.Burst = 100, 200
	config.WarningHandler = rest.NoWarnings{} // what a user is warned of is not what is tested here
	scheme := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(scheme), mcs.Install(scheme), mcw.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("context %s: %w", kubeContext, err)
	}
	return &Cluster{Name: kubeContext, Client: c, config: config}, nil
}

// Raw reads a path of the API server.
func (c *Cluster) Raw(ctx context.Context, path string) ([]byte, error) {
	clients, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return nil, fmt.Errorf("context %s: %w", c.Name, err)
	}
	out, err := clients.CoreV1().RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", path, c.Name, err)
	}
	return out, nil
}

// Logs reads what a container has logged since a moment, whose fraction of a second the API does not take.
func (c *Cluster) Logs(ctx context.Context, pod *corev1.Pod, container string, since time.Time) ([]byte, error) {
	clients, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return nil, fmt.Errorf("context %s: %w", c.Name, err)
	}
	at := metav1.NewTime(since)
	out, err := clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container, SinceTime: &at}).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("log of %s in %s: %w", pod.Name, c.Name, err)
	}
	return out, nil
}

// ApplyFile applies every object of a YAML file, as `kubectl apply --server-side -f` would.
func (c *Cluster) ApplyFile(ctx context.Context, path string) error {
	objects, err := readObjects(path)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := c.ApplyObject(ctx, o); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

// ApplyObject applies one object.
func (c *Cluster) ApplyObject(ctx context.Context, o *unstructured.Unstructured) error {
	err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), client.FieldOwner(fieldOwner), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("%s %s in %s: %w", o.GetKind(), client.ObjectKeyFromObject(o), c.Name, err)
	}
	return nil
}

// DeleteFile deletes every object of a YAML file but namespaces, last first.
func (c *Cluster) DeleteFile(ctx context.Context, path string) error {
	objects, err := readObjects(path)
	if err != nil {
		return err
	}
	for i := len(objects) - 1; i >= 0; i-- {
		if objects[i].GetKind() == "Namespace" {
			continue
		}
		if err := c.Delete(ctx, objects[i]); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

func readObjects(path string) ([]*unstructured.Unstructured, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var objects []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(f, 4096); ; {
		o := &unstructured.Unstructured{}
		if err := d.Decode(o); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
}

// ReadyPods lists the ready pods with the labels.
func (c *Cluster) ReadyPods(ctx context.Context, namespace string, labels client.MatchingLabels) ([]corev1.Pod, error) {
	var list corev1.PodList
	if err := c.List(ctx, &list, client.InNamespace(namespace), labels); err != nil {
		return nil, err
	}
	var ready []corev1.Pod
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil && podReady(&p) {
			ready = append(ready, p)
		}
	}
	return ready, nil
}

func podReady(p *corev1.Pod) bool {
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodReady {
			return cond.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Exec runs a command in a container of a pod and returns what it printed; err holds its exit status and standard error.
func (c *Cluster) Exec(ctx context.Context, pod *corev1.Pod, container string, command ...string) (string, error) {
	clientset, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return "", err
	}
	url := clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}, clientscheme.ParameterCodec).URL()
	executor, err := remotecommand.NewWebSocketExecutor(c.config, "GET", url.String())
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	if err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr}); err != nil {
		return stdout.String(), fmt.Errorf("%v in %s/%s: %w: %s", command, pod.Namespace, pod.Name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
