package syntax_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"devicegate/doctor/syntax"
)

// seeds adds the examples and texts that are hard to read.
func seeds(f *testing.F, pattern string, more ...string) {
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", pattern))
	if err != nil || len(files) == 0 {
		f.Fatalf("%s: %v", pattern, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	for _, text := range more {
		f.Add([]byte(text))
	}
}

// inBounds fails for a place outside of the text, and for a result beside an error.
func inBounds(t *testing.T, text []byte, err error, result bool, places ...syntax.Place) {
	t.Helper()
	lines := strings.Count(string(text), "\n") + 1
	if err != nil {
		var e *syntax.Error
		if result || !errors.As(err, &e) || e.Line < 1 || e.Line > lines {
			t.Fatalf("%v, and a result: %v", err, result)
		}
	}
	for _, p := range places {
		if p.Line < 1 || p.Line > lines {
			t.Fatalf("%s in a text of %d lines", p, lines)
		}
	}
}

func placesOf(all []*syntax.Directive) (places []syntax.Place) {
	for _, d := range all {
		places = append(append(places, d.Place), placesOf(d.Block)...)
	}
	return places
}

func FuzzNginx(f *testing.F) {
	seeds(f, "nginx/*.conf", "a \"b\\\"\" 'c' ${d} {;", "a {{}", "}", "x_by_lua_block { { } }", "a \\", "'", strings.Repeat("a {", 100))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := syntax.Nginx("f", text)
		inBounds(t, text, err, all != nil, placesOf(all)...)
	})
}

func FuzzCaddyfile(f *testing.F) {
	seeds(f, "caddy/Caddyfile", "a {\n b <<X\n c\n X d\n}", "<<", "a,\n", "{", "}", "a \\\n b", "`", "a {\n} b", strings.Repeat("a {\n", 100))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := syntax.Caddyfile("f", text)
		inBounds(t, text, err, all != nil, placesOf(all)...)
	})
}

func FuzzHAProxy(f *testing.F) {
	seeds(f, "haproxy/haproxy.cfg", "global\n a 'b\\' \"c\\\" d\" e\\ f # g", "a", "global '", ".if\nglobal")
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := syntax.HAProxy("f", text)
		inBounds(t, text, err, all != nil, placesOf(all)...)
	})
}

func FuzzLua(f *testing.F) {
	seeds(f, "haproxy/*.lua", "--[[", "'--' -- x", "\"\\", "--[[ a\nb ]] c", "'a\nb")
	f.Fuzz(func(t *testing.T, text []byte) {
		if got := syntax.Lua(text); strings.Count(got, "\n") != strings.Count(string(text), "\n") || len(got) > len(text) {
			t.Fatalf("%q", got)
		}
	})
}

func FuzzYAML(f *testing.F) {
	seeds(f, "*/*.yaml", "a: &x {b: *x}", "<<: [*a]", "a: &a [1]\nb: &b [*a,*a]\nc: [*b,*b]", "? a\n: b", "--- 1\n--- 2", "{\"a\":[1,{}]}", strings.Repeat("[", 200), "a: !t b", "a: |\n  b")
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := syntax.YAML("f", text)
		inBounds(t, text, err, all != nil, nodePlaces(all)...)
	})
}

func FuzzTOML(f *testing.F) {
	seeds(f, "traefik/traefik.yaml", "a.b = [1, {c = 'd'}]\n[[e]]\n[e.f]\n[[e]]\n", "[a]\n[a]", "a = 1\na.b = 2", "x = \"\"\"\n\"\"\"", "[[a]]\n[a.b]\nc=1")
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := syntax.TOML("f", text)
		var all []*syntax.Node
		if n != nil {
			all = append(all, n)
		}
		inBounds(t, text, err, n != nil, nodePlaces(all)...)
	})
}

// nodePlaces walks a tree, each node once.
func nodePlaces(all []*syntax.Node) (places []syntax.Place) {
	seen := map[*syntax.Node]bool{}
	var walk func(n *syntax.Node)
	walk = func(n *syntax.Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		places = append(places, n.Place)
		for _, e := range n.Entries {
			places = append(places, e.Place)
			walk(e.Value)
		}
		for _, item := range n.Items {
			walk(item)
		}
	}
	for _, n := range all {
		walk(n)
	}
	return places
}
