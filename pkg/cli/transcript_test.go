// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/cli"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestTranscripts replays testdata/transcripts/*.txt: what a person types, and everything that comes back.
//
//	# comment
//	fleet NAME          fresh clusters, one a file of testdata/fleets/NAME
//	$ mcwanctl ...      a command line
//	$ get CONTEXT KIND NAMESPACE/NAME
//	> standard output
//	! standard error
//	exit CODE           where it is not 0
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, file, want, replay(t, string(want)))
		})
	}
}

// golden compares got with what the file holds, or rewrites the file.
func golden(t *testing.T, file string, want, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), `make golden` rewrites it:\n%s", file, diff)
	}
}

// replay runs the commands of a transcript and returns it with what they gave.
func replay(t *testing.T, script string) []byte {
	t.Helper()
	var out bytes.Buffer
	var clusters fleet
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		name, isFleet := strings.CutPrefix(line, "fleet ")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case isFleet:
			clusters = loadFleet(t, name)
			fmt.Fprintln(&out, line)
		case isCommand:
			fmt.Fprintln(&out, line)
			run(t, &out, clusters, strings.Fields(command))
		case line == "" || strings.HasPrefix(line, "#"):
			fmt.Fprintln(&out, line)
		}
	}
	return out.Bytes()
}

func run(t *testing.T, out *bytes.Buffer, clusters fleet, words []string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := 0
	if words[0] == "get" {
		get(t, &stdout, clusters, words[1:])
	} else {
		code = cli.Run(t.Context(), words[1:], env(clusters, &stdout, &stderr))
	}
	prefix(out, "> ", stdout.String())
	prefix(out, "! ", stderr.String())
	if code != 0 {
		fmt.Fprintf(out, "exit %d\n", code)
	}
}

func prefix(out *bytes.Buffer, mark, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintln(out, strings.TrimRight(mark+strings.TrimRight(line, "\n"), " "))
	}
}

// get prints an object as it stands, without what the fake API server fills in.
func get(t *testing.T, out *bytes.Buffer, clusters fleet, words []string) {
	t.Helper()
	kinds := map[string]schema.GroupVersionKind{
		"peer":          v1alpha1.GroupVersion().WithKind("Peer"),
		"card":          v1alpha1.GroupVersion().WithKind("ClusterAdvertisement"),
		"advertisement": v1alpha1.GroupVersion().WithKind("ServiceAdvertisement"),
		"wanpolicy":     v1alpha1.GroupVersion().WithKind("WANPolicy"),
		"serviceexport": {Group: mcsv1beta1.GroupName, Version: "v1beta1", Kind: "ServiceExport"},
	}
	namespace, name, _ := strings.Cut(words[2], "/")
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kinds[words[1]])
	err := clusters[words[0]].Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj)
	if err != nil {
		fmt.Fprintln(out, err)
		return
	}
	for _, field := range [][]string{{"status"}, {"metadata", "resourceVersion"}, {"metadata", "managedFields"}, {"metadata", "creationTimestamp"}, {"spec", "exportedAt"}} {
		unstructured.RemoveNestedField(obj.Object, field...)
	}
	text, err := yaml.Marshal(obj.Object)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
}

// fleet is a cli.Clusters of fake API servers.
type fleet map[string]client.WithWatch

func (f fleet) Contexts() ([]string, error) {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (f fleet) Open(context string) (cli.Access, error) {
	if context == "" {
		context = "cluster-1"
	}
	c, known := f[context]
	if !known {
		return cli.Access{}, fmt.Errorf("context %q does not exist", context)
	}
	return cli.Access{Client: c, Context: context, Namespace: "default"}, nil
}

// loadFleet makes one fake API server a file of testdata/fleets/NAME, and one without our kinds by the context "empty".
func loadFleet(t *testing.T, name string) fleet {
	t.Helper()
	scheme, err := cli.Scheme("v1beta1")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("testdata/fleets", name, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("fleet %s: no clusters: %v", name, err)
	}
	clusters := fleet{"empty": withoutKinds(scheme)}
	for _, file := range files {
		clusters[strings.TrimSuffix(filepath.Base(file), ".yaml")] = fake.NewClientBuilder().WithScheme(scheme).
			WithObjects(objects(t, scheme, file)...).
			WithStatusSubresource(&v1alpha1.Peer{}, &v1alpha1.WANPolicy{}, &mcsv1beta1.ServiceExport{}, &mcsv1beta1.ServiceImport{}).
			Build()
	}
	return clusters
}

func objects(t *testing.T, scheme *runtime.Scheme, file string) []client.Object {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	var out []client.Object
	for i, doc := range strings.Split(string(data), "\n---\n") {
		obj, _, err := decoder.Decode([]byte(doc), nil, nil)
		if err != nil {
			t.Fatalf("%s, document %d: %v", file, i+1, err)
		}
		out = append(out, obj.(client.Object))
	}
	return out
}

// withoutKinds is a cluster without mc-wan: its API server knows none of our kinds.
func withoutKinds(scheme *runtime.Scheme) client.WithWatch {
	missing := func(kind string) error {
		return &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: v1alpha1.GroupName, Kind: kind}, SearchedVersions: []string{"v1alpha1"}}
	}
	system := &unstructured.Unstructured{}
	system.SetAPIVersion("v1")
	system.SetKind("Namespace")
	system.SetName("kube-system")
	return interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(system).Build(), interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
			return missing(strings.TrimSuffix(fmt.Sprintf("%T", list), "List"))
		},
	})
}
