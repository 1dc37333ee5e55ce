// SPDX-License-Identifier: Apache-2.0

package image

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
)

func TestOnlyNewBuildsAreOutdated(t *testing.T) {
	root := t.TempDir()
	if err := Record(root, []artifacts.Image{{Name: "a", Digest: "1"}, {Name: "b", Digest: "1"}}); err != nil {
		t.Fatal(err)
	}
	got, err := Store{Root: root}.Outdated([]artifacts.Image{{Name: "a", Digest: "1"}, {Name: "b", Digest: "2"}, {Name: "c", Digest: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]artifacts.Image{{Name: "b", Digest: "2"}, {Name: "c", Digest: "1"}}, got); diff != "" {
		t.Error(diff)
	}
}
