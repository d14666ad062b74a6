package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"devicegate/config"

	"github.com/google/go-cmp/cmp"
)

// TestPage holds docs/configuration.md to the code: every key stands in it once, with its variable,
// and the default it states is the default.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| `([^`]*)` \\| (`[A-Z0-9_]+`|only in the file) \\|").
		FindAllStringSubmatch(string(page), -1)
	var documented []string
	for _, row := range rows {
		path, value, variable := row[1], row[2], strings.Trim(row[3], "`")
		documented = append(documented, path)
		got := mustLoad(t, config.Source{File: write(t, nest(path, value))})
		if diff := cmp.Diff(config.Default(), got, comparePrefixes); diff != "" {
			t.Errorf("%s: the page's default is another (-default +page):\n%s", path, diff)
		}
		if variable != "only in the file" && variable != config.Variable(path) {
			t.Errorf("%s: the page's variable is %s, want %s", path, variable, config.Variable(path))
		}
		if _, err := config.Load(config.Source{Environ: []string{config.Variable(path) + "=\x00"}}); err == nil {
			t.Errorf("%s: %s is not read", path, config.Variable(path))
		}
	}
	want := config.Paths()
	slices.Sort(want)
	slices.Sort(documented)
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("keys (-code +page):\n%s", diff)
	}
}

// nest writes a file that sets one key.
func nest(path, value string) string {
	parts := strings.Split(path, ".")
	var b strings.Builder
	for i, part := range parts {
		b.WriteString(strings.Repeat("  ", i) + part + ":")
		if i < len(parts)-1 {
			b.WriteString("\n")
		}
	}
	b.WriteString(" " + value + "\n")
	return b.String()
}
