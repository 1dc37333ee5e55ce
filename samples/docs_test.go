// SPDX-License-Identifier: Apache-2.0

package samples_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that docs/mcs.md names as the one that shows something exists; of a subtest, its name stands in the same file.
func TestTestsThatThePagesNameExist(t *testing.T) {
	t.Parallel()
	sources := map[string]string{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, root := range []string{"../pkg", "../tests"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text := string(read(t, path))
			for _, match := range declared.FindAllStringSubmatch(text, -1) {
				sources[match[1]] += text
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, match := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)(?:/([\\w.]+))?`").FindAllStringSubmatch(string(read(t, "../docs/mcs.md")), -1) {
		name, sub := match[1], strings.ReplaceAll(match[2], "_", " ")
		if sources[name] == "" || !strings.Contains(sources[name], `"`+sub) {
			t.Errorf("docs/mcs.md names %s, which does not exist", strings.Trim(match[0], "`"))
		}
	}
}
