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

// TestPageOfIssuers does the same for the keys of one issuer, in the order of the code, and loads the
// page's example.
func TestPageOfIssuers(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	const least = "{name: a, algorithms: [HS256], secret_file: s, audience: here"
	load := func(rest string) config.Config {
		return mustLoad(t, config.Source{File: write(t, "issuers: ["+least+rest+"}]\n")})
	}
	rows := regexp.MustCompile("(?m)^\\| `issuers\\[\\]\\.([a-z_.]+)` \\| (none|`[^`]*`) \\| only in the file \\|").
		FindAllStringSubmatch(string(page), -1)
	var documented []string
	for _, row := range rows {
		path, value := row[1], strings.Trim(row[2], "`")
		documented = append(documented, path)
		if strings.Contains(least, path+":") {
			continue
		}
		setting := path + ": " + value
		if section, name, nested := strings.Cut(path, "."); nested {
			setting = section + ": {" + name + ": " + value + "}"
		}
		if diff := cmp.Diff(load(""), load(", "+setting), comparePrefixes); diff != "" {
			t.Errorf("%s: the page's default is another (-default +page):\n%s", path, diff)
		}
	}
	if diff := cmp.Diff(config.IssuerPaths(), documented); diff != "" {
		t.Errorf("keys (-code +page):\n%s", diff)
	}
	example := regexp.MustCompile("(?m)^    issuers:\n(    .*\n)+").FindString(string(page))
	if got := mustLoad(t, config.Source{File: write(t, example)}); len(got.Issuers) != 2 || len(got.Warnings) > 0 {
		t.Errorf("the page's example has %d issuers and the warnings %q, want 2 and none", len(got.Issuers), got.Warnings)
	}
}

// TestPageOfPolicies does the same for the keys of one policy.
func TestPageOfPolicies(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `policies\\.<name>\\.([a-z_]+)` \\| (none|`[^`]*`) \\| only in the file \\|").
		FindAllStringSubmatch(string(page), -1)
	var documented []string
	for _, row := range rows {
		path, value := row[1], strings.Trim(row[2], "`")
		documented = append(documented, path)
		if value == "none" {
			continue
		}
		got := policies(t, "policies: {staff: {"+path+": "+value+"}}\n")["staff"]
		if diff := cmp.Diff(config.NewPolicy(), got, comparePrefixes); diff != "" {
			t.Errorf("%s: the page's default is another (-default +page):\n%s", path, diff)
		}
	}
	if diff := cmp.Diff(config.PolicyPaths(), documented); diff != "" {
		t.Errorf("keys (-code +page):\n%s", diff)
	}
	example := regexp.MustCompile("(?m)^    policies:\n(    .*\n)+").FindString(string(page))
	if got := mustLoad(t, config.Source{File: write(t, example)}); len(got.Policies) != 3 || len(got.Warnings) > 0 {
		t.Errorf("the page's example has %d policies and the warnings %q, want 3, default included, and none", len(got.Policies), got.Warnings)
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
