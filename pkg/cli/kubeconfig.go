// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcsapi"
)

// requestTimeout bounds one request to an API server.
const requestTimeout = 15 * time.Second

// Clusters are the clusters that a kubeconfig file knows, by context.
type Clusters interface {
	// Contexts returns the names of all contexts, sorted.
	Contexts() ([]string, error)
	// Open returns access to one; an empty name stands for the current context.
	Open(context string) (Access, error)
}

// Access is access to one cluster.
type Access struct {
	client.Client
	// Context is the name of the kubeconfig context, "in-cluster" where there is none.
	Context string
	// Namespace is the default namespace of the context.
	Namespace string
}

// Scheme returns the kinds that mcwanctl reads and writes, those of the Multi-Cluster Services API in that version.
func Scheme(mcsVersion string) (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, discoveryv1.AddToScheme, mcsapi.AddToScheme(mcsVersion), networkingv1.AddToScheme, v1alpha1.AddToScheme, mcwanv1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	return s, nil
}

// kubeconfig implements Clusters with client-go's loading rules.
type kubeconfig struct {
	rules *clientcmd.ClientConfigLoadingRules
}

func openKubeconfig(path string) Clusters {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	return kubeconfig{rules: rules}
}

func (k kubeconfig) Contexts() ([]string, error) {
	config, err := k.rules.Load()
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig: %w", err)
	}
	names := make([]string, 0, len(config.Contexts))
	for name := range config.Contexts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (k kubeconfig) Open(context string) (Access, error) {
	if err := k.known(context); err != nil {
		return Access{}, err
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(k.rules, overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		return Access{}, fmt.Errorf("context %s: %w", orCurrent(context), err)
	}
	config.Timeout = requestTimeout
	config.UserAgent = "mcwanctl"
	namespace, _, err := loader.Namespace()
	if err != nil {
		return Access{}, fmt.Errorf("context %s: %w", orCurrent(context), err)
	}
	version, err := mcsVersion(config)
	if err != nil {
		return Access{}, fmt.Errorf("context %s: %w", k.nameOf(context), err)
	}
	scheme, err := Scheme(version)
	if err != nil {
		return Access{}, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return Access{}, fmt.Errorf("context %s: %w", orCurrent(context), err)
	}
	return Access{Client: c, Context: k.nameOf(context), Namespace: namespace}, nil
}

// mcsVersion is the version of the Multi-Cluster Services API that the cluster serves. Where it serves none, any will do:
// what is looked for is then said to be missing.
func mcsVersion(config *rest.Config) (string, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return "", err
	}
	version, err := mcsapi.Served(client)
	if errors.Is(err, mcsapi.ErrNotServed) {
		return mcsapi.Versions()[0], nil
	}
	return version, err
}

// known says which contexts there are when the one asked for is none of them.
func (k kubeconfig) known(context string) error {
	names, err := k.Contexts()
	if err != nil || context == "" || slices.Contains(names, context) {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("context %q does not exist: the kubeconfig has none; set KUBECONFIG or --kubeconfig", context)
	}
	return fmt.Errorf("context %q does not exist; there are: %s", context, strings.Join(names, ", "))
}

// nameOf is the name of a context for messages.
func (k kubeconfig) nameOf(context string) string {
	if context != "" {
		return context
	}
	config, err := k.rules.Load()
	if err != nil || config.CurrentContext == "" {
		return "in-cluster"
	}
	return config.CurrentContext
}

func orCurrent(context string) string {
	if context == "" {
		return "(current)"
	}
	return fmt.Sprintf("%q", context)
}

// open returns access to the cluster of --context.
func (a *app) open() (Access, error) {
	return a.Open(a.kubeconfig).Open(a.context)
}
