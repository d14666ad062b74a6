package compat_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const page = "../docs/migrating-from-django.md"

func readPage(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// reference is a test as the page names it: `folder TestName/subtest`.
var reference = regexp.MustCompile("`([a-z0-9]+) (Test[A-Za-z0-9]+)(?:/([^`]+))?`")

// TestNamedTestsExist: a row of the page names tests that are there.
func TestNamedTestsExist(t *testing.T) {
	sources := map[string]string{}
	for _, r := range reference.FindAllStringSubmatch(readPage(t), -1) {
		folder, name, sub := r[1], r[2], r[3]
		if _, read := sources[folder]; !read {
			sources[folder] = testsOf(t, folder)
		}
		if !strings.Contains(sources[folder], "\nfunc "+name+"(t *testing.T)") {
			t.Errorf("%s names %s, which %s does not have", page, r[0], folder)
		}
		if sub != "" && !strings.Contains(sources[folder], `"`+sub+`"`) {
			t.Errorf("%s names %s: no subtest of %s is called so", page, r[0], folder)
		}
	}
}

// testsOf returns the text of all tests of a folder, and of the tables of theirs that other folders use as well.
func testsOf(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join("..", folder, "*test", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, tables...)
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

// TestEveryRowNamesATest: every row of the tables between the two lines has one.
func TestEveryRowNamesATest(t *testing.T) {
	_, tables, begins := strings.Cut(readPage(t), "<!-- rows -->")
	tables, _, ends := strings.Cut(tables, "<!-- end of rows -->")
	if !begins || !ends {
		t.Fatal("the page lacks the lines between which its tables stand")
	}
	rows, head := 0, true
	for line := range strings.Lines(tables) {
		switch {
		case !strings.HasPrefix(line, "|"):
			head = true
		case head:
			head = strings.HasPrefix(line, "| ") // the line after it is |---|
		default:
			rows++
			if !reference.MatchString(line) {
				t.Errorf("no test is named in: %s", line)
			}
		}
	}
	if rows < 60 {
		t.Errorf("the page has %d rows, want all of them", rows)
	}
}

// TestEverySubtestIsNamed: what is shown here stands on the page.
func TestEverySubtestIsNamed(t *testing.T) {
	text := readPage(t)
	for _, sub := range regexp.MustCompile(`(?:t\.Run\(|\{name: )"([^"]+)"`).FindAllStringSubmatch(testsOf(t, "compat"), -1) {
		if !strings.Contains(text, "/"+sub[1]+"`") {
			t.Errorf("%s does not name the subtest %s", page, sub[1])
		}
	}
}
