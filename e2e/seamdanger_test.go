package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// A danger is a setting that people come to, and that opens a hole, or looks as if it did. It is one
// change to the example as it stands.
type danger struct {
	weakening
	answer string // of a gate that always says this; empty: the real one
	safe   bool   // nothing gets through, for the reason in what
	closed bool   // what passes otherwise is refused with it
	what   string // gets through, in the words of docs/seam.md
}

// dangersOf returns the dangers of a product.
func dangersOf(product string) []danger {
	switch product {
	case "nginx":
		return nginxDangers()
	case "traefik":
		return traefikDangers()
	case "caddy":
		return caddyDangers()
	case "haproxy":
		return haproxyDangers()
	}
	return envoyDangers(product)
}

// dangers shows for each that the example as it stands refuses, and what becomes of the same request
// once the one thing is changed.
func (r *seamRun) dangers(t *testing.T, b *bench) {
	for _, d := range dangersOf(b.name) {
		name := "danger " + d.title
		t.Run(name, func(t *testing.T) {
			weak, sound := d.bench(t, b, d.changes...), b
			if d.answer != "" {
				sound = d.bench(t, b)
			}
			b.relay.set(d.fault)
			defer b.wait(t)
			if x := d.play(t, sound); d.through(sound, x) != d.closed {
				t.Errorf("through the example as it stands: %v, %+v", !d.closed, x)
			}
			if x := d.play(t, weak); d.through(weak, x) == (d.safe || d.closed) {
				t.Errorf("through with it: %v, %+v\ndecision: %+v", !d.safe && !d.closed, x, x.decision)
			}
		})
		r.done(b.name, name)
	}
}

// bench returns a bench whose proxy has the changes.
func (d danger) bench(t *testing.T, b *bench, changes ...literal) *bench {
	t.Helper()
	if d.answer == "" {
		return b.variant(t, changes...)
	}
	other := b.stubbed(t, d.answer, changes...)
	b.next += 2000
	return other
}

// play sends the request, or what the danger sends in its place.
func (d danger) play(t *testing.T, b *bench) exchange {
	t.Helper()
	if d.request.send != nil {
		return d.request.send(t, b, b.id())
	}
	return d.weakening.play(t, b)
}

// What may get through, besides what lines_test.go has.

// answered: the client was given what is behind the check, though nobody checked.
func answered(_ *bench, x exchange) bool { return x.status/100 == 2 }

// dangerousLines are not in any example. Each is a danger of its product, shown by TestSeam.
var dangerousLines = map[string][]*regexp.Regexp{
	"nginx": compiled(`satisfy\s+any`, `underscores_in_headers`, `ignore_invalid_headers`, `proxy_intercept_errors\s+on`, `error_page`, `\$http_host`,
		`proxy_cache`, `\smirror\s`, `return\s+[^4]`),
	"traefik": compiled(`insecure`, `trustForwardHeader: false`, `aliasHeadersStrategy: keep`, `authResponseHeaders:`, `allowEncoded\w+: true`, `forwardBody`, `authSigninURL`),
	"envoy":   compiled(`failure_mode_allow: true`, `filter_enabled`, `shadow`, `to_append`, `clear_route_cache`, `encode_raw_headers: false`, `with_request_body`, `KEEP_UNCHANGED`),
	"caddy":   compiled(`trusted_proxies\s+static`, `\shandle\s`, `handle_errors`, `path\s+/open`, `uri /auth/caddy\s`, `respond\s+[^@]`),
	"haproxy": compiled(`http-request\s+allow`, `normalize-uri`, `accept-invalid`, `path_beg\s+-i\s+/open`),
}

func compiled(patterns ...string) []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, p := range patterns {
		all = append(all, regexp.MustCompile(p))
	}
	return all
}

var comment = regexp.MustCompile(`(?m)(^|\s)#.*$`)

// TestDangerousLines reads the examples, without their comments, for what must not be in them.
func TestDangerousLines(t *testing.T) {
	t.Parallel()
	for product, patterns := range dangerousLines {
		files, err := filepath.Glob(filepath.Join("..", "examples", product, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("examples/%s: no files (%v)", product, err)
		}
		files = slices.DeleteFunc(files, func(f string) bool {
			return !slices.Contains([]string{".conf", ".yaml", ".cfg", ""}, filepath.Ext(f))
		})
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range patterns {
				if found := p.Find(comment.ReplaceAll(content, nil)); found != nil {
					t.Errorf("%s contains %q, which opens a hole: see docs/seam.md", file, found)
				}
			}
		}
	}
}
