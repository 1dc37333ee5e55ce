// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/l7mp/mc-wan/pkg/snapshot"
)

func newRenderCmd(a *app) *cobra.Command {
	var files []string
	var o snapshot.Options
	cmd := &cobra.Command{
		Use:   "render --cluster-id=ID -f FILE...",
		Short: "Print what the controller would write for objects in files",
		Long: `render reads YAML files and prints what the controller of cluster ID would write for them: no
cluster is asked. Files may hold WANPolicies, Peers, cards and advertisements, ServiceExports,
Services, EndpointSlices, Namespaces and ServiceImports of both groups; other kinds are passed over.
A folder stands for the .yaml and .yml files in it. Without any Namespace in the files every
namespace is taken to exist.`,
		Example: `  mcwanctl render --cluster-id=cluster-2 -f samples/

  # What a running cluster would get, with another policy.
  kubectl get wanpolicies,serviceexports,services,endpointslices,namespaces -A -o yaml > now.yaml
  kubectl -n mc-wan get peers,clusteradvertisements,serviceadvertisements -o yaml > fleet.yaml
  mcwanctl render --cluster-id=cluster-1 -f now.yaml -f fleet.yaml -f new-policy.yaml`,
		Args:              exactly(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case len(files) == 0:
				return usagef("name the files to read by -f")
			case o.ClusterID == "":
				return usagef("--cluster-id is missing: say for which cluster the files are read")
			default:
				return a.render(files, o)
			}
		},
	}
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "file or folder to read, may be given several times; - is standard input")
	cmd.Flags().StringVar(&o.ClusterID, "cluster-id", "", "id of the cluster that is rendered")
	cmd.Flags().StringVar(&o.TrustDomain, "trust-domain", "", "trust domain of its mesh, where the files do not hold its card (default: cluster.local)")
	cmd.Flags().BoolVar(&o.DummyServices, "dummy-services", true, "imports have a dummy Service per WAN policy on offer, as the controller's flag of that name says")
	cmd.Flags().StringSliceVar(&o.ServiceCIDRs, "service-cidr", nil, "range of its ClusterIPs, which no gateway of a peer can have")
	return cmd
}

func (a *app) render(paths []string, o snapshot.Options) error {
	var files []snapshot.File
	for _, path := range paths {
		more, err := a.readFiles(path)
		if err != nil {
			return err
		}
		files = append(files, more...)
	}
	state, err := snapshot.Read(o, files...)
	if err != nil {
		return err
	}
	out, err := snapshot.Marshal(snapshot.Render(state))
	if err != nil {
		return err
	}
	_, err = a.Out.Write(out)
	return err
}

// readFiles reads a file, standard input, or the YAML files of a folder in the order of their names.
func (a *app) readFiles(path string) ([]snapshot.File, error) {
	if path == "-" {
		data, err := io.ReadAll(a.In)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return []snapshot.File{{Name: "standard input", Data: data}}, nil
	}
	names := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if names, err = yamlFiles(path); err != nil {
			return nil, err
		}
	}
	var files []snapshot.File
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, snapshot.File{Name: name, Data: data})
	}
	return files, nil
}

func yamlFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !entry.IsDir() && slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(entry.Name())) {
			names = append(names, filepath.Join(dir, entry.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s holds no .yaml or .yml file", dir)
	}
	return names, nil
}
