package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"devicegate/doctor"
)

// change is one line of a sound configuration put in another way, and the codes that come of it, all of them.
type change struct {
	title    string
	old, new string
	codes    []string
	more     []string // further texts, each followed by what is put in its place
}

// The sound configurations are written in other ways than the examples, so that what is understood is what
// the proxy does and not what the examples look like.
var sound = map[string]string{
	"nginx.conf": `
events {}
http {
    proxy_read_timeout 2;
    error_page 500 502 503 504 /50x.html;
    map $http_upgrade $up { default ''; "~*^(websocket)$" $1; }
    server { listen 80; return 301 https://$host$request_uri; }
    server {
        listen 443 ssl;
        auth_request /_gate;
        auth_request_set $user $upstream_http_remote_user;
        auth_request_set $groups $upstream_http_remote_groups;
        auth_request_set $device $upstream_http_remote_device;
        proxy_set_header Remote-User ${user};
        proxy_set_header remote-groups "$groups";
        proxy_set_header Remote-Device $device;
        location / { proxy_pass http://app; }
        location ~ \.php$ {
            fastcgi_pass app;
            fastcgi_param HTTP_REMOTE_USER $user;
            fastcgi_param HTTP_REMOTE_GROUPS $groups;
            fastcgi_param HTTP_REMOTE_DEVICE $device;
        }
        location = /old { return 301 /new; }
        location = /_gate {
            internal;
            proxy_pass http://gate/auth/nginx;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URL $scheme://$host$request_uri;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_ignore_headers X-Accel-Redirect;
        }
    }
    # Not behind the gate, and none of its business.
    server {
        listen 8081;
        underscores_in_headers on;
        location = /health { return 200 "ok"; }
        location / { proxy_pass http://other; proxy_set_header Upgrade $http_upgrade; }
    }
}
`,
	"traefik.toml": `
[entryPoints.web]
address = ":8080"
[entryPoints.web.http]
aliasHeadersStrategy = "reject"
middlewares = ["gate@file"]
[entryPoints.web.forwardedHeaders]
trustedIPs = ["10.0.0.0/8"]
[http.routers.all]
rule = "PathPrefix(` + "`/`" + `)"
service = "app"
middlewares = ["compress@docker"]
[[http.services.app.loadBalancer.servers]]
url = "http://127.0.0.1:9000"
[http.middlewares.gate.forwardAuth]
address = "http://127.0.0.1:9280/auth/traefik"
trustForwardHeader = true
authResponseHeaders = ["Remote-User", "remote-groups", "Remote-Device"]
`,
	"envoy.json": `{"staticResources": {"listeners": [{"filterChains": [{"filters": [{"typedConfig": {
 "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
 "useRemoteAddress": true,
 "commonHttpProtocolOptions": {"headersWithUnderscoresAction": "REJECT_REQUEST"},
 "earlyHeaderMutationExtensions": [{"typedConfig": {"mutations": [
  {"removeOnMatch": {"keyMatcher": {"prefix": "REMOTE", "ignoreCase": true}}}]}}],
 "httpFilters": [{"name": "gate", "typedConfig": {
  "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
  "grpcService": {"envoyGrpc": {"clusterName": "gate"}},
  "filterEnabled": {"defaultValue": {"numerator": 100}}}}],
 "routeConfig": {"virtualHosts": [{"domains": ["*"], "routes": [
  {"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}]}
}}]}]}]}}`,
	"Caddyfile": `
(clean) {
	request_header -{args[0]}*
	request_header -*~*
	request_header -*!*
	request_header -*#*
	request_header -*$*
	request_header -*%*
	request_header -*&*
	request_header -*'*
	request_header -***
	request_header -*+*
	request_header -*^*
	request_header "-*` + "`" + `*"
	request_header -*|*
	request_header -Connection
	request_header -X-Forwarded-P*
	request_header -X-Forwarded-Uri
	request_header -X-Forwarded-Method
}
app.example.com {
	encode gzip
	route {
		import clean Remote-
		forward_auth gate:9280 {
			uri /auth/caddy?
			copy_headers {
				Remote-User
				Remote-Groups
				X-Gate-Device>Remote-Device
			}
			transport http {
				response_header_timeout 2s
			}
		}
		reverse_proxy app:9000 {
			header_up -Nothing
		}
	}
}
other.example.com, http://third.example.com {
	reverse_proxy other:9000
}
`,
	"haproxy.cfg": `
global
    lua-load gate.lua
defaults
    mode http
listen web
    bind :80
    acl odd path_reg -i '(%[^4]|%.[^1]|//|/\.|;|#|\\)'
    http-request deny if odd
    acl staff path_beg -i /staff
    http-request del-header ^remote[^a-z0-9](user|groups|device)$ -m reg
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.fhdr(host)]
    http-request set-header X-Forwarded-Method %[method]
    http-request set-header X-Forwarded-Uri %[pathq]
    http-request del-header x-forwarded-p -m beg
    http-request del-header Connection
    http-request lua.ask http://gate:9280/auth/haproxy?policy=default if staff
    http-request lua.ask http://gate:9280/auth/haproxy
    http-request deny if !{ var(txn.gate) -m str allow }
    server app 127.0.0.1:9000
frontend other
    bind :81
    default_backend elsewhere
`,
	"gate.lua": `
core.register_action('ask', {"http-req"}, function(txn, address)
  local answer = core.httpclient():get({url = address, timeout = 500})
  if answer.status == 200 then
    for _, name in ipairs({"remote-user", "remote-groups", "remote-device"}) do
      txn.http:req_set_header(name, answer.headers[name][0]) -- "not" a comment's end
    end
    txn:set_var("txn.gate", "allow")
  end
end, 1)
`,
}

var nginxChanges = []change{
	{"an identity header of the client's", "proxy_set_header Remote-User ${user}", "proxy_set_header Remote-User $http_remote_user", []string{"nginx-identity-from-client"}, nil},
	{"the same through a variable", "auth_request_set $user $upstream_http_remote_user", "auth_request_set $user $http_x_user", []string{"nginx-identity-from-client", "nginx-identity-from-client"}, nil},
	{"the endpoint of another proxy", "/auth/nginx;", "/auth/traefik;", []string{"nginx-check-endpoint"}, nil},
	{"the client's policy", "/auth/nginx;", "/auth/nginx?policy=$http_x_policy;", []string{"nginx-policy-from-client"}, nil},
	{"a written policy", "/auth/nginx;", "/auth/nginx?policy=staff;", nil, nil},
	{"the client's method", "proxy_set_header X-Original-Method $request_method;", "", []string{"nginx-check-original"}, nil},
	{"the client's URL", "$scheme://$host$request_uri;\n", "$http_x_original_url;\n", []string{"nginx-check-original"}, nil},
	{"an error page that allows while the gate is down", "504 /50x.html", "504 =200 /50x.html", []string{"nginx-check-error-page"}, nil},
	{"an upgrade through a map", "default ''; \"~", "default ''; \"~*^.*$\" $http_upgrade; \"~", nil, nil},
	{"the same, used", "location / { proxy_pass http://app; }", "location / { proxy_pass http://app; proxy_set_header Upgrade $http_upgrade; }",
		[]string{"nginx-identity-not-set", "nginx-identity-not-set", "nginx-identity-not-set", "nginx-upgrade-any"}, nil},
	{"the captured word of a map", "proxy_set_header Remote-Device $device;", "proxy_set_header Remote-Device $device; proxy_set_header Upgrade $up;",
		[]string{"nginx-upgrade-any"}, nil},
	{"identity of fastcgi", "fastcgi_param HTTP_REMOTE_GROUPS $groups;", "", []string{"nginx-identity-not-set"}, nil},
	{"an open location", "location = /old {", "location /open/ { auth_request off; proxy_pass http://app; }\nlocation = /old {",
		[]string{"nginx-path-refusal"}, nil},
	{"satisfy any above", "auth_request /_gate;", "auth_request /_gate; satisfy any;", []string{"nginx-satisfy-any"}, nil},
	{"another service's check", "auth_request /_gate;", "auth_request /_other;\nlocation = /_other { internal; proxy_pass http://sso/verify; }", []string{"nginx-check-unused"}, nil},
	{"a file of parameters that is not here", "fastcgi_pass app;", "fastcgi_pass app; include /etc/nginx/fastcgi_params;", nil, nil},
	{"a file that is not here", "fastcgi_pass app;", "fastcgi_pass app; include /etc/nginx/proxy_params;", []string{"include-missing"}, nil},
	{"a server on the same address", "listen 8081;", "listen 443;", []string{"nginx-underscores-in-headers"}, nil},
	{"an expression that takes the question", "location = /_gate {", "location ~ ^/_g { proxy_pass http://app; }\n location /_gate {", []string{"nginx-check-unknown", "nginx-check-unused"}, nil},
	{"an expression that may not", "location = /_gate {", "location ~ ^/_g { proxy_pass http://app; }\n location ^~ /_gate {", nil, nil},
	{"a brace too few", "events {}", "events {", []string{"cannot-parse"}, nil},
	{"nothing asks", "auth/nginx", "verify", []string{"asks-nobody"}, nil},
}

var traefikChanges = []change{
	{"a plain list and aliases", `aliasHeadersStrategy = "reject"`, `aliasHeadersStrategy = "keep"`, []string{"traefik-aliases", "traefik-identity-kept", "traefik-identity-kept", "traefik-identity-kept"}, nil},
	{"everybody's addresses", `["10.0.0.0/8"]`, `["::/0"]`, []string{"traefik-forwarded-insecure"}, nil},
	{"everybody's PROXY line", `address = ":8080"`, "address = \":8080\"\nproxyProtocol.insecure = true", []string{"traefik-proxy-protocol"}, nil},
	{"no check at the entry point", `middlewares = ["gate@file"]`, "", []string{"traefik-check-unused", "traefik-middleware-not-read"}, nil},
	{"no static configuration", "[entryPoints.web", "[ignored.web", []string{"traefik-check-unused", "traefik-entry-points-not-read", "traefik-identity-kept", "traefik-identity-kept", "traefik-identity-kept", "traefik-middleware-not-read"}, nil},
	{"the same table twice", "[http.routers.all]", "[entryPoints.web]\n[http.routers.all]", []string{"cannot-parse"}, nil},
}

// What a site of Envoy with an open route needs besides.
const (
	envoyCleaning = `"useRemoteAddress": true, "normalizePath": true, "mergeSlashes": true, "pathWithEscapedSlashesAction": "UNESCAPE_AND_REDIRECT"`
	envoyOpen     = `{"match": {"prefix": "/open/"}, "route": {"cluster": "app"}, "typedPerFilterConfig": {"gate": {"@type": "any.FilterConfig", "disabled": true}}}, `
)

func envoyRefusing(status int) string {
	return fmt.Sprintf(`{"match": {"safeRegex": {"regex": ".*[%%;].*"}}, "directResponse": {"status": %d}}, `, status)
}

var envoyChanges = []change{
	{"a metadata that turns it off", `"filterEnabled"`, `"filterEnabledMetadata": {"filter": "x"}, "filterEnabled"`, []string{"envoy-filter-enabled"}, nil},
	{"off by default", `"name": "gate",`, `"name": "gate", "disabled": true,`, []string{"asks-nobody", "envoy-filter-enabled"}, nil},
	{"nine of ten requests", `"numerator": 100`, `"numerator": 9, "denominator": "TEN"`, []string{"envoy-filter-enabled"}, nil},
	{"a route that is chosen anew", `"filterEnabled"`, `"clear_route_cache": true, "filterEnabled"`, []string{"envoy-clear-route-cache"}, nil},
	{"routes from elsewhere", `"routeConfig": {"virtualHosts"`, `"rds": {"routeConfigName": "r"}, "other": {"virtualHosts"`,
		[]string{"envoy-escaped-slashes", "envoy-merge-slashes", "envoy-normalize-path", "envoy-routes-not-read"}, nil},
	{"routes of another part of the file", `"routeConfig": {"virtualHosts"`,
		`"rds": {"routeConfigName": "r"}, "other": {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "r", "virtualHosts"`, nil, nil},
	{"aliases", `"prefix": "REMOTE", "ignoreCase": true`, `"prefix": "remote-"`, []string{"envoy-aliases"}, nil},
	{"an expression for a part of the name", `"prefix": "REMOTE", "ignoreCase": true`, `"safeRegex": {"regex": "remote"}`,
		[]string{"envoy-aliases", "envoy-identity-not-removed", "envoy-identity-not-removed", "envoy-identity-not-removed"}, nil},
	{"names removed behind the check", `"earlyHeaderMutationExtensions"`, `"ignored"`,
		[]string{"envoy-aliases", "envoy-identity-not-removed", "envoy-identity-not-removed", "envoy-identity-not-removed"},
		[]string{`{"numerator": 100}}}}`, `{"numerator": 100}}}}, {"typedConfig": {"@type": "any.HeaderMutation", "mutations": {"requestMutations": [{"removeOnMatch": {"keyMatcher": {"prefix": "remote"}}}]}}}`}},
	{"names removed before it", `"earlyHeaderMutationExtensions"`, `"ignored"`, nil,
		[]string{`[{"name": "gate"`, `[{"typedConfig": {"@type": "any.HeaderMutation", "mutations": {"requestMutations": [{"removeOnMatch": {"keyMatcher": {"prefix": "remote"}}}]}}}, {"name": "gate"`}},
	{"a first route that refuses", `"useRemoteAddress": true`, envoyCleaning, nil, []string{`"routes": [`, `"routes": [` + envoyRefusing(403) + envoyOpen}},
	{"a first route that answers", `"useRemoteAddress": true`, envoyCleaning, []string{"envoy-path-refusal"}, []string{`"routes": [`, `"routes": [` + envoyRefusing(200) + envoyOpen}},
	{"a refusal behind the open route", `"useRemoteAddress": true`, envoyCleaning, []string{"envoy-path-refusal"}, []string{`"routes": [`, `"routes": [` + envoyOpen + envoyRefusing(403)}},
	{"a refusal of some requests only", `"useRemoteAddress": true`, envoyCleaning, []string{"envoy-path-refusal"},
		[]string{`"routes": [`, `"routes": [` + strings.Replace(envoyRefusing(403), `"safeRegex"`, `"headers": [], "safeRegex"`, 1) + envoyOpen}},
	{"no JSON", `{"staticResources"`, `{{"staticResources"`, []string{"cannot-parse"}, nil},
}

var caddyChanges = []change{
	{"the client's policy", "/auth/caddy?", "/auth/caddy?policy={http.request.header.X-Policy}", []string{"caddy-policy-from-client"}, nil},
	{"the endpoint of another proxy", "/auth/caddy?", "/auth/nginx?", []string{"caddy-check-endpoint"}, nil},
	{"a check by hand", "reverse_proxy other:9000", "reverse_proxy gate:9280 {\n\t\trewrite /auth/caddy?policy=x\n\t}", []string{"caddy-check-by-hand"}, nil},
	{"another service's check", "reverse_proxy other:9000", "forward_auth sso:80 {\n\t\turi /verify\n\t}\n\treverse_proxy other:9000", nil, nil},
	{"all headers removed", "request_header -Connection", "request_header -*", nil, nil},
	{"a snippet of a file that is not here", "reverse_proxy other:9000", "import other.caddy", []string{"include-missing"}, nil},
	{"an operation on some requests only", "request_header -*~*", "request_header /x* -*~*", []string{"caddy-aliases"}, nil},
	{"names that the check replaces", "import clean Remote-", "import clean Nothing-", nil, nil},
	{"sorted", "route {", "handle {", []string{"caddy-identity-lost"}, nil},
	{"a way beside it", "encode gzip", "@open vars_regexp {http.request.uri} ^/open/\n\troute @open {\n\t\treverse_proxy app:9000\n\t}",
		[]string{"caddy-aliases", "caddy-identity-not-removed", "caddy-identity-not-removed", "caddy-identity-not-removed", "caddy-path-refusal"}, nil},
	{"a brace too few", "header_up -Nothing\n\t\t}", "header_up -Nothing\n", []string{"cannot-parse"}, nil},
}

var haproxyChanges = []change{
	{"the client's policy", "policy=default if staff", "policy=%[url_param(policy)] if staff", []string{"haproxy-policy-from-client"}, nil},
	{"the endpoint of another proxy", "/auth/haproxy\n", "/auth/caddy\n", []string{"haproxy-check-endpoint"}, nil},
	{"a script that is not here", "lua.ask", "lua.other", []string{"haproxy-lua-missing"}, nil},
	{"the client's own host", "set-header X-Forwarded-Host %[req.fhdr(host)]", "set-header X-Forwarded-Host %[req.hdr(X-Forwarded-Host)]", []string{"haproxy-forwarded"}, nil},
	{"the deny the wrong way round", "deny if !{ var(", "deny if { var(", []string{"haproxy-no-final-deny"}, nil},
	{"a deny of some requests only", "deny if !{ var(txn.gate) -m str allow }", "deny if { src 10.0.0.0/8 }", []string{"haproxy-no-final-deny"}, nil},
	{"defaults by name", "defaults\n", "defaults strict\n    option http-restrict-req-hdr-names delete\ndefaults\n", nil,
		[]string{"listen web", "listen web from strict", "^remote[^a-z0-9](user|groups|device)$ -m reg", "remote- -m beg"}},
	{"defaults of others", "defaults\n", "defaults strict\n    option http-restrict-req-hdr-names delete\ndefaults\n", []string{"haproxy-header-names"},
		[]string{"^remote[^a-z0-9](user|groups|device)$ -m reg", "remote- -m beg"}},
	{"a line of no section", "\nglobal", "\nmode http\nglobal", []string{"cannot-parse"}, nil},
}

// TestRules changes one thing of a sound configuration and compares all codes.
func TestRules(t *testing.T) {
	for file, changes := range map[string][]change{
		"nginx.conf": nginxChanges, "traefik.toml": traefikChanges, "envoy.json": envoyChanges, "Caddyfile": caddyChanges, "haproxy.cfg": haproxyChanges,
	} {
		for _, c := range append([]change{{title: "as it stands"}}, changes...) {
			t.Run(file+"/"+c.title, func(t *testing.T) {
				if c.old != "" && !strings.Contains(sound[file], c.old) {
					t.Fatalf("%q is not in it", c.old)
				}
				text := sound[file]
				if c.old != "" {
					text = strings.ReplaceAll(text, c.old, c.new)
				}
				for pair := range slices.Chunk(c.more, 2) {
					if !strings.Contains(text, pair[0]) {
						t.Fatalf("%q is not in it", pair[0])
					}
					text = strings.ReplaceAll(text, pair[0], pair[1])
				}
				files := map[string]string{file: text}
				if file == "haproxy.cfg" {
					files["gate.lua"] = sound["gate.lua"]
				}
				report := doctor.Files([]string{write(t, files)}, doctor.Options{})
				if got := codes(report); !slices.Equal(got, sorted(c.codes)) {
					t.Errorf("%v, want %v\n%v", got, sorted(c.codes), report.Findings)
				}
			})
		}
	}
}

// write puts files into a folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func codes(r doctor.Report) (all []string) {
	for _, f := range r.Findings {
		all = append(all, f.Code)
	}
	return sorted(all)
}

func sorted(all []string) []string {
	all = slices.Clone(all)
	slices.Sort(all)
	return all
}
