package doctor_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"devicegate/doctor"
)

var update = flag.Bool("update", false, "write the table of codes into docs/doctor.md")

const (
	page  = "../docs/doctor.md"
	begin = "<!-- codes: written by go test ./doctor -update -->\n"
	end   = "<!-- end of codes -->\n"
)

// TestPage holds the table of docs/doctor.md to the rules.
func TestPage(t *testing.T) {
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(content), begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("docs/doctor.md has no place for the table")
	}
	if want := table(); got != want {
		if !*update {
			t.Fatalf("the table of docs/doctor.md is not that of the rules; go test ./doctor -run TestPage -update writes\n%s", want)
		}
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("| code | finds |\n|---|---|\n")
	for _, r := range doctor.Rules() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Code, r.Finds)
	}
	return b.String()
}

// TestEveryRuleIsTested: each code is one of its own, in kebab-case, says what it finds, and a test expects it, here
// or in the e2e tests with the examples.
func TestEveryRuleIsTested(t *testing.T) {
	var tests strings.Builder
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../e2e/doctor_test.go") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(content)
	}
	seen := map[string]bool{}
	for _, r := range doctor.Rules() {
		if seen[r.Code] || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`).MatchString(r.Code) || r.Finds == "" {
			t.Errorf("%+v", r)
		}
		seen[r.Code] = true
		if !strings.Contains(tests.String(), `"`+r.Code+`"`) {
			t.Errorf("no test expects %s", r.Code)
		}
	}
	for _, code := range regexp.MustCompile(`"((?:nginx|traefik|envoy|caddy|haproxy|gate|kubernetes)-[a-z-]+)"`).FindAllStringSubmatch(tests.String(), -1) {
		if !seen[code[1]] {
			t.Errorf("a test expects %s, which no rule finds", code[1])
		}
	}
}
