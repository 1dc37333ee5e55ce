// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"text/template"

	"sigs.k8s.io/mcs-api/config/crd"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
	"github.com/l7mp/mc-wan/sandbox/kube"
	"github.com/l7mp/mc-wan/sandbox/network"
)

//go:embed coredns.yaml.tmpl
var corednsTemplate string

// Namespace and Deployment are CoreDNS' own.
const (
	Namespace  = "kube-system"
	Deployment = "coredns"
)

// Manifests are the objects to apply to a cluster, as YAML. The MCS kinds are the upstream project's own files.
func Manifests(c network.Cluster) ([]byte, error) {
	t, err := template.New("coredns.yaml").Parse(corednsTemplate)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, kind := range [][]byte{crd.ServiceExportCRD, crd.ServiceImportCRD} {
		out.Write(kind)
		out.WriteString("\n---\n")
	}
	data := struct {
		Image string
		IPs   []netip.Addr
	}{Image: artifacts.CoreDNSImage}
	for _, f := range c.Families() {
		data.IPs = append(data.IPs, f.DNSIP)
	}
	if err := t.Execute(&out, data); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Install applies the manifests; CoreDNS becomes ready later.
func Install(ctx context.Context, client *kube.Client, c network.Cluster) error {
	manifests, err := Manifests(c)
	if err != nil {
		return err
	}
	if err := client.Apply(ctx, manifests); err != nil {
		return fmt.Errorf("install CoreDNS: %w", err)
	}
	return nil
}
