// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// Overview is what `status -o json` prints.
type Overview struct {
	Cluster   string            `json:"cluster"`
	Addresses []string          `json:"addresses"`
	Versions  v1alpha1.Versions `json:"versions"`
	Peers     []PeerLine        `json:"peers"`
	Policies  []PolicyLine      `json:"policies"`
	Services  []ServiceLine     `json:"services"`
	// Problems are what is not as it should be, a line each.
	Problems []string `json:"problems"`
}

// PeerLine is one joined cluster.
type PeerLine struct {
	Cluster  string `json:"cluster"`
	Ready    bool   `json:"ready"`
	State    string `json:"state"`
	Accepted int32  `json:"accepted"`
	Refused  int32  `json:"refused"`
	Version  string `json:"version,omitempty"`
}

// PolicyLine is one WAN policy.
type PolicyLine struct {
	Name    string `json:"name"`
	Tunnel  string `json:"tunnel"`
	Port    int32  `json:"port"`
	Default bool   `json:"default,omitempty"`
	Ready   bool   `json:"ready"`
	State   string `json:"state"`
}

// ServiceLine is one service that is exported from or imported into this cluster.
type ServiceLine struct {
	Name      string   `json:"name"`
	Namespace string   `json:"namespace"`
	Exported  bool     `json:"exported"`
	IPs       []string `json:"ips,omitempty"`
	Clusters  []string `json:"clusters"`
	Ready     bool     `json:"ready"`
	State     string   `json:"state"`
}

func (a *app) overview(ctx context.Context, output string) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	facts, err := gatherCluster(ctx, c)
	if err != nil {
		return err
	}
	var exports mcsv1beta1.ServiceExportList
	if err := c.List(ctx, &exports, client.InNamespace(a.namespace)); err != nil {
		return c.explain("listing ServiceExports", err)
	}
	var imports mcsv1beta1.ServiceImportList
	if err := c.List(ctx, &imports, client.InNamespace(a.namespace)); err != nil {
		return c.explain("listing ServiceImports", err)
	}
	o := overviewOf(facts, exports.Items, imports.Items)
	if output == formatTable {
		err = printOverview(a.Out, o)
	} else {
		err = encode(a.Out, output, o)
	}
	if err == nil && len(o.Problems) > 0 {
		err = fmt.Errorf("problems found:\n  %s", strings.Join(o.Problems, "\n  "))
	}
	return err
}

// overviewOf works the overview out of what was read.
func overviewOf(f clusterFacts, exports []mcsv1beta1.ServiceExport, imports []mcsv1beta1.ServiceImport) Overview {
	o := Overview{
		Cluster: f.own.ClusterID, Addresses: f.own.Addresses, Versions: f.own.Versions,
		Peers: []PeerLine{}, Policies: []PolicyLine{}, Problems: []string{},
	}
	if len(f.own.Addresses) == 0 {
		o.Problems = append(o.Problems, "the ingress gateway has no ready pod")
	}
	for i := range f.peers {
		line := peerLine(&f.peers[i])
		o.Peers = append(o.Peers, line)
		if !line.Ready {
			o.Problems = append(o.Problems, fmt.Sprintf("peer %s: %s", line.Cluster, line.State))
		}
	}
	for _, p := range f.policies {
		ready, state := conditionState(p.Status.Conditions, v1alpha1.ConditionReady, p.Generation)
		o.Policies = append(o.Policies, PolicyLine{Name: p.Name, Tunnel: p.Spec.Tunnel, Port: p.Spec.Port, Default: p.Spec.Default, Ready: ready, State: state})
		if !ready {
			o.Problems = append(o.Problems, fmt.Sprintf("policy %s: %s", p.Name, state))
		}
	}
	o.Services = serviceLines(exports, imports)
	for _, s := range o.Services {
		if !s.Ready {
			o.Problems = append(o.Problems, fmt.Sprintf("service %s/%s: %s", s.Name, s.Namespace, s.State))
		}
	}
	return o
}

func peerLine(p *v1alpha1.Peer) PeerLine {
	ready, state := peerState(p)
	return PeerLine{
		Cluster: p.Spec.ClusterID, Ready: ready, State: state,
		Accepted: p.Status.Advertisements.Accepted, Refused: p.Status.Advertisements.Refused,
		Version: p.Status.Versions.Controller,
	}
}

// serviceLines joins exports and imports by name, sorted by namespace and name.
func serviceLines(exports []mcsv1beta1.ServiceExport, imports []mcsv1beta1.ServiceImport) []ServiceLine {
	lines := map[types.NamespacedName]*ServiceLine{}
	line := func(obj client.Object) *ServiceLine {
		key := client.ObjectKeyFromObject(obj)
		if lines[key] == nil {
			lines[key] = &ServiceLine{Name: key.Name, Namespace: key.Namespace, Clusters: []string{}, State: "there is no ServiceImport yet"}
		}
		return lines[key]
	}
	for i := range imports {
		imported := &imports[i]
		l := line(imported)
		l.IPs = imported.Spec.IPs
		l.Ready, l.State = importState(imported)
		for _, c := range imported.Status.Clusters {
			l.Clusters = append(l.Clusters, c.Cluster)
		}
	}
	for i := range exports {
		l := line(&exports[i])
		l.Exported = true
		if ok, why := exportState(&exports[i]); !ok {
			l.Ready, l.State = false, why
		}
	}
	out := make([]ServiceLine, 0, len(lines))
	for _, l := range lines {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b ServiceLine) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// printOverview shows a cluster to a person.
func printOverview(w io.Writer, o Overview) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%-13s%s\n%-13s%s\n%-13s%s\n", "Cluster:", o.Cluster,
		"Gateways:", orDash(strings.Join(o.Addresses, ", ")), "Controller:", orDash(o.Versions.Controller))
	var peers, policyRows, services [][]string
	for _, p := range o.Peers {
		peers = append(peers, []string{p.Cluster, fmt.Sprint(p.Accepted), fmt.Sprint(p.Refused), p.Version, p.State})
	}
	for _, p := range o.Policies {
		name := p.Name
		if p.Default {
			name += " (default)"
		}
		policyRows = append(policyRows, []string{name, p.Tunnel, fmt.Sprint(p.Port), p.State})
	}
	for _, s := range o.Services {
		services = append(services, []string{s.Name + "/" + s.Namespace, strings.Join(s.IPs, ","), strings.Join(s.Clusters, ","), yesNo(s.Exported), s.State})
	}
	for _, section := range []struct {
		title, none string
		header      []string
		rows        [][]string
	}{
		{"Peers", "none; see: mcwanctl join --help", []string{"CLUSTER", "ACCEPTED", "REFUSED", "VERSION", "STATE"}, peers},
		{"WAN policies", "none; see docs/kinds/wanpolicy.md", []string{"NAME", "TUNNEL", "PORT", "STATE"}, policyRows},
		{"Services", "none; see: mcwanctl export --help", []string{"NAME", "ADDRESS", "CLUSTERS", "EXPORTED HERE", "STATE"}, services},
	} {
		fmt.Fprintf(&out, "\n%s:\n", section.title)
		if len(section.rows) == 0 {
			fmt.Fprintln(&out, section.none)
			continue
		}
		if err := table(&out, section.header, section.rows); err != nil {
			return err
		}
	}
	_, err := out.WriteTo(w)
	return err
}
