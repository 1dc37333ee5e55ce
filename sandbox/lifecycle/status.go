// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/l7mp/mc-wan/sandbox/addon"
	"github.com/l7mp/mc-wan/sandbox/cluster"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/mesh"
	"github.com/l7mp/mc-wan/sandbox/wan"
)

// statusTimeout bounds the questions to one cluster.
const statusTimeout = 10 * time.Second

// Status is a sandbox as it is now.
type Status struct {
	Name string `json:"name"`
	// Ready says that all that was asked for is there and ready.
	Ready      bool            `json:"ready"`
	Kubeconfig string          `json:"kubeconfig"`
	Dir        string          `json:"dir"`
	Clusters   []ClusterStatus `json:"clusters"`
	WAN        WANStatus       `json:"wan"`
}

// ClusterStatus is one cluster as it is now.
type ClusterStatus struct {
	Name string `json:"name"`
	API  string `json:"api"`
	// Running says that the cluster's processes run, NodeReady that its kubelet reports so.
	Running   bool `json:"running"`
	NodeReady bool `json:"nodeReady"`
	// PodsReady of Pods that are to run are ready; finished ones are not counted.
	PodsReady int `json:"podsReady"`
	Pods      int `json:"pods"`
	// Istio and Addon are one of "ready", "not ready", "not installed", "unknown".
	Istio       string `json:"istio"`
	Addon       string `json:"addon"`
	TrustDomain string `json:"trustDomain,omitempty"`
	// MemoryBytes is the working set of all its processes and pods, CPUSeconds the processor time they have used.
	MemoryBytes int64   `json:"memoryBytes"`
	CPUSeconds  float64 `json:"cpuSeconds"`
	// Pod and Service networks, one of each address family.
	PodCIDRs     []string `json:"podCIDRs"`
	ServiceCIDRs []string `json:"serviceCIDRs"`
	// Problem says why something could not be found out.
	Problem string `json:"problem,omitempty"`
}

// WANStatus is the SD-WAN process as it is now; `mcwan-sandbox wan` says the rest.
type WANStatus struct {
	Running bool `json:"running"`
	// Attached of Sites clusters are joined.
	Attached    int     `json:"attached"`
	Sites       int     `json:"sites"`
	MemoryBytes int64   `json:"memoryBytes"`
	CPUSeconds  float64 `json:"cpuSeconds"`
	// Problems are WANPolicies that cannot be followed.
	Problems []string `json:"problems,omitempty"`
	Problem  string   `json:"problem,omitempty"`
}

// States of things that can be installed.
const (
	stateReady   = "ready"
	stateWaiting = "not ready"
	stateNone    = "not installed"
	stateUnknown = "unknown"
)

// Status looks at a sandbox without changing it. What cannot be found out is said in it; it is no error.
func (s *Sandbox) Status(ctx context.Context) Status {
	st := Status{Name: s.Record.Name, Kubeconfig: s.Kubeconfig(), Dir: s.Dir, WAN: s.wanStatus(ctx)}
	st.Ready = st.WAN.Running && st.WAN.Attached == len(s.Clusters)
	for _, c := range s.Clusters {
		one := s.clusterStatus(ctx, c)
		st.Clusters = append(st.Clusters, one)
		st.Ready = st.Ready && s.asAsked(one)
	}
	return st
}

// asAsked says whether a cluster has all that the record asks for.
func (s *Sandbox) asAsked(c ClusterStatus) bool {
	return c.NodeReady && c.PodsReady == c.Pods && c.Pods > 0 && (!s.Record.Istio || c.Istio == stateReady) && (!s.Record.Addon || c.Addon == stateReady)
}

func (s *Sandbox) clusterStatus(ctx context.Context, c *cluster.Cluster) ClusterStatus {
	st := ClusterStatus{
		Name: c.Name, API: c.APIServer(), Running: c.Running(), Istio: stateUnknown, Addon: stateUnknown,
	}
	for _, f := range c.Families() {
		st.PodCIDRs, st.ServiceCIDRs = append(st.PodCIDRs, f.Pods.String()), append(st.ServiceCIDRs, f.Services.String())
	}
	if s.Record.Istio {
		st.TrustDomain = mesh.TrustDomain(c.Index)
	}
	if !st.Running {
		st.Problem = fmt.Sprintf("its processes do not run; mcwan-sandbox up --name %s heals it, %s says why", s.Record.Name, c.Log(cluster.InitLog))
		return st
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	if err := errors.Join(measure(c, &st), ask(ctx, c, &st)); err != nil {
		st.Problem = err.Error()
	}
	return st
}

// measure fills in what the control group counts.
func measure(c *cluster.Cluster, st *ClusterStatus) (err error) {
	var used time.Duration
	st.MemoryBytes, used, err = c.Usage()
	st.CPUSeconds = used.Seconds()
	return err
}

// ask fills in what the API server knows.
func ask(ctx context.Context, c *cluster.Cluster, st *ClusterStatus) error {
	client, err := kube.New(c.Kubeconfig())
	if err != nil {
		return err
	}
	if st.NodeReady, err = client.NodeReady(ctx, c.Name); err != nil {
		return err
	}
	pods, err := client.Typed.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		count(&pods.Items[i], st)
	}
	if st.Istio, err = installed(ctx, client, mesh.Namespace, mesh.Deployment); err != nil {
		return err
	}
	st.Addon, err = installed(ctx, client, addon.Namespace, addon.Deployments()...)
	return err
}

func count(p *corev1.Pod, st *ClusterStatus) {
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return
	}
	st.Pods++
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			st.PodsReady++
		}
	}
}

// installed says in which state deployments are: all must be available.
func installed(ctx context.Context, client *kube.Client, namespace string, names ...string) (string, error) {
	found, available := 0, 0
	for _, name := range names {
		d, err := client.Typed.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return stateUnknown, err
		}
		found++
		if kube.Available(d) {
			available++
		}
	}
	switch {
	case found == 0:
		return stateNone, nil
	case available == len(names):
		return stateReady, nil
	}
	return stateWaiting, nil
}

func (s *Sandbox) wanStatus(ctx context.Context) WANStatus {
	st := WANStatus{Running: s.WAN.Running()}
	if !st.Running {
		st.Problem = fmt.Sprintf("it does not run, so nothing crosses between clusters; mcwan-sandbox up --name %s starts it, %s says why", s.Record.Name, s.WAN.Log())
		return st
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	now, err := wan.NewClient(s.WAN.Socket()).Status(ctx)
	if err != nil {
		st.Problem = err.Error()
		return st
	}
	st.Sites = len(now.Sites)
	for _, site := range now.Sites {
		if site.Attached {
			st.Attached++
		}
	}
	var err1, err2, err3 error
	st.Problems, err1 = s.WAN.Problems()
	st.MemoryBytes, err2 = s.WAN.Groups.Memory(s.WAN.Group)
	used, err3 := s.WAN.Groups.CPU(s.WAN.Group)
	st.CPUSeconds = used.Seconds()
	if err := errors.Join(err1, err2, err3); err != nil {
		st.Problem = err.Error()
	}
	return st
}
