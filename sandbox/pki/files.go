// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/l7mp/mc-wan/sandbox/network"
)

// Files of one cluster's PKI folder that others name.
const (
	// AdminKubeconfig is for people.
	AdminKubeconfig = "admin.conf"
	// MeshCert, MeshKey and MeshRootCert are what istiod signs with.
	MeshCert     = "mesh-ca.crt"
	MeshKey      = "mesh-ca.key"
	MeshRootCert = "mesh-root.crt"

	caCert            = "ca.crt"
	caKey             = "ca.key"
	serviceAccountKey = "sa.key"
	serviceAccountPub = "sa.pub"
	frontProxyCACert  = "front-proxy-ca.crt"
	rootCert          = "root.crt"
	rootKey           = "root.key"
	administrators    = "system:masters"
)

// Kubeconfig is the file name of a component's kubeconfig.
func Kubeconfig(component string) string { return component + ".conf" }

// EnsureRoot makes the sandbox's mesh root in dir, or reads the one that is there.
func EnsureRoot(dir, sandbox string, now time.Time) (*Authority, error) {
	err := ensureDir(dir, func(tmp string) error {
		root, err := NewRoot(sandbox+" mesh root", now)
		if err != nil {
			return err
		}
		return writeAll(tmp, map[string][]byte{rootCert: root.Cert, rootKey: root.Key})
	})
	if err != nil {
		return nil, err
	}
	cert, err1 := os.ReadFile(filepath.Join(dir, rootCert))
	key, err2 := os.ReadFile(filepath.Join(dir, rootKey))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return ParseAuthority(Pair{Cert: cert, Key: key})
}

// EnsureCluster makes all keys, certificates and kubeconfigs of one cluster in dir, or leaves the ones that are there.
func EnsureCluster(dir string, c network.Cluster, root *Authority, now time.Time) error {
	return ensureDir(dir, func(tmp string) error {
		files, err := clusterFiles(c, root, now)
		if err != nil {
			return fmt.Errorf("keys of %s: %w", c.Name, err)
		}
		return writeAll(tmp, files)
	})
}

func clusterFiles(c network.Cluster, root *Authority, now time.Time) (map[string][]byte, error) {
	ca, err1 := NewRoot(c.Name+" kubernetes", now)
	front, err2 := NewRoot(c.Name+" front proxy", now)
	mesh, err3 := root.NewIntermediate(c.Name+" mesh", now)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	files := map[string][]byte{
		caCert: ca.Cert, caKey: ca.Key, frontProxyCACert: front.Cert,
		MeshCert: mesh.Cert, MeshKey: mesh.Key, MeshRootCert: root.Cert,
	}
	for name, s := range subjects(c) {
		issuer := ca
		if name == "front-proxy-client" {
			issuer = front
		}
		pair, err := issuer.Issue(s, now)
		if err != nil {
			return nil, err
		}
		files[name+".crt"], files[name+".key"] = pair.Cert, pair.Key
	}
	for _, user := range users() {
		conf, err := kubeconfig(c, ca.Cert, user, Pair{Cert: files[user+".crt"], Key: files[user+".key"]})
		if err != nil {
			return nil, err
		}
		files[Kubeconfig(user)] = conf
	}
	return files, addServiceAccountKey(files)
}

// users are the subjects that talk to the API server by a kubeconfig.
func users() []string {
	return []string{"admin", "kube-controller-manager", "kube-scheduler", "kube-proxy", "node"}
}

// subjects are the names that Kubernetes' own RBAC rules expect (kubernetes.io/docs/setup/best-practices/certificates).
func subjects(c network.Cluster) map[string]Subject {
	local := network.Loopback()
	return map[string]Subject{
		"apiserver": {
			CommonName: "kube-apiserver",
			Names:      []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost", c.Name},
			IPs:        append(local, c.NodeIP, c.APIIP),
		},
		"apiserver-kubelet-client": {CommonName: "kube-apiserver-kubelet-client", Groups: []string{administrators}},
		"front-proxy-client":       {CommonName: "front-proxy-client"},
		"kubelet":                  {CommonName: c.Name, Names: []string{c.Name}, IPs: append(local, c.NodeIP)},
		"admin":                    {CommonName: "kubernetes-admin", Groups: []string{administrators}},
		"kube-controller-manager":  {CommonName: "system:kube-controller-manager"},
		"kube-scheduler":           {CommonName: "system:kube-scheduler"},
		"kube-proxy":               {CommonName: "system:kube-proxy"},
		"node":                     {CommonName: "system:node:" + c.Name, Groups: []string{"system:nodes"}},
	}
}

func addServiceAccountKey(files map[string][]byte) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	files[serviceAccountPub] = encode("PUBLIC KEY", pub)
	files[serviceAccountKey], err = encodeKey(key)
	return err
}

// ensureDir fills a folder as a whole: a crash in the middle leaves none, never half of one.
func ensureDir(dir string, fill func(tmp string) error) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp := dir + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	if err := fill(tmp); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

func writeAll(dir string, files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
