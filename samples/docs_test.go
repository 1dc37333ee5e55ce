// SPDX-License-Identifier: Apache-2.0

package samples_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fence is a fenced block of a page, which a list may indent.
var fence = regexp.MustCompile("(?s)```[a-z]*\n.*?```")

// texts are what people read: every page, the API's and the product's comments and messages, and what the chart says.
func texts(t *testing.T) map[string]string {
	t.Helper()
	files := slices.Concat(pages(t), filesBelow(t, "../manifests/charts/mc-wan", "NOTES.txt", "values.yaml"))
	for _, file := range slices.Concat(filesBelow(t, "../api", ".go"), filesBelow(t, "../pkg", ".go"), filesBelow(t, "../cmd", ".go")) {
		if !strings.HasSuffix(file, "_test.go") {
			files = append(files, file)
		}
	}
	out := map[string]string{}
	for _, file := range files {
		out[file] = string(read(t, file))
	}
	return out
}

// pages are all pages of Markdown.
func pages(t *testing.T) []string {
	t.Helper()
	top, err := filepath.Glob("../*.md")
	if err != nil || len(top) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	return append(top, filesBelow(t, "../docs", ".md")...)
}

func filesBelow(t *testing.T, root string, endings ...string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(path, e) }) {
			out = append(out, path)
		}
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("no %v below %s: %v", endings, root, err)
	}
	return out
}

// commands are the arguments of every command line of a program that a text holds: in `code`, or in a line of its own
// that pattern finds.
func commands(program, text string, ownLine *regexp.Regexp) [][]string {
	var out [][]string
	goComment := regexp.MustCompile(`\n\s*// `)
	code := regexp.MustCompile("`" + program + " ([^`\n]+(?:\n[^`\n]+)?)`")
	for _, match := range slices.Concat(code.FindAllStringSubmatch(text, -1), ownLine.FindAllStringSubmatch(text, -1)) {
		line, _, _ := strings.Cut(goComment.ReplaceAllString(match[1], " "), " #") // a comment of the shell
		line, _, _ = strings.Cut(line, "`")                                        // the end of a Go string
		out = append(out, strings.Fields(line))
	}
	return out
}

// flagsOf reads docs/cli.md, which pkg/cli's tests hold to its help texts: command -> its flags, those of all included.
func flagsOf(t *testing.T) map[string]map[string]bool {
	t.Helper()
	page := string(read(t, "../docs/cli.md"))
	flag := regexp.MustCompile(`(?m)^ +(?:(-\w), )?(--[a-z-]+)`)
	flags := func(text string) map[string]bool {
		set := map[string]bool{}
		for _, match := range flag.FindAllStringSubmatch(text, -1) {
			set[match[1]], set[match[2]] = true, true
		}
		return set
	}
	sections := strings.Split(page, "\n## mcwanctl")
	common := flags(sections[1])
	_, list, _ := strings.Cut(sections[1], "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	out := map[string]map[string]bool{}
	for line := range strings.Lines(list) {
		out[strings.Fields(line)[0]] = maps.Clone(common)
	}
	for _, section := range sections[2:] {
		name, text, _ := strings.Cut(strings.TrimSpace(section), "\n")
		maps.Copy(out[name], flags(text))
	}
	return out
}

func TestCommandsThatTextsNameExist(t *testing.T) {
	t.Parallel()
	known := flagsOf(t)
	// or named by a message, as in "see: mcwanctl join --help"
	ownLine := regexp.MustCompile(`(?m)(?:^(?:[ \t]+|\$ )+|: |\()mcwanctl ([^\n|>;")\\]+)`)
	inFence := regexp.MustCompile(`(?m)^mcwanctl ([^\n|>;")\\]+)`)
	for file, text := range texts(t) {
		found := commands("mcwanctl", text, ownLine)
		for _, block := range fence.FindAllString(text, -1) {
			if strings.HasPrefix(block, "```sh\n") {
				found = append(found, commands("mcwanctl", block, inFence)...)
			}
		}
		for _, words := range found {
			if err := checkCommand(known, words); err != nil {
				t.Errorf("%s: mcwanctl %s: %v", file, strings.Join(words, " "), err)
			}
		}
	}
}

func checkCommand(known map[string]map[string]bool, words []string) error {
	for len(words) > 1 && (words[0] == "--context" || words[0] == "--kubeconfig" || words[0] == "-n") {
		words = words[2:]
	}
	if len(words) == 0 || strings.HasPrefix(words[0], "-") || strings.HasPrefix(words[0], "[") {
		return nil
	}
	flags, exists := known[words[0]]
	if !exists {
		return fmt.Errorf("there is no command %q", words[0])
	}
	for _, word := range words[1:] {
		flag, _, _ := strings.Cut(strings.Trim(word, "[],."), "=")
		if strings.HasPrefix(flag, "-") && !flags[flag] {
			return fmt.Errorf("there is no flag %s", flag)
		}
	}
	return nil
}

func TestMakeTargetsThatTextsNameExist(t *testing.T) {
	t.Parallel()
	makefile := string(read(t, "../Makefile"))
	ownLine := regexp.MustCompile(`(?m)^(?:\$ )?make ([^\n|>;]+)`)
	for file, text := range texts(t) {
		found := commands("make", text, regexp.MustCompile(`^\z.`)) // a line of prose may begin with the word, so only in fences
		for _, block := range fence.FindAllString(text, -1) {
			found = append(found, commands("make", block, ownLine)...)
		}
		for _, words := range found {
			for _, word := range words {
				isTarget := !strings.Contains(word, "=") && !strings.HasPrefix(word, "-")
				if isTarget && !strings.Contains(makefile, "\n"+word+":") {
					t.Errorf("%s: make %s: there is no target %s", file, strings.Join(words, " "), word)
				}
			}
		}
	}
}

// Commands and transcripts stand in fences, as everything that is not prose: an indented block is not told from a list.
func TestBlocksAreFenced(t *testing.T) {
	t.Parallel()
	indented := regexp.MustCompile(`(?m)^\n {4,}\S.*`)
	for _, page := range pages(t) {
		for _, block := range indented.FindAllString(fence.ReplaceAllString(string(read(t, page)), ""), -1) {
			t.Errorf("%s has a block without a fence: %s", page, strings.TrimSpace(block))
		}
	}
}

// Links to files and to headings lead somewhere; so do the pages that comments and messages name.
func TestLinksResolve(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(string(read(t, page)), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(match[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", page, match[1], err)
			} else if anchor != "" && !slices.Contains(anchors(string(read(t, target))), anchor) {
				t.Errorf("%s links to %s: the page has no such heading", page, match[1])
			}
		}
	}
	named := regexp.MustCompile(`\b(?:docs|samples)/[\w/-]+\.(?:md|yaml)\b`)
	for file, text := range texts(t) {
		for _, path := range named.FindAllString(text, -1) {
			if _, err := os.Stat(filepath.Join("..", path)); err != nil {
				t.Errorf("%s names %s: %v", file, path, err)
			}
		}
	}
}

// Whoever meets a reason, in a condition or in an Event, finds it explained.
func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	reason := regexp.MustCompile(`(?m)^\s+(?:(?:Hop)?Reason|Refused|Notice)\w+\s+= "(\w+)"`)
	for sources, where := range map[string][]string{
		"../api": filesBelow(t, "../docs/kinds", ".md"), "../pkg/mesh": {"../docs/metrics.md"}, "../pkg/about": {"../docs/metrics.md"},
	} {
		var docs strings.Builder
		for _, page := range where {
			docs.Write(read(t, page))
		}
		found := 0
		for _, file := range filesBelow(t, sources, ".go") {
			for _, match := range reason.FindAllStringSubmatch(string(read(t, file)), -1) {
				found++
				if !strings.Contains(docs.String(), "`"+match[1]+"`") {
					t.Errorf("%s has the reason %s, which %v do not explain", file, match[1], where)
				}
			}
		}
		if found == 0 {
			t.Errorf("no reasons in %s", sources)
		}
	}
}

// anchors are the names that GitHub gives to the headings of a page.
func anchors(text string) []string {
	var out []string
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	for _, match := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(match[1]), "")
		out = append(out, strings.ReplaceAll(name, " ", "-"))
	}
	for _, match := range regexp.MustCompile(`<a (?:id|name)="([^"]+)"`).FindAllStringSubmatch(text, -1) {
		out = append(out, match[1])
	}
	return out
}

// Every test that a text names as the one that shows something exists; of a subtest, its name stands in the same file.
func TestTestsThatTextsNameExist(t *testing.T) {
	t.Parallel()
	sources := map[string]string{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	for _, root := range []string{"../api", "../pkg", "../manifests", "../samples", "../sandbox", "../tests"} {
		for _, file := range filesBelow(t, root, "_test.go", ".go") {
			if text := string(read(t, file)); strings.HasSuffix(file, "_test.go") {
				for _, match := range declared.FindAllStringSubmatch(text, -1) {
					sources[match[1]] += text
				}
			}
		}
	}
	mention := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w+)(?:/([\\w.]+))?`")
	for file, text := range texts(t) {
		for _, match := range mention.FindAllStringSubmatch(text, -1) {
			name, sub := match[1], strings.ReplaceAll(match[2], "_", " ")
			computed := strings.HasPrefix(name, "Benchmark") // whose subtests are named after sizes
			if sources[name] == "" || !computed && !strings.Contains(sources[name], `"`+sub) {
				t.Errorf("%s names %s, which does not exist", file, strings.Trim(match[0], "`"))
			}
		}
	}
}

func TestMetricsThatPagesNameExist(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	for _, file := range filesBelow(t, "../pkg", ".go") {
		if !strings.HasSuffix(file, "_test.go") {
			code.Write(read(t, file))
		}
	}
	for _, page := range pages(t) {
		for _, metric := range regexp.MustCompile(`\bmcwan_\w+`).FindAllString(string(read(t, page)), -1) {
			end := `"`
			if strings.HasSuffix(metric, "_") { // the beginning of several
				end = ""
			}
			if !strings.Contains(code.String(), `"`+metric+end) {
				t.Errorf("%s names %s, which the controller does not measure", page, metric)
			}
		}
	}
}
