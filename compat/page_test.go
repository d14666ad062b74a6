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

// reference is a test as the page names it: `folder TestName/subtest`. That it exists is shown by the tests in docs.
var reference = regexp.MustCompile("`([a-z0-9]+) (Test[A-Za-z0-9]+)(?:/([^`]+))?`")

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
	for _, sub := range regexp.MustCompile(`(?:t\.Run\(|\{name: )"([^"]+)"`).FindAllStringSubmatch(tests(t), -1) {
		if !strings.Contains(text, "/"+sub[1]+"`") {
			t.Errorf("%s does not name the subtest %s", page, sub[1])
		}
	}
}

// tests returns the text of all tests of this folder.
func tests(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
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
