// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/l7mp/mc-wan/pkg/explain"
	"github.com/l7mp/mc-wan/pkg/snapshot"
)

// explainFlags are those of mcwanctl explain.
type explainFlags struct {
	files    []string
	requests string
	headers  []string
	question explain.Question
	options  snapshot.Options
	// mesh is the rest of what stands in a cluster, with what flags say in its place.
	mesh   explain.Mesh
	output *format
}

func newExplainCmd(a *app) *cobra.Command {
	f := &explainFlags{}
	cmd := &cobra.Command{
		Use:   "explain NAME/NAMESPACE",
		Short: "Say what becomes of a request: rule, tunnel, hops, or why it is denied",
		Long: `explain says what becomes of a request to an imported service in this cluster: which rule it matches
and which it does not, which WAN policy follows, over which hops in which order with what health and
share, which objects carry it, or why it is denied. Nothing is sent: it reads what the controller
reads. With -f it reads files in place of a cluster, as render does. A dummy Service is asked about
by its own name, as payment-secure-sd-wan-priority-high/mc-wan. See docs/steering.md.

Matches are looked at with what the client sends; the path as the gateways read it: by Istio's
default dot segments are followed, and a backslash is a slash. With a cluster that is what
meshConfig.pathNormalization says there (ConfigMap istio of istio-system). It fails (exit code 1)
if the service is not imported; a request that is denied is an answer.`,
		Example: `  mcwanctl --context cluster-1 explain payment/secure --path=/payment/1
  mcwanctl explain payment/secure --method=POST --path='/stats?day=1' --header=x-tier=gold -o yaml

  # Before it is applied, without any cluster.
  mcwanctl explain payment/secure --path=/stats --cluster-id=cluster-1 -f fleet.yaml -f rules.yaml

  # Many requests at once, from a list of {service, port, method, path, headers}.
  mcwanctl explain --requests=requests.yaml -o json`,
		Args:              atMostOne,
		ValidArgsFunction: a.completeImports,
	}
	f.output = a.addFormat(cmd, formatTable, formatJSON, formatYAML)
	flags := cmd.Flags()
	flags.Int32Var(&f.question.Port, "port", 0, "port of the service (default: its first HTTP port)")
	flags.StringVarP(&f.question.Method, "method", "X", "GET", "method of the request")
	flags.StringVar(&f.question.Path, "path", "/", "path of the request, with its query")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "header of the request as NAME=VALUE or 'NAME: VALUE', may be given several times")
	flags.StringVar(&f.requests, "requests", "", "file with a list of requests, in place of one; - is standard input")
	flags.StringArrayVarP(&f.files, "filename", "f", nil, "file or folder to read in place of a cluster, may be given several times; - is standard input")
	flags.StringVar(&f.options.ClusterID, "cluster-id", "", "with -f, id of the cluster that is asked about")
	flags.StringVar(&f.mesh.PathNormalization, "path-normalization", "",
		"pathNormalization of the mesh (default: that of the cluster)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.explain(cmd.Context(), f, args) }
	return cmd
}

func (a *app) explain(ctx context.Context, f *explainFlags, args []string) error {
	switch {
	case (f.requests == "") == (len(args) == 0):
		return usagef("name a service as NAME/NAMESPACE, or a file of requests by --requests")
	case len(f.files) > 0 && f.options.ClusterID == "":
		return usagef("--cluster-id is missing: say for which cluster the files are read")
	case len(f.files) == 0 && f.options.ClusterID != "":
		return usagef("--cluster-id goes with -f; use --context to choose a cluster")
	}
	state, namespace, err := a.explainState(ctx, f)
	if err != nil {
		return err
	}
	questions, err := a.questions(f, args, namespace)
	if err != nil {
		return err
	}
	answers := make([]explain.Answer, 0, len(questions))
	for _, q := range questions {
		answer, err := explain.Explain(state, f.mesh, q)
		if err != nil {
			return err
		}
		answers = append(answers, answer)
	}
	switch {
	case f.output.value == formatTable:
		return printAnswers(a.Out, answers)
	case f.requests == "":
		return encode(a.Out, f.output.value, answers[0])
	}
	return encode(a.Out, f.output.value, answers)
}

// explainState is what the answers come from: files, or what stands in a cluster; and the default namespace.
func (a *app) explainState(ctx context.Context, f *explainFlags) (*snapshot.Files, string, error) {
	if len(f.files) > 0 {
		var files []snapshot.File
		for _, path := range f.files {
			more, err := a.readFiles(path)
			if err != nil {
				return nil, "", err
			}
			files = append(files, more...)
		}
		f.options.DummyServices = true // whether the controller makes them is not in files; asking for one asks of what it would do
		state, err := snapshot.Read(f.options, files...)
		if err != nil {
			return nil, "", err
		}
		return state.Advertised(), "default", nil
	}
	c, err := a.open()
	if err != nil {
		return nil, "", err
	}
	if f.mesh, err = liveMesh(ctx, c, f.mesh); err != nil {
		return nil, "", err
	}
	state, err := liveState(ctx, c)
	return state, c.Namespace, err
}

// questions are those of the command line or of the file of requests.
func (a *app) questions(f *explainFlags, args []string, namespace string) ([]explain.Question, error) {
	if f.requests != "" {
		files, err := a.readFiles(f.requests)
		if err != nil {
			return nil, err
		}
		var out []explain.Question
		if err := yaml.UnmarshalStrict(files[0].Data, &out); err != nil {
			return nil, fmt.Errorf("%s: it has to be a list of {service, port, method, path, headers}: %w", files[0].Name, err)
		}
		return out, nil
	}
	key, err := a.target(args[0], namespace)
	if err != nil {
		return nil, err
	}
	q := f.question
	q.Service, q.Headers = short(key), map[string]string{}
	for _, h := range f.headers {
		at := strings.IndexAny(h, "=:")
		if at <= 0 {
			return nil, usagef("--header %q is not NAME=VALUE", h)
		}
		q.Headers[strings.TrimSpace(h[:at])] = strings.TrimSpace(h[at+1:])
	}
	if !strings.HasPrefix(q.Path, "/") {
		return nil, usagef("--path %q does not begin with a slash", q.Path)
	}
	return []explain.Question{q}, nil
}

// percentText is a share without digits that say nothing.
func percentText(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) + " %" }

// stateOf is a hop's state for people.
func stateOf(h explain.Hop) string {
	if h.Rank == 0 {
		return string(h.State) + ", not used"
	}
	return string(h.State)
}

// rankText is a hop's place; a dash where it has none.
func rankText(h explain.Hop) string {
	if h.Rank == 0 {
		return ""
	}
	return fmt.Sprint(h.Rank)
}

// headersText are headers in a fixed order.
func headersText(headers map[string]string) string {
	out := make([]string, 0, len(headers))
	for name, value := range headers {
		out = append(out, name+": "+value)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
