package syntax_test

import (
	"fmt"
	"strings"
	"testing"

	"devicegate/doctor/syntax"
)

// TestBounds: no text makes a parser recurse, or a tree grow, without a bound.
func TestBounds(t *testing.T) {
	many := 100_000
	var merges strings.Builder
	merges.WriteString("a0: &a0 {k0: 1, k1: 2}\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&merges, "a%d: &a%d\n", i, i)
		for j := range 100 {
			fmt.Fprintf(&merges, "  k%d_%d: 1\n", i, j)
		}
		for range 200 {
			fmt.Fprintf(&merges, "  <<: *a%d\n", i-1)
		}
	}
	for _, c := range []struct {
		title string
		parse func(text string) error
		text  string
		want  string
	}{
		{"nginx", nginx, strings.Repeat("a {", many), "f:1: nested too deep"},
		{"Caddyfile", caddyfile, strings.Repeat("a {\n", many), "nested too deep"},
		{"flow", yaml, strings.Repeat("[", many), "f:1: nested too deep"},
		{"anchors on a line", yaml, "a: " + strings.Repeat("&a ", many), "f:1: nested too deep"},
		{"merges of merges", yaml, merges.String(), "too large"},
		{"TOML", toml, "a = " + strings.Repeat("[", many), "not TOML"},
	} {
		if err := c.parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.title, err, c.want)
		}
	}
}

func nginx(text string) error     { _, err := syntax.Nginx("f", []byte(text)); return err }
func caddyfile(text string) error { _, err := syntax.Caddyfile("f", []byte(text)); return err }
func yaml(text string) error      { _, err := syntax.YAML("f", []byte(text)); return err }
func toml(text string) error      { _, err := syntax.TOML("f", []byte(text)); return err }

// TestWords: quotes, escapes and comments are those of each proxy.
func TestWords(t *testing.T) {
	flat := func(all []*syntax.Directive, err error) string {
		if err != nil {
			return err.Error()
		}
		var b strings.Builder
		var walk func(all []*syntax.Directive)
		walk = func(all []*syntax.Directive) {
			for _, d := range all {
				fmt.Fprintf(&b, "%d:%s", d.Line, d.Name)
				for _, a := range d.Args {
					fmt.Fprintf(&b, "|%s", a)
				}
				if d.Open {
					b.WriteString("{")
					walk(d.Block)
					b.WriteString("}")
				}
				b.WriteString(" ")
			}
		}
		walk(all)
		return strings.TrimSpace(b.String())
	}
	for _, c := range []struct {
		parse      func(string, []byte) ([]*syntax.Directive, error)
		text, want string
	}{
		{syntax.Nginx, "a 'b c' \"d\\\"\" e\\\\.f; # g\nh#i ${j}k;", `1:a|b c|d"|e\.f 2:h#i|${j}k`},
		{syntax.Nginx, "a \\\u00fcb;", "1:a|\\\u00fcb"},
		{syntax.Nginx, "a {\n b c;\n}\nd{}", "1:a{2:b|c } 4:d{}"},
		{syntax.Nginx, "if ($a ~ \"b\") { }", "1:if|($a|~|b|){}"},
		{syntax.Nginx, "x_by_lua_block {\n a = {b}\n}\nc;", "1:x_by_lua_block{} 4:c"},
		{syntax.Nginx, "a b", "f:1: the directive does not end: a ; is missing"},
		{syntax.Nginx, "a {\n", "f:2: the file ends within a block: a } is missing"},
		{syntax.Nginx, "a { b }", "f:1: a } where a ; is missing"},
		{syntax.Nginx, "\n'a", "f:2: the quote that begins here does not end"},
		{syntax.Caddyfile, "a, \nb {\n c \"d e\" `f` # g\n}\n", "1:a|b{3:c|d e|f }"},
		{syntax.Caddyfile, ":80\nc d\ne {\n}\n", "1::80{2:c|d 3:e{} }"},
		{syntax.Caddyfile, "{\n a\n}\n(b) {\n}\nimport c\n", "1:{2:a } 4:(b){} 6:import|c"},
		{syntax.Caddyfile, "a {\n b <<X\n  c\n  d\n  X e\n f \\\n g\n}", "1:a{2:b|  c\n  d|e 6:f|g }"},
		{syntax.Caddyfile, "a {\n b \"{\"\n}", "1:a{2:b|{ }"},
		{syntax.Caddyfile, "a {\n} b", "f:2: something behind a }, which ends its line"},
		{syntax.HAProxy, "global\n a 'b\\ #c' \"d\\\"\" e\\ f # g\n.if x\nfrontend h i\n", "1:global{2:a|b\\ #c|d\"|e f } 4:frontend|h|i{}"},
		{syntax.HAProxy, "global\n a ^/\\.x\\ y \"\\.\"\n", "1:global{2:a|^/\\.x y|\\. }"},
		{syntax.HAProxy, "a b", "f:1: a line before the first section, such as global or frontend"},
		{syntax.HAProxy, "global\n 'a", "f:2: the quote that begins here does not end"},
	} {
		got := strings.ReplaceAll(flat(c.parse("f", []byte(c.text))), " }", "}")
		if got != strings.ReplaceAll(c.want, " }", "}") {
			t.Errorf("%q:\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

// TestTree: YAML, JSON and TOML come to the same tree, with the lines of each.
func TestTree(t *testing.T) {
	yaml, err := syntax.YAML("f", []byte("base: &b {x: 1}\na_b:\n  <<: *b\n  c: [d, 'true']\n---\n{\"e\": *q}\n"))
	if err == nil {
		t.Errorf("an alias of another document is known: %v", yaml)
	}
	yaml, err = syntax.YAML("f", []byte("base: &b {x: 1}\na_b:\n  <<: *b\n  c: [d, 'true']\n---\n{\"e\": null}\n"))
	if err != nil || len(yaml) != 2 {
		t.Fatal(yaml, err)
	}
	toml, err := syntax.TOML("f", []byte("# one\n[aB]\nx = 1\nc = [\"d\", 'true']\n[[l.m]]\nn = 1\n[[l.m]]\nn = 2\no.p = {q = true}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		node *syntax.Node
		want string
		line int
	}{
		{yaml[0].Get("aB", "x"), "1", 1}, {yaml[0].Get("a_b", "c"), "[d true]", 4}, {yaml[1].Get("e"), "[]", 6},
		{toml.Get("a_b", "x"), "1", 3}, {toml.Get("aB", "c"), "[d true]", 4}, {toml.Get("l", "m").Items[1].Get("n"), "2", 8},
		{toml.Get("l", "m").Items[1].Get("o", "p", "q"), "true", 9}, {toml.Get("none", "at", "all"), "[]", 0},
	} {
		got := c.node.String()
		if got == "" {
			got = fmt.Sprint(c.node.Strings())
		}
		if got != c.want || c.node.At().Line != c.line {
			t.Errorf("%s at %s, want %s at line %d", got, c.node.At(), c.want, c.line)
		}
	}
}

// TestLua: comments go, strings and lines stay.
func TestLua(t *testing.T) {
	got := syntax.Lua([]byte("a = '--' -- b\n--[[ c\nd ]] e = \"\\\"--\"\n"))
	if want := "a = '--' \n\n e = \"\\\"--\"\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
