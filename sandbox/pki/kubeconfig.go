// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/l7mp/mc-wan/sandbox/network"
)

func kubeconfig(c network.Cluster, ca []byte, user string, pair Pair) ([]byte, error) {
	return clientcmd.Write(api.Config{
		Clusters:       map[string]*api.Cluster{c.Name: {Server: c.APIServer(), CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*api.AuthInfo{user: {ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}},
		Contexts:       map[string]*api.Context{c.Name: {Cluster: c.Name, AuthInfo: user}},
		CurrentContext: c.Name,
	})
}

// MergeAdmin makes one kubeconfig out of the clusters' own, with a context per cluster named like the cluster. The
// first cluster's is the current one.
func MergeAdmin(files []string) ([]byte, error) {
	merged := api.NewConfig()
	for _, f := range files {
		one, err := clientcmd.LoadFromFile(f)
		if err != nil {
			return nil, err
		}
		name := one.CurrentContext
		context, ok := one.Contexts[name]
		if !ok {
			return nil, fmt.Errorf("%s: current context %q is not in it", f, name)
		}
		user := "admin@" + name
		merged.Clusters[name] = one.Clusters[context.Cluster]
		merged.AuthInfos[user] = one.AuthInfos[context.AuthInfo]
		merged.Contexts[name] = &api.Context{Cluster: name, AuthInfo: user}
		if merged.CurrentContext == "" {
			merged.CurrentContext = name
		}
	}
	for _, c := range merged.Clusters {
		c.LocationOfOrigin = ""
	}
	return clientcmd.Write(*merged)
}
