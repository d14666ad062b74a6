package snippet_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"devicegate/config"
	"devicegate/snippet"
)

// drawn is a configuration of names, and another one, of the same shape, whose names are plain words.
type drawn struct {
	odd, plain               *config.Config
	oddOptions, plainOptions snippet.Options
}

// draw makes names by the rules of the configuration, or, where wild is set, any text at all.
func draw(t *rapid.T, wild bool) drawn {
	text := func(pattern, label string) string {
		if wild && rapid.Bool().Draw(t, "wild "+label) {
			return rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z/]{0,3}[;{}"'#$\\\n <>*:]{1,3}[a-z ;]{0,9}`)).Draw(t, label)
		}
		return rapid.StringMatching(pattern).Draw(t, label)
	}
	odd, plain := config.Default(), config.Default()
	count := rapid.IntRange(0, 5).Draw(t, "policies")
	p := config.Policy{Authorization: rapid.SampledFrom([]string{config.PolicyKeep, config.PolicyRemove}).Draw(t, "authorization")}
	for len(odd.Policies) <= count {
		name := text(`[a-z0-9][a-z0-9._-]{0,9}`, "policy")
		if _, there := odd.Policies[name]; !there {
			odd.Policies[name] = p
			plain.Policies[fmt.Sprintf("policy%d", len(plain.Policies))] = p
		}
	}
	const header = `[A-Za-z0-9]([A-Za-z0-9-]{0,9}[A-Za-z0-9])?`
	names := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string { return rapid.StringMatching(header).Draw(t, "header") }), 4, 4, strings.ToLower).Draw(t, "headers")
	if name := text(header, "header"); wild && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
		names[0] = name
	}
	odd.IdentityHeaders = config.IdentityHeaders{User: names[0], Roles: names[1], Device: names[2], Assertion: names[3]}
	plain.IdentityHeaders = config.IdentityHeaders{User: "A-User", Roles: "A-Roles", Device: "A-Device", Assertion: "A-Assertion"}
	odd.API.BasePath, plain.API.BasePath = text(`(/[A-Za-z0-9._~-]{1,9}){1,3}`, "base path"), "/base"
	if odd.API.BasePath == "" {
		plain.API.BasePath = ""
	}
	if rapid.Bool().Draw(t, "socket") {
		odd.Checks.HTTP.Address = config.Address{Network: "unix", Addr: text(`(/[a-z.]{1,9}){1,3}`, "socket")}
		plain.Checks.HTTP.Address = config.Address{Network: "unix", Addr: "/run/socket"}
	}
	return drawn{&odd, &plain, snippet.Options{Upstream: text(`[a-z0-9]{1,9}\.[a-z]{2,3}:[1-9][0-9]{0,3}`, "upstream")}, snippet.Options{Upstream: "app.example:80"}}
}

// parses: a file in YAML is YAML.
func parses(t interface {
	Errorf(string, ...any)
	Helper()
}, f snippet.File) (content any) {
	t.Helper()
	if strings.HasSuffix(f.Name, ".yaml") {
		if err := yaml.Unmarshal([]byte(f.Content), &content); err != nil {
			t.Errorf("%s: %v\n%s", f.Name, err, f.Content)
		}
	}
	return content
}

var (
	commentLine = regexp.MustCompile(`(?m)^\s*(#|--).*\n`)
	syntax      = regexp.MustCompile("[^{};\"'`#$\\\\\n<>]+")
)

// shape returns what is syntax in a file that is not YAML.
func shape(f snippet.File) string {
	return syntax.ReplaceAllString(commentLine.ReplaceAllString(f.Content, ""), "")
}

// TestNoValueBecomesSyntax: whatever the names are, a file is refused, or has the syntax of one with plain names,
// and YAML gives every name back as it was.
func TestNoValueBecomesSyntax(t *testing.T) {
	for _, wild := range []bool{false, true} {
		t.Run(fmt.Sprintf("wild %v", wild), rapid.MakeCheck(func(t *rapid.T) {
			d := draw(t, wild)
			proxy := rapid.SampledFrom(snippet.Proxies()).Draw(t, "proxy")
			got, err := snippet.Render(proxy, d.odd, d.oddOptions)
			want, plainErr := snippet.Render(proxy, d.plain, d.plainOptions)
			if wild && err != nil {
				return
			}
			if (err == nil) != (plainErr == nil) {
				t.Fatalf("odd: %v, plain: %v", err, plainErr)
			}
			for i, f := range got {
				if content := parses(t, f); content != nil {
					sameNames(t, proxy, content, d.odd)
				} else if g, w := shape(f), shape(want[i]); g != w {
					t.Errorf("%s has the syntax\n%s\nwant\n%s\nin\n%s", f.Name, g, w, f.Content)
				}
			}
		}))
	}
}

// at walks down into what YAML has given.
func at(content any, keys ...string) any {
	for _, key := range keys {
		m, _ := content.(map[string]any)
		content = m[key]
	}
	return content
}

// sameNames: names of policies and headers are in the file as they are in the configuration.
func sameNames(t *rapid.T, proxy string, content any, cfg *config.Config) {
	t.Helper()
	headers := []string{cfg.IdentityHeaders.User, cfg.IdentityHeaders.Roles, cfg.IdentityHeaders.Device, cfg.IdentityHeaders.Assertion}
	if proxy == "traefik" {
		if middlewares := at(content, "http", "middlewares"); middlewares != nil {
			traefikNames(t, middlewares, headers, cfg)
		}
		return
	}
	var removed []string
	texts(content, "remove", func(name string) { removed = append(removed, name) })
	for i := range headers {
		headers[i] = strings.ToLower(headers[i])
	}
	if !slices.Equal(removed, headers) {
		t.Errorf("Envoy removes %q, want %q", removed, headers)
	}
	var asked []string
	texts(content, "policy", func(name string) { asked = append(asked, name) })
	texts(content, "path_prefix", func(path string) { asked = append(asked, strings.TrimPrefix(path, "/auth/envoy/")) })
	if len(asked) != len(cfg.Policies) {
		t.Errorf("Envoy asks for %q, of %d policies", asked, len(cfg.Policies))
	}
	for _, name := range asked {
		if _, there := cfg.Policies[name]; !there {
			t.Errorf("Envoy asks for a policy %q that is not there", name)
		}
	}
}

func traefikNames(t *rapid.T, middlewares any, headers []string, cfg *config.Config) {
	t.Helper()
	for _, name := range headers {
		if at(middlewares, "strip-identity", "headers", "customRequestHeaders", name) != "" {
			t.Errorf("Traefik does not strip %q: %v", name, middlewares)
		}
	}
	for name := range cfg.Policies {
		check := at(middlewares, "check-"+name, "forwardAuth")
		if address, _ := at(check, "address").(string); !strings.HasSuffix(address, "?policy="+name) {
			t.Errorf("Traefik's check of %q asks %q", name, address)
		}
		pattern, _ := at(check, "authResponseHeadersRegex").(string)
		spellings(t, pattern, headers)
	}
}

// spellings: the expression takes each name, each alias of it, and none that merely holds it.
func spellings(t *rapid.T, pattern string, headers []string) {
	t.Helper()
	matches, err := regexp.Compile(pattern)
	if err != nil {
		t.Fatalf("%q: %v", pattern, err)
	}
	for _, name := range headers {
		for _, taken := range []string{name, strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "~")} {
			if !matches.MatchString(taken) {
				t.Errorf("%s does not take %s", pattern, taken)
			}
		}
	}
	for _, other := range []string{"X-" + strings.Repeat("y", 70), strings.Repeat("z", 70) + "-" + headers[0]} {
		if matches.MatchString(other) {
			t.Errorf("%s takes %s", pattern, other)
		}
	}
}

// texts visits the texts under a key, wherever it is. One that is no text is visited as what Go prints.
func texts(content any, key string, visit func(string)) {
	switch c := content.(type) {
	case []any:
		for _, one := range c {
			texts(one, key, visit)
		}
	case map[string]any:
		for k, value := range c {
			if k == key {
				if _, inner := value.(map[string]any); !inner {
					text, isText := value.(string)
					if !isText {
						text = fmt.Sprintf("no text: %v", value)
					}
					visit(text)
				}
			}
			texts(value, key, visit)
		}
	}
}
