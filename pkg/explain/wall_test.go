// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What this package may take from translate: names and keys, how exporters share, the order of hops, and the words of a
// refusal. Nothing that makes routes of rules: a mistake there has to show as a disagreement.
func taken() []string {
	return []string{
		"CheckRegexp", "ClusterSetHost", "DerivedServiceName", "Dummy", "DummyLegName", "DummyServiceName", "EndpointKey",
		"EndpointLegName", "EndpointServiceName", "Endpoints", "Hop", "HopKey", "IsHTTP", "LegInput", "LegName", "LocalHost",
		"NextShares", "Order", "PathDomain", "PathFailover", "PathHost", "PathKey", "Rank", "ResolvePolicy", "RuleProblems",
		"Sharing", "WireKey",
	}
}

func TestTakesNoRoutesFromTranslate(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, ok := selector.X.(*ast.Ident); ok && of.Name == "translate" {
				used[selector.Sel.Name] = true
				if !slices.Contains(taken(), selector.Sel.Name) {
					t.Errorf("%s uses translate.%s: read rules here, or add it to the list if it has nothing to do with them", name, selector.Sel.Name)
				}
			}
			return true
		})
	}
	for _, name := range taken() {
		if !used[name] {
			t.Errorf("translate.%s is not used any more; take it off the list", name)
		}
	}
}
