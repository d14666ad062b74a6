package doctor_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"devicegate/doctor"
)

// Layouts of whole installations, as operators write them: snippets, several files, several hosts. Each is sound.
// Dangers are put into them one at a time.
var layouts = map[string]map[string]string{
	"nginx": {
		"nginx.conf": `
user www-data;
events { worker_connections 768; }
http {
    include mime.types;
    map $http_upgrade $gate_upgrade { default ''; ~*^websocket$ websocket; }
    map $gate_upgrade $gate_connection { default upgrade; '' ''; }
    upstream app { server 10.0.0.5:9000; keepalive 8; }
    include conf.d/*.conf;
}
`,
		"conf.d/app.conf": `
server {
    listen 80 default_server;
    location /.well-known/acme-challenge/ { root /var/www; }
    location / { return 301 https://$host$request_uri; }
}
server {
    listen 443 ssl;
    server_name app.example.com;
    if ($request_uri ~* "^[^?]*(#|%2f|%5c|%00|%25|%3b|\\\\|/;|/(\.|%2e){1,2}(;|/|\?|$))") { return 400; }
    include snippets/gate-location.conf;

    location / {
        include snippets/gate-protect.conf;
        try_files $uri @app;
    }
    location @app {
        include snippets/gate-headers.conf;
        proxy_pass http://app;
    }
    location /api {
        include snippets/gate-protect.conf;
        include snippets/gate-headers.conf;
        proxy_pass http://app;
    }
    location /ws {
        include snippets/gate-protect.conf;
        include snippets/gate-headers.conf;
        proxy_set_header Upgrade $gate_upgrade;
        proxy_set_header Connection $gate_connection;
        proxy_pass http://app;
    }
    location /admin {
        auth_request /_gate/staff;
        auth_request_set $gate_user $upstream_http_remote_user;
        auth_request_set $gate_groups $upstream_http_remote_groups;
        auth_request_set $gate_device $upstream_http_remote_device;
        include snippets/gate-headers.conf;
        proxy_pass http://app;
    }
    location /assets/ {
        include snippets/no-identity.conf;
        proxy_pass http://app;
    }
    location /login/ {
        include snippets/no-identity.conf;
        proxy_pass http://127.0.0.1:9282/;
    }
    error_page 502 503 504 /maintenance.html;
    location = /maintenance.html { root /srv/www; }
}
server {
    listen 443 ssl;
    server_name docs.example.com;
    location / { proxy_pass http://10.0.0.6:3000; }
}
`,
		"snippets/gate-location.conf": `
location = /_gate/default { include snippets/gate-check.conf; proxy_pass http://127.0.0.1:9280/auth/nginx?policy=default; }
location = /_gate/staff { include snippets/gate-check.conf; proxy_pass http://127.0.0.1:9280/auth/nginx?policy=staff; }
`,
		"snippets/gate-check.conf": `
internal;
proxy_pass_request_body off;
proxy_set_header Content-Length "";
proxy_set_header X-Original-Method $request_method;
proxy_set_header X-Original-URL $scheme://$host$request_uri;
proxy_set_header X-Forwarded-For $remote_addr;
proxy_read_timeout 2s;
proxy_ignore_headers X-Accel-Redirect;
`,
		"snippets/gate-protect.conf": `
auth_request /_gate/default;
auth_request_set $gate_user $upstream_http_remote_user;
auth_request_set $gate_groups $upstream_http_remote_groups;
auth_request_set $gate_device $upstream_http_remote_device;
`,
		"snippets/gate-headers.conf": `
proxy_set_header Host $host;
proxy_set_header Remote-User $gate_user;
proxy_set_header Remote-Groups $gate_groups;
proxy_set_header Remote-Device $gate_device;
proxy_http_version 1.1;
`,
		"snippets/no-identity.conf": `
proxy_set_header Host $host;
proxy_set_header Remote-User "";
proxy_set_header Remote-Groups "";
proxy_set_header Remote-Device "";
`,
	},
	"traefik": {
		"traefik.yml": `
entryPoints:
  web:
    address: ":80"
    http: {redirections: {entryPoint: {to: websecure, scheme: https}}, aliasHeadersStrategy: delete, encodedCharacters: &enc {allowEncodedSlash: false, allowEncodedBackSlash: false, allowEncodedNullCharacter: false, allowEncodedSemicolon: false, allowEncodedPercent: false, allowEncodedQuestionMark: false, allowEncodedHash: false}}
  websecure:
    address: ":443"
    asDefault: true
    forwardedHeaders: {trustedIPs: [10.0.0.0/8]}
    http:
      tls: {certResolver: le}
      aliasHeadersStrategy: delete
      encodedCharacters: *enc
  traefik:
    address: "127.0.0.1:8082"
providers:
  file: {directory: dynamic, watch: true}
api: {dashboard: true}
`,
		"dynamic/middlewares.yml": `
http:
  middlewares:
    gate:
      forwardAuth:
        address: http://devicegate:9280/auth/traefik?policy=default
        trustForwardHeader: true
        authResponseHeaders: [Remote-User, Remote-Groups, Remote-Device]
    gate-staff:
      forwardAuth:
        address: http://devicegate:9280/auth/traefik?policy=staff
        trustForwardHeader: true
        addAuthCookiesToResponse: [none]
        authResponseHeadersRegex: (?i)^remote-(user|groups|device)$
    no-identity:
      headers: {customRequestHeaders: {Remote-User: "", Remote-Groups: "", Remote-Device: ""}}
    secure: {headers: {frameDeny: true}}
    protected: {chain: {middlewares: [secure, gate@file]}}
    public: {chain: {middlewares: [secure, no-identity]}}
    strip-login: {stripPrefix: {prefixes: [/login]}}
`,
		"dynamic/app.toml": "[http.routers.dots]\nrule = \"PathRegexp(`/(\\\\.{1,2})?;`)\"\npriority = 1000\nservice = \"noop@internal\"\n" +
			"[http.routers.app]\nrule = \"Host(`app.example.com`)\"\nservice = \"app\"\nmiddlewares = [\"protected@file\"]\n" +
			"[http.routers.admin]\nrule = \"Host(`app.example.com`) && PathPrefix(`/admin`)\"\nservice = \"app\"\nmiddlewares = [\"gate-staff\"]\n" +
			"[http.routers.assets]\nrule = \"Host(`app.example.com`) && PathPrefix(`/assets/`)\"\nservice = \"app\"\nmiddlewares = [\"public\"]\n" +
			"[http.routers.login]\nrule = \"Host(`app.example.com`) && PathPrefix(`/login/`)\"\nservice = \"login\"\nmiddlewares = [\"public\", \"strip-login\"]\n" +
			"[http.routers.dashboard]\nrule = \"Host(`traefik.example.com`)\"\nservice = \"api@internal\"\nentryPoints = [\"traefik\"]\n" +
			"[[http.services.app.loadBalancer.servers]]\nurl = \"http://10.0.0.5:9000\"\n[[http.services.login.loadBalancer.servers]]\nurl = \"http://127.0.0.1:9282\"\n",
	},
	"envoy": {"envoy.yaml": `
static_resources:
  listeners:
  - name: http
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: redirect
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, redirect: {https_redirect: true}}]}]}
          http_filters: [{name: router}]
  - name: https
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: https
          use_remote_address: true
          normalize_path: true
          merge_slashes: true
          path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT
          common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}
          rds: {route_config_name: app, config_source: {ads: {}}}
          http_filters:
          - name: envoy.filters.http.cors
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}
          - name: clean
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
              mutations: {request_mutations: [{remove: remote-user}, {remove: remote-groups}, {remove: remote-device}, {remove_on_match: {key_matcher: {safe_regex: {regex: "[a-z0-9:-]*[^a-z0-9:-].*"}}}}]}
          - name: gate
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              transport_api_version: V3
              grpc_service: {envoy_grpc: {cluster_name: gate}, timeout: 1s}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`, "routes.json": `{"resources": [{"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "app",
 "virtual_hosts": [{"name": "app", "domains": ["app.example.com"],
  "routes": [
   {"match": {"safe_regex": {"regex": "(?i).*(%25|%00|%3b|/((\\.|%2e){1,2})?;).*"}}, "direct_response": {"status": 400}, "typed_per_filter_config": {"gate": {"@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", "disabled": true}}},
   {"match": {"prefix": "/assets/"}, "route": {"cluster": "app"}, "typed_per_filter_config": {"gate": {"@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", "disabled": true}}},
   {"match": {"prefix": "/login/"}, "route": {"cluster": "login", "prefix_rewrite": "/"}, "typed_per_filter_config": {"gate": {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true}}},
   {"match": {"prefix": "/admin"}, "route": {"cluster": "app"}, "typed_per_filter_config": {"gate": {"@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", "check_settings": {"context_extensions": {"policy": "staff"}}}}},
   {"match": {"prefix": "/api"}, "route": {"weighted_clusters": {"clusters": [{"name": "app", "weight": 90}, {"name": "canary", "weight": 10}]}}},
   {"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}]}]}`},
	"caddy": {
		"Caddyfile": `
{
	email ops@example.com
	servers {
		trusted_proxies static private_ranges
	}
}
import snippets/*.caddy

app.example.com, www.app.example.com {
	encode zstd gzip
	log {
		output file /var/log/caddy/app.log
	}
	route {
		import clean
		@assets vars_regexp {http.request.uri} ^/assets/
		route @assets {
			reverse_proxy {$APP:app:9000}
		}
		@login vars_regexp {http.request.uri} ^/login/
		route @login {
			uri strip_prefix /login
			reverse_proxy login:9282
		}
		route /admin* {
			import gate staff
			reverse_proxy {$APP:app:9000}
		}
		import gate {$POLICY:default}
		reverse_proxy {$APP:app:9000} {
			header_up X-Request-ID {http.request.uuid}
			header_down -Server
		}
	}
	handle_errors {
		respond "{err.status_code} {err.status_text}"
	}
}

docs.example.com {
	reverse_proxy docs:3000
}
`,
		"snippets/gate.caddy": "(clean) {\n\t@odd vars_regexp {http.request.orig_uri} `(?i)^[^?]*(#|%2f|%5c|%00|%25|%3b|\\\\|/;|/(\\.|%2e){1,2}(;|/|\\?|$))`\n\terror @odd 400\n" +
			"\trequest_header -Remote-*\n\trequest_header -*~*\n\trequest_header -*!*\n\trequest_header -*#*\n\trequest_header -*$*\n\trequest_header -*%*\n\trequest_header -*&*\n\trequest_header -*'*\n" +
			"\trequest_header -***\n\trequest_header -*+*\n\trequest_header -*^*\n\trequest_header \"-*`*\"\n\trequest_header -*|*\n" +
			"\trequest_header -Connection\n\trequest_header -Upgrade\n\trequest_header -X-Forwarded-Uri\n\trequest_header -X-Forwarded-Method\n\trequest_header -X-Forwarded-P*\n}\n" +
			"(gate) {\n\tforward_auth devicegate:9280 {\n\t\turi /auth/caddy?policy={args[0]}\n\t\tcopy_headers Remote-User Remote-Groups Remote-Device\n" +
			"\t\ttransport http {\n\t\t\tresponse_header_timeout 2s\n\t\t}\n\t}\n}\n",
	},
	"haproxy": {
		"haproxy.cfg": `
global
    log stdout format raw local0
    lua-load-per-thread gate.lua
defaults base
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
defaults strict from base
    option http-restrict-req-hdr-names delete
    http-request del-header remote- -m beg
    http-request del-header X-Forwarded-Prefix
    http-request del-header X-Forwarded-Port
    http-request del-header Connection
    http-request del-header Upgrade
frontend plain from base
    bind :80
    http-request redirect scheme https code 301
frontend app from strict
    bind :443 ssl crt /etc/haproxy/certs/ alpn h2,http/1.1
    http-request deny deny_status 400 if { path -m reg -i '(#|%2f|%5c|%00|%25|%3b|\\|//|/;|/(\.|%2e){1,2}(;|/|$)|%[^0-9a-f]|%.[^0-9a-f]|%.?$|st%61ff|%61)' }
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Method %[method]
    http-request set-header X-Forwarded-Uri %[pathq]
    acl assets path_beg /assets/
    acl admin path,url_dec -m reg -i ^/+admin
    http-request set-var(txn.gate) str(deny)
    http-request lua.gate http://127.0.0.1:9280/auth/haproxy?policy=staff if admin !assets
    http-request lua.gate http://127.0.0.1:9280/auth/haproxy?policy=default if !admin !assets
    http-request deny deny_status 503 unless assets or { var(txn.gate) -m str allow }
    http-response del-header Server
    use_backend static if assets
    default_backend app
frontend stats from base
    bind 127.0.0.1:8404
    stats enable
backend app from base
    balance roundrobin
    server app1 10.0.0.5:9000 check
    server app2 10.0.0.6:9000 check
backend static from base
    server app1 10.0.0.5:9000
`,
		"gate.lua": `
-- Asks devicegate.
local names = {"remote-user", "remote-groups", "remote-device"}
local function identify(txn, headers)
  for _, name in ipairs(names) do
    txn.http:req_del_header(name)
    if headers[name] then txn.http:req_set_header(name, headers[name][0]) end
  end
end
core.register_action("gate", {"http-req"}, function(txn, url)
  local answer = core.httpclient():get({url = url, headers = txn.http:req_get_headers(), timeout = 800})
  if answer and answer.status == 200 then
    identify(txn, answer.headers)
    txn:set_var("txn.gate", "allow")
  end
end, 1)
`,
	},
}

// TestLayouts: what is sound is silent, in other ways to write it too.
func TestLayouts(t *testing.T) {
	for product, files := range layouts {
		for _, s := range append([]danger{{title: "as it stands"}}, layoutSafe[product]...) {
			t.Run(product+"/"+s.title, func(t *testing.T) {
				report := s.put(t, files)
				if len(report.Findings) > 0 || report.Asks == 0 {
					t.Errorf("%d asks, %v", report.Asks, report.Findings)
				}
			})
		}
	}
}

// danger is one thing in a layout put in another way, and the code that has to come of it.
type danger struct {
	title, file, old, new, code string
}

// put returns what is found in a layout with the danger in it.
func (d danger) put(t *testing.T, layout map[string]string) doctor.Report {
	t.Helper()
	files := maps.Clone(layout)
	if !strings.Contains(files[d.file], d.old) {
		t.Fatalf("%q is not in %s", d.old, d.file)
	}
	if d.old != "" {
		files[d.file] = strings.Replace(files[d.file], d.old, d.new, 1)
	}
	return doctor.Files([]string{write(t, files)}, doctor.Options{})
}

// TestDangersInLayouts: each is found, by a code that says what it is.
func TestDangersInLayouts(t *testing.T) {
	for product, dangers := range layoutDangers {
		for _, d := range dangers {
			t.Run(product+"/"+d.title, func(t *testing.T) {
				if report := d.put(t, layouts[product]); !slices.Contains(codes(report), d.code) {
					t.Errorf("%v, want %s", report.Findings, d.code)
				}
			})
		}
	}
}
