package doctor

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// kind is what a file is.
type kind string

const (
	kindUnknown    kind = ""
	kindNginx      kind = "nginx"
	kindTraefik    kind = "traefik"
	kindEnvoy      kind = "envoy"
	kindCaddy      kind = "caddy"
	kindHAProxy    kind = "haproxy"
	kindLua        kind = "lua"
	kindGate       kind = "devicegate"
	kindCompose    kind = "compose"
	kindKubernetes kind = "kubernetes"
)

// Proxies are the words of Options.Proxy.
var Proxies = []string{"nginx", "traefik", "envoy", "caddy", "haproxy"}

// seen says what a file is, by what is in it, and returns it parsed where it is a tree. The error is why a
// file of a kind that was seen cannot be read.
func seen(file string, text []byte) (kind, []*syntax.Node, error) {
	extension := strings.ToLower(filepath.Ext(file))
	if extension == ".lua" || strings.Contains(string(text), "core.register_action") && !manifest.Match(text) {
		return kindLua, nil, nil
	}
	if extension == ".toml" {
		n, err := syntax.TOML(file, text)
		return tree([]*syntax.Node{n}, err)
	}
	if slices.Contains([]string{".yaml", ".yml", ".json"}, extension) {
		n, err := syntax.YAML(file, text)
		return tree(n, err)
	}
	if manifest.Match(text) { // what is in a ConfigMap may look like anything
		n, err := syntax.YAML(file, text)
		return tree(n, err)
	}
	if k := statements(file, text); k != kindUnknown {
		return k, nil, nil
	}
	if n, err := syntax.YAML(file, text); err == nil {
		if k, n, _ := tree(n, nil); k != kindUnknown {
			return k, n, nil
		}
	}
	if n, err := syntax.TOML(file, text); err == nil {
		if k, n, _ := tree([]*syntax.Node{n}, nil); k != kindUnknown {
			return k, n, nil
		}
	}
	return kindUnknown, nil, nil
}

var manifest = regexp.MustCompile(`(?m)^apiVersion:|^\s*"apiVersion":`)

var kindsOfKeys = []struct {
	kind kind
	keys []string
}{
	{kindKubernetes, []string{"apiversion", "extensionproviders", "meshconfig"}},
	{kindEnvoy, []string{"staticresources", "dynamicresources", "configs", "resources"}},
	{kindTraefik, []string{"entrypoints", "providers", "http", "tcp", "udp"}},
	{kindGate, []string{"checks", "store", "policies", "identityheaders", "trustedproxies", "operations", "tokens", "devices", "issuers", "passwords", "lockout", "activity", "geo", "shutdowntimeout"}},
	{kindCompose, []string{"services"}},
	{kindTraefik, []string{"certificatesresolvers", "serverstransport"}},
}

// tree says what a file of keys is, by its first keys.
func tree(nodes []*syntax.Node, err error) (kind, []*syntax.Node, error) {
	if err != nil {
		return kindUnknown, nil, err
	}
	for _, k := range kindsOfKeys {
		for _, n := range nodes {
			for _, e := range n.Each() {
				if slices.Contains(k.keys, syntax.Fold(e.Key)) || k.kind == kindGate && ofGate(e) {
					return k.kind, nodes, nil
				}
			}
		}
	}
	return kindUnknown, nodes, nil
}

// ofGate tells the gate's api and admin from those of Traefik and Envoy.
func ofGate(e syntax.Entry) bool {
	switch e.Key {
	case "api":
		return slices.ContainsFunc(e.Value.Each(), func(m syntax.Entry) bool {
			return slices.Contains([]string{"address", "base_path", "tls", "cors_allowed_origins", "sign_in_rate"}, m.Key)
		})
	case "admin":
		return e.Value.Get("socket") != nil || e.Value.Get("address").String() != ""
	}
	return false
}

// Words that begin a line of one kind of file and hardly of another.
var (
	nginxWords = []string{"http", "events", "server", "location", "upstream", "map", "auth_request", "proxy_set_header", "proxy_pass", "include", "types",
		"fastcgi_param", "uwsgi_param", "scgi_param", "add_header", "worker_processes", "user", "load_module", "listen", "internal", "geo", "limit_req_zone", "proxy_http_version", "ssl_certificate", "charset_map"}
	caddyWords = []string{"reverse_proxy", "forward_auth", "respond", "file_server", "handle", "handle_path", "route", "request_header", "encode", "import", "tls",
		"root", "php_fastcgi", "admin", "redir", "bind", "log", "servers", "header"}
)

// statements says what a file of statements is, by the words that begin its lines, and their ends: nginx ends
// them with semicolons, Caddy with the line.
func statements(file string, text []byte) kind {
	var nginx, caddy int
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if syntax.HAProxySection(words[0]) && !strings.ContainsAny(line, "{};:") {
			return kindHAProxy
		}
		first := strings.TrimRight(words[0], ";{")
		if slices.Contains(nginxWords, first) && strings.ContainsAny(line, ";{") || strings.HasSuffix(first, "_pass") {
			nginx++
		}
		if slices.Contains(caddyWords, first) && !strings.Contains(line, ";") {
			caddy++
		}
	}
	if nginx+caddy == 0 {
		return kindUnknown
	}
	if _, err := syntax.Nginx(file, text); err == nil && nginx > 0 || nginx > caddy {
		return kindNginx
	}
	return kindCaddy
}
