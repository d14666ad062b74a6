package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	page       = "../docs/proxies.md"
	tableBegin = "<!-- The table is written by: go test ./e2e -run TestPage -update -->\n"
	tableEnd   = "<!-- end of the table -->\n"
)

// TestPage: the table in docs/proxies.md is the table that the tests run.
func TestPage(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(content), tableBegin)
	written, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s lacks the lines between which the table stands", page)
	}
	want := markdown()
	if *update {
		if err := os.WriteFile(page, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("the table of %s is stale; write it anew with: go test ./e2e -run TestPage -update\n%s", page, diff)
	}
}

func markdown() string {
	var page strings.Builder
	page.WriteString("\n| case | | Traefik | nginx | Envoy over HTTP | Envoy over gRPC | Caddy | HAProxy |\n|---|---|---|---|---|---|---|---|\n")
	for _, c := range table() {
		fmt.Fprintf(&page, "| %d | %s |", c.number, code(c.title))
		for _, name := range []string{"traefik", "nginx", "envoy_http", "envoy_grpc", "caddy", "haproxy"} {
			want, ok := c.want[name]
			if !ok {
				page.WriteString(" |")
				continue
			}
			fmt.Fprintf(&page, " %s |", want)
		}
		page.WriteString("\n")
	}
	page.WriteString("\n")
	return page.String()
}

// code keeps paths and placeholders from being read as markup.
func code(title string) string {
	return strings.NewReplacer("<", "&lt;", "*", `\*`, "_", `\_`, `\`, `\\`).Replace(title)
}

// String is the outcome as the page shows it.
func (o outcome) String() string {
	switch {
	case o.reason == "" && o.reached:
		return fmt.Sprintf("%d, open", o.status)
	case o.reason == "":
		return fmt.Sprintf("%d", o.status)
	}
	return fmt.Sprintf("%d `%s`", o.status, o.reason)
}
