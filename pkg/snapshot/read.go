// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mesh"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// File is YAML with the name by which errors speak of it.
type File struct {
	Name string
	Data []byte
}

// Options say for which cluster files are read.
type Options struct {
	// ClusterID is the own cluster. Required.
	ClusterID string
	// TrustDomain is the mesh's; empty is mesh.DefaultTrustDomain. The own card, if it is among the files, says
	// the gateways' identities and the cluster's uid instead.
	TrustDomain string
	// FilterRemote says that the mesh's istiod also reads endpoints of other clusters.
	FilterRemote bool
	// ServiceCIDRs are the ranges of the cluster's ClusterIPs.
	ServiceCIDRs []string
	// DummyServices says that imports have dummy Services, as the controller's --dummy-services does.
	DummyServices bool
}

// Read reads files of any number of YAML documents: our kinds and the MCS kinds, Services, EndpointSlices, Namespaces,
// the ConfigMap of leg ports, and Lists of them. Istio's kinds are read for the shares that are in use; other groups'
// kinds are passed over. An error names file, line and document.
func Read(opts Options, files ...File) (*Files, error) {
	f := newFiles()
	for _, file := range files {
		for _, d := range split(file.Data) {
			if err := f.add(d.data); err != nil {
				return nil, fmt.Errorf("%s:%d (document %d): %w", file.Name, d.line, d.number, err)
			}
		}
	}
	f.self = f.selfOf(opts)
	return f, nil
}

// selfOf is the own cluster by its options and its own card.
func (f *Files) selfOf(opts Options) translate.Cluster {
	trustDomain := cmp.Or(opts.TrustDomain, mesh.DefaultTrustDomain)
	self := translate.Cluster{
		ID: opts.ClusterID, FilterRemote: opts.FilterRemote,
		DummyServices: opts.DummyServices,
		Identities: v1alpha1.Identities{
			Egress:  translate.Identity(trustDomain, v1alpha1.EgressName),
			Ingress: translate.Identity(trustDomain, v1alpha1.IngressName),
		},
	}
	if ranges := slices.Clone(opts.ServiceCIDRs); len(ranges) > 0 {
		self.OwnAddress = func(a netip.Addr) bool { return translate.InRanges(ranges, a) }
	}
	for _, c := range f.cards {
		if c.Spec.ClusterID == opts.ClusterID {
			self.UID, self.Identities = c.Spec.ClusterUID, c.Spec.Identities
			trustDomain = translate.TrustDomainOf(c.Spec.Identities.Egress)
		}
	}
	self.TrustDomain = trustDomain
	self.Controller = translate.Identity(trustDomain, v1alpha1.ControllerName)
	return self
}

// document is one YAML document and where it begins.
type document struct {
	data   []byte
	number int
	line   int
}

// split cuts a file at its document separators and leaves empty documents out.
func split(data []byte) []document {
	var out []document
	current, line := document{number: 1, line: 1}, 0
	flush := func() {
		if len(bytes.TrimSpace(withoutComments(current.data))) > 0 {
			out = append(out, current)
		}
	}
	for _, l := range bytes.SplitAfter(data, []byte("\n")) {
		line++
		if text := strings.TrimRight(string(l), " \t\r\n"); text == "---" || strings.HasPrefix(text, "--- ") {
			flush()
			current = document{number: current.number + 1, line: line + 1}
			continue
		}
		if len(current.data) == 0 && len(out) == 0 && current.number == 1 && len(bytes.TrimSpace(l)) == 0 {
			current.line = line + 1
			continue
		}
		current.data = append(current.data, l...)
	}
	flush()
	return out
}

func withoutComments(data []byte) []byte {
	var out []byte
	for _, l := range bytes.SplitAfter(data, []byte("\n")) {
		if !bytes.HasPrefix(bytes.TrimSpace(l), []byte("#")) {
			out = append(out, l...)
		}
	}
	return out
}

// toJSON is a document as JSON, as kubectl makes it of YAML: YAML is read once, and JSON, which is read much faster and
// in less memory, not at all.
func toJSON(data []byte) ([]byte, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) && json.Valid(data) {
		return data, nil
	}
	return yaml.YAMLToJSONStrict(data)
}

// add takes one document into f, or one item of a List.
func (f *Files) add(data []byte) error {
	data, err := toJSON(data)
	if err != nil {
		return err
	}
	var m metav1.PartialObjectMetadata
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if m.Kind == "" || m.APIVersion == "" {
		return fmt.Errorf("apiVersion and kind are needed")
	}
	if strings.HasSuffix(m.Kind, "List") {
		return f.addList(data)
	}
	gv, err := schema.ParseGroupVersion(m.APIVersion)
	if err != nil {
		return fmt.Errorf("apiVersion: %w", err)
	}
	if err := f.addKind(gv.Group, m, data); err != nil {
		return fmt.Errorf("%s %s: %w", m.Kind, key(m.Namespace, m.Name), err)
	}
	return nil
}

func (f *Files) addList(data []byte) error {
	var list struct {
		Items []runtime.RawExtension `json:"items"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	for i, item := range list.Items {
		if err := f.add(item.Raw); err != nil {
			return fmt.Errorf("items[%d]: %w", i, err)
		}
	}
	return nil
}

// unpublishedGroup is the group of the Multi-Cluster Services API in early documents. It was never published.
const unpublishedGroup = "multicluster.k8s.io"

func (f *Files) addKind(group string, m metav1.PartialObjectMetadata, data []byte) error {
	switch group {
	case v1alpha1.GroupName:
		return f.addOurs(m.Kind, data)
	case mcsv1beta1.GroupName:
		return f.addMCS(m.Kind, data)
	case mcwanv1alpha1.GroupName:
		return f.addRules(m.Kind, data)
	case unpublishedGroup:
		return fmt.Errorf("group %s was never published; write apiVersion: %s", group, mcsv1beta1.GroupVersion)
	case corev1.GroupName:
		return f.addCore(m.Kind, data)
	case discoveryv1.GroupName:
		return f.addSlice(m.Kind, data)
	case "networking.istio.io":
		if s := translate.ParseShares(m.Annotations[translate.AnnotationShares]); s != nil && m.Namespace == v1alpha1.Namespace {
			f.shares[shared{m.Kind, m.Name}] = s
		}
	}
	return nil
}

func (f *Files) addOurs(kind string, data []byte) error {
	switch kind {
	case v1alpha1.WANPolicyKind:
		return appendTo(&f.policies, data)
	case v1alpha1.PeerKind:
		return appendTo(&f.peers, data)
	case v1alpha1.ClusterAdvertisementKind:
		return appendTo(&f.cards, data)
	case v1alpha1.ServiceAdvertisementKind:
		a, err := decode[v1alpha1.ServiceAdvertisement](data)
		k := key(a.Spec.Namespace, a.Spec.Name)
		f.advertisements[k] = append(f.advertisements[k], a)
		return err
	}
	return fmt.Errorf("unknown kind of group %s", v1alpha1.GroupName)
}

func (f *Files) addRules(kind string, data []byte) error {
	switch kind {
	case mcwanv1alpha1.ServiceImportKind:
		r, err := decode[mcwanv1alpha1.ServiceImport](data)
		f.rules[key(r.Namespace, r.Name)] = r
		return err
	case mcwanv1alpha1.ServiceExportKind:
		r, err := decode[mcwanv1alpha1.ServiceExport](data)
		f.ownerRules[key(r.Namespace, r.Name)] = r
		return err
	}
	return fmt.Errorf("unknown kind of group %s", mcwanv1alpha1.GroupName)
}

func (f *Files) addMCS(kind string, data []byte) error {
	switch kind {
	case mcsv1beta1.ServiceExportKindName:
		e, err := decode[mcsv1beta1.ServiceExport](data)
		f.exports[key(e.Namespace, e.Name)] = e
		return err
	case mcsv1beta1.ServiceImportKindName:
		i, err := decode[mcsv1beta1.ServiceImport](data)
		f.imports[key(i.Namespace, i.Name)] = i
		return err
	}
	return fmt.Errorf("unknown kind of group %s", mcsv1beta1.GroupName)
}

func (f *Files) addCore(kind string, data []byte) error {
	switch kind {
	case "Service":
		s, err := decode[corev1.Service](data)
		f.services[key(s.Namespace, s.Name)] = s
		return err
	case "Namespace":
		n, err := decode[corev1.Namespace](data)
		f.namespaces[n.Name] = n
		return err
	case "ConfigMap":
		c, err := decode[corev1.ConfigMap](data)
		if err != nil || c.Namespace != v1alpha1.Namespace || c.Name != PortTableName {
			return err
		}
		f.table, err = ports.Parse(c.Data)
		return err
	}
	return nil
}

func (f *Files) addSlice(kind string, data []byte) error {
	if kind != "EndpointSlice" {
		return nil
	}
	s, err := decode[discoveryv1.EndpointSlice](data)
	k := key(s.Namespace, s.Labels[discoveryv1.LabelServiceName])
	f.slices[k] = append(f.slices[k], s)
	return err
}

// decode reads one object and refuses fields that its kind does not have.
func decode[T any](data []byte) (T, error) {
	var v T
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&v)
	return v, err
}

func appendTo[T any](list *[]T, data []byte) error {
	v, err := decode[T](data)
	*list = append(*list, v)
	return err
}
