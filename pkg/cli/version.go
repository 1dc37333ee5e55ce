// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// versionInfo is what `version -o json` prints.
type versionInfo struct {
	Client string         `json:"client"`
	Server *serverVersion `json:"server,omitempty"`
}

type serverVersion struct {
	Cluster    string `json:"cluster"`
	Controller string `json:"controller"`
	Istio      string `json:"istio,omitempty"`
	Kubernetes string `json:"kubernetes,omitempty"`
}

func newVersionCmd(a *app) *cobra.Command {
	var clientOnly bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of mcwanctl and of what runs in the cluster",
		Example: `  mcwanctl version

  # Without asking the cluster.
  mcwanctl version --client`,
		Args:              exactly(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&clientOnly, "client", false, "print the version of mcwanctl only")
	output := a.addFormat(cmd, formatTable, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.version(cmd.Context(), clientOnly, output.value)
	}
	return cmd
}

// version prints what is known even where the cluster does not answer.
func (a *app) version(ctx context.Context, clientOnly bool, output string) error {
	info := versionInfo{Client: a.Version}
	var failed error
	if !clientOnly {
		info.Server, failed = a.serverVersion(ctx)
	}
	if output != formatTable {
		if err := encode(a.Out, output, info); err != nil {
			return err
		}
		return failed
	}
	text := fmt.Sprintf("mcwanctl     %s\n", info.Client)
	if s := info.Server; s != nil {
		text += fmt.Sprintf("cluster      %s\ncontroller   %s\nistio        %s\nkubernetes   %s\n", s.Cluster, orDash(s.Controller), orDash(s.Istio), orDash(s.Kubernetes))
	}
	if _, err := io.WriteString(a.Out, text); err != nil {
		return err
	}
	return failed
}

func (a *app) serverVersion(ctx context.Context) (*serverVersion, error) {
	c, err := a.open()
	if err != nil {
		return nil, err
	}
	own, err := c.self(ctx)
	if err != nil {
		return nil, err
	}
	v := own.Spec.Versions
	return &serverVersion{Cluster: own.Spec.ClusterID, Controller: v.Controller, Istio: v.Istio, Kubernetes: v.Kubernetes}, nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
