// Package docs_test keeps the pages true: what they name is there.
package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reference is a test as pages name it: `folder TestName/subtest`.
var reference = regexp.MustCompile("`([a-z0-9]+(?:/[a-z0-9]+)*) ((?:Test|Fuzz)[A-Za-z0-9]+)(?:/([^`]+))?`")

func read(t *testing.T, files ...string) string {
	t.Helper()
	var all strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}

func glob(t *testing.T, patterns ...string) (files []string) {
	t.Helper()
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return files
}

// TestNamedTestsExist: every test that a page names is in that folder, and so is the name of its subtest, there or in
// the tables that other folders use as well.
func TestNamedTestsExist(t *testing.T) {
	sources, named := map[string]string{}, 0
	for _, page := range glob(t, "*.md", "../*.md") {
		for _, r := range reference.FindAllStringSubmatch(read(t, page), -1) {
			folder, name, sub := r[1], r[2], r[3]
			if _, known := sources[folder]; !known {
				sources[folder] = read(t, glob(t, "../"+folder+"/*_test.go", "../"+folder+"/*test/*.go")...)
			}
			argument := map[bool]string{true: "t *testing.T", false: "f *testing.F"}[strings.HasPrefix(name, "Test")]
			if !strings.Contains(sources[folder], "\nfunc "+name+"("+argument+")") {
				t.Errorf("%s names %s, which %s does not have", page, r[0], folder)
			}
			if sub != "" && !strings.Contains(sources[folder], `"`+sub+`"`) {
				t.Errorf("%s names %s: no subtest of %s is called so", page, r[0], folder)
			}
			named++
		}
	}
	if named < 400 {
		t.Errorf("%d tests are named: are they written in another way?", named)
	}
}

// rows returns the rows of a page's tables whose first cell is like id, as cells.
func rows(t *testing.T, page, id string) (all [][]string) {
	t.Helper()
	first := regexp.MustCompile(`^\| (` + id + `) \|`)
	for line := range strings.Lines(read(t, page)) {
		if first.MatchString(line) {
			all = append(all, strings.Split(strings.Trim(line, "| \n"), " | "))
		}
	}
	return all
}

// TestEveryThreat has its one row, in order, that names a test or says that there is none.
func TestEveryThreat(t *testing.T) {
	var want []string
	for _, kind := range []struct {
		letter string
		count  int
	}{{"J", 19}, {"L", 13}, {"S", 13}, {"V", 13}} {
		for i := range kind.count {
			want = append(want, fmt.Sprint(kind.letter, i+1))
		}
	}
	got := rows(t, "threats.md", `[A-Z]\d+`)
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i, row := range got {
		if row[0] != want[i] || len(row) != 4 {
			t.Errorf("row %d is %q of %d cells, want %s of 4", i, row[0], len(row), want[i])
		}
		if last := row[len(row)-1]; (last == "no test") == reference.MatchString(last) {
			t.Errorf("%s names no test and does not say so: %s", row[0], last)
		}
	}
}

// TestEveryRequirement that is met names a test, and what is documented a page.
func TestEveryRequirement(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range rows(t, "security.md", `\d+\.\d+\.\d+`) {
		if len(row) != 4 || seen[row[0]] {
			t.Fatalf("%s is there twice, or has %d cells", row[0], len(row))
		}
		seen[row[0]] = true
		switch shown := row[3]; row[2] {
		case "yes", "partly":
			if !reference.MatchString(shown) {
				t.Errorf("%s names no test: %s", row[0], shown)
			}
		case "documented":
			if !strings.Contains(shown, "page") && !strings.Contains(shown, ".md") {
				t.Errorf("%s names no page: %s", row[0], shown)
			}
		case "no":
		default:
			t.Errorf("%s is answered by %q", row[0], row[2])
		}
	}
	if len(seen) < 90 {
		t.Errorf("%d requirements, want all", len(seen))
	}
}
