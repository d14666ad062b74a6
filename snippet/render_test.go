package snippet_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"devicegate/config"
	"devicegate/snippet"
)

// TestOdd: names that are words of somebody's language are written as names.
func TestOdd(t *testing.T) {
	cfg := load(t, "testdata/odd/devicegate.yaml")
	for _, proxy := range snippet.Proxies() {
		for _, f := range render(t, proxy, cfg, snippet.Options{Upstream: "app.example:80", Policy: "a..b--c__d"}) {
			compare(t, filepath.Join("testdata/odd", f.Name), f.Content)
		}
	}
}

// change returns the default configuration with a change.
func change(f func(*config.Config)) *config.Config {
	cfg := config.Default()
	f(&cfg)
	return &cfg
}

func TestRefuses(t *testing.T) {
	tcp := func(addr string) config.Address { return config.Address{Network: "tcp", Addr: addr} }
	unix := config.Address{Network: "unix", Addr: "/run/gate.sock"}
	secure := config.TLS{CertFile: "c", KeyFile: "k"}
	mutual := config.TLS{CertFile: "c", KeyFile: "k", ClientCAFile: "a"}
	for _, c := range []struct {
		proxy   string
		change  func(*config.Config)
		options snippet.Options
		want    string
	}{
		{"apache", nil, snippet.Options{}, `no snippet for "apache"; it is one of nginx, traefik`},
		{"nginx", func(c *config.Config) { c.Checks.HTTP.Address = config.Address{} }, snippet.Options{}, "checks.http.address is off, and nginx asks there"},
		{"envoy-http", func(c *config.Config) { c.Checks.HTTP.Address = config.Address{} }, snippet.Options{}, "checks.http.address is off"},
		{"envoy", func(c *config.Config) { c.Checks.GRPC.Address = config.Address{} }, snippet.Options{}, "checks.grpc.address is off, and envoy asks there"},
		{"caddy", func(c *config.Config) { c.Checks.HTTP.Address = tcp("127.0.0.1:0") }, snippet.Options{}, "checks.http.address \"127.0.0.1:0\" takes another port at every start"},
		{"caddy", func(c *config.Config) { c.API.Address = tcp("127.0.0.1:0") }, snippet.Options{}, "api.address \"127.0.0.1:0\" takes another port"},
		{"caddy", func(c *config.Config) { c.API.Address = tcp("[fe80::1%;x]:1") }, snippet.Options{}, "api.address \"[fe80::1%;x]:1\" has a host"},
		{"traefik", func(c *config.Config) { c.Checks.HTTP.Address = unix }, snippet.Options{}, "checks.http.address is a unix socket, which traefik cannot use"},
		{"traefik", func(c *config.Config) { c.API.Address = unix }, snippet.Options{}, "api.address is a unix socket"},
		{"nginx", func(c *config.Config) { c.Checks.HTTP.Address = unix; c.Checks.HTTP.TLS = secure }, snippet.Options{ServerName: "gate"}, "checks.http speaks TLS over a unix socket"},
		{"nginx", func(c *config.Config) { c.Checks.HTTP.Address = config.Address{Network: "unix", Addr: "/run/a;b"} }, snippet.Options{}, "checks.http.address \"/run/a;b\" has a character"},
		{"nginx", func(c *config.Config) { c.Checks.HTTP.TLS = secure }, snippet.Options{}, "checks.http speaks TLS, and its address has no name; say with --server-name"},
		{"nginx", func(c *config.Config) { c.API.TLS = secure }, snippet.Options{}, "api speaks TLS, and its address has no name"},
		{"nginx", func(c *config.Config) { c.Checks.HTTP.TLS = secure }, snippet.Options{ServerName: "a b"}, "--server-name \"a b\" is no host name"},
		{"envoy", func(c *config.Config) { c.Checks.GRPC.TLS = secure }, snippet.Options{ServerName: "10.0.0.9"}, "--server-name \"10.0.0.9\" is an address"},
		{"haproxy", func(c *config.Config) { c.Checks.HTTP.TLS = mutual }, snippet.Options{ServerName: "gate"}, "checks.http.tls.client_ca_file is set, and haproxy has no certificate"},
		{"nginx", func(c *config.Config) { c.API.BasePath = "/_devicegate" }, snippet.Options{}, "api.base_path \"/_devicegate\" begins as the checks' own locations do"},
		{"nginx", nil, snippet.Options{Policy: "nobody"}, "there is no policy \"nobody\""},
		{"nginx", nil, snippet.Options{Upstream: "app"}, "--upstream \"app\" is not host:port"},
		{"nginx", nil, snippet.Options{Upstream: "app:http"}, "--upstream \"app:http\" has no port"},
		{"nginx", nil, snippet.Options{Upstream: "a;b:1"}, "--upstream \"a;b:1\" has a host"},
	} {
		if c.change == nil {
			c.change = func(*config.Config) {}
		}
		_, err := snippet.Render(c.proxy, change(c.change), c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.proxy, err, c.want)
		}
	}
}

// TestOffAPI: without the API there is no route to it, and nothing else is missing.
func TestOffAPI(t *testing.T) {
	for _, proxy := range snippet.Proxies() {
		for _, f := range render(t, proxy, change(func(c *config.Config) { c.API.Address = config.Address{} }), snippet.Options{}) {
			if strings.Contains(f.Content, "/api/token") || strings.Contains(f.Content, "!api") {
				t.Errorf("%s: %s leads to an API that is off:\n%s", proxy, f.Name, f.Content)
			}
			parses(t, f)
		}
	}
}

// TestEveryWayIntoTheAPI: where the API has no base path, each of its paths is led to the gate.
func TestEveryWayIntoTheAPI(t *testing.T) {
	content, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var page struct{ Paths map[string]any }
	if err := yaml.Unmarshal(content, &page); err != nil {
		t.Fatal(err)
	}
	led := locations(t, render(t, "nginx", change(func(*config.Config) {}), snippet.Options{})[0])
	ways := 0
	for path := range page.Paths {
		if strings.HasPrefix(path, "/admin/") {
			continue
		}
		ways++
		if !slices.ContainsFunc(led, func(l string) bool { return strings.HasPrefix(path, l) }) {
			t.Errorf("no location leads %s to the gate, only %q", path, led)
		}
	}
	if ways < 8 {
		t.Errorf("the page has %d paths outside /admin/: is it read right?", ways)
	}
}

// locations returns those of the gate's API.
func locations(t *testing.T, f snippet.File) (all []string) {
	t.Helper()
	for _, l := range regexp.MustCompile(`location (\S+) \{\n[^}]*proxy_pass http://127\.0\.0\.1:9282;`).FindAllStringSubmatch(f.Content, -1) {
		all = append(all, l[1])
	}
	return all
}

// TestOpenPath: what is open gives way to the API, and is never above it.
func TestOpenPath(t *testing.T) {
	for _, base := range []string{"/open", "/open/gate"} {
		f := render(t, "nginx", change(func(c *config.Config) { c.API.BasePath = base }), snippet.Options{})[0]
		if strings.Contains(f.Content, "location /open/ {") && base != "/open" || !strings.Contains(f.Content, "location /public/ {") {
			t.Errorf("base path %s: the open location is in its way:\n%s", base, f.Content)
		}
	}
}

func TestNotes(t *testing.T) {
	cfg := change(func(c *config.Config) {
		c.Policies["guests"] = config.Policy{Anonymous: config.PolicyAllow}
		c.Policies["trial"] = config.Policy{Mode: config.PolicyReport}
	})
	for _, proxy := range snippet.Proxies() {
		var all strings.Builder
		for _, f := range render(t, proxy, cfg, snippet.Options{}) {
			all.WriteString(f.Content)
		}
		for _, want := range []string{"# Who sends no token passes too, as nobody", "# Nothing is refused here (mode: report)",
			"checks.allowed_peers (127.0.0.0/8, ::1/128)", "trusted_proxies (127.0.0.0/8, ::1/128)"} {
			if text := strings.Join(strings.Fields(strings.ReplaceAll(all.String(), "\n#", "\n")), " "); !strings.Contains(text, strings.TrimPrefix(want, "# ")) {
				t.Errorf("%s does not say %q", proxy, want)
			}
		}
	}
}

// TestCertificates: the comment names the files to fill in, and they are used.
func TestCertificates(t *testing.T) {
	cfg := change(func(c *config.Config) {
		c.Checks.HTTP.TLS = config.TLS{CertFile: "c\u2028x: y", KeyFile: "k", ClientCAFile: "a"}
		c.Checks.GRPC.TLS = c.Checks.HTTP.TLS
	})
	for _, proxy := range snippet.Proxies() {
		if proxy == "haproxy" {
			continue // cannot show one
		}
		var all strings.Builder
		for _, f := range render(t, proxy, cfg, snippet.Options{ServerName: "gate.example"}) {
			all.WriteString(f.Content)
			parses(t, f)
		}
		for _, file := range []string{"devicegate_ca.pem", "devicegate_client.pem", "devicegate_client.key"} {
			if n := strings.Count(all.String(), file); n < 2 {
				t.Errorf("%s names %s %d times", proxy, file, n)
			}
		}
	}
}
