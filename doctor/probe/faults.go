package probe

import (
	"fmt"
	"strings"

	"devicegate/doctor"
)

// fault is what a code means: what gets through or breaks, and what to do, for a proxy that is known and else. In
// what to do {names} become the identity headers, {regex} an expression for all their spellings, POLICY the policy.
type fault struct {
	problem string
	fix     string
	by      map[string]string
}

// fault makes the finding of a code.
func (r *run) fault(code, where, saw string) doctor.Finding {
	f := faults[code]
	fix := f.fix
	if by := f.by[r.kind]; by != "" {
		fix = by
	}
	return doctor.Finding{Code: code, Where: where, Problem: fmt.Sprintf("%s: %s.", f.problem, saw), Fix: r.filled(fix)}
}

// filled is a fix with the names of this installation in it.
func (r *run) filled(fix string) string {
	var spellings []string
	for _, name := range r.Identity.names() {
		spellings = append(spellings, strings.ReplaceAll(strings.ToLower(name), "-", "[^a-z0-9]*"))
	}
	return strings.NewReplacer("POLICY", r.Policy.Name, "{names}", strings.Join(r.Identity.names(), ", "), "{regex}", "(?i)^("+strings.Join(spellings, "|")+")$").Replace(fix)
}

// Fixes that several codes have.
const (
	stripEnvoy   = "in the header_mutation filter before ext_authz, remove each of {names}, and all odd ones by remove_on_match: {key_matcher: {safe_regex: {regex: \"[a-z0-9:-]*[^a-z0-9:-].*\"}}}; set headers_with_underscores_action: DROP_HEADER"
	stripCaddy   = "request_header -Remote-User, and the same for each of your identity headers, as the first directives of the route, before forward_auth and on open routes too"
	stripHAProxy = "option http-restrict-req-hdr-names delete in defaults, and http-request del-header NAME for each of {names} before the check and on open routes too"
)

var (
	aliasFixes = map[string]string{
		"nginx":   "take underscores_in_headers on and ignore_invalid_headers off out of the server (the defaults drop such names)",
		"traefik": "aliasHeadersStrategy: delete under http of the entry point, and authResponseHeadersRegex: {regex} in the middleware",
		"envoy":   stripEnvoy, "caddy": stripCaddy, "haproxy": stripHAProxy,
	}
	openFixes = map[string]string{
		"nginx":   "proxy_set_header NAME '' for each of {names} in the open location itself (include devicegate_open.conf)",
		"traefik": "a headers middleware with customRequestHeaders: {NAME: \"\"} for each of {names} on the open router, and aliasHeadersStrategy: delete on the entry point",
		"envoy":   stripEnvoy, "caddy": stripCaddy, "haproxy": stripHAProxy,
	}
	uncheckedFixes = map[string]string{
		"nginx":   "auth_request /_devicegate/POLICY on the server or the location, without satisfy any, return, rewrite or error_page for 401 there; and location /_devicegate/ { internal; return 403; }, which answers a check whose name is misspelt",
		"traefik": "middlewares: [check-POLICY] on the router that takes these requests; look for \"does not exist\" in Traefik's log",
		"envoy":   "take disabled: true, filter_enabled and shadow_mode of ext_authz off this route; only open routes may have them",
		"caddy":   "forward_auth in a route block, before the reverse_proxy of this path",
		"haproxy": "http-request deny deny_status 503 unless open or api or { var(txn.devicegate) -m str allow } as the last rule, behind the check",
	}
	pathFixes = map[string]string{
		"nginx":   `in the server: if ($request_uri ~* "^[^?]*(#|%2f|%5c|%00|%25|%3b|\\\\|/;|/(\.|%2e){1,2}(;|/|\?|$))") { return 400; }`,
		"traefik": "encodedCharacters with every allow...: false on the entry point, and a router with rule PathRegexp(`/(\\.{1,2})?;`), priority 100, service noop@internal",
		"envoy":   "normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: REJECT_REQUEST, and a first route that answers 400 for (?i).*(%25|%00|%3b|/((\\.|%2e){1,2})?;).*",
		"caddy":   `@odd vars_regexp {http.request.orig_uri} "(?i)^[^?]*(#|%2f|%5c|%00|%25|%3b|\\|/;|/(\.|%2e){1,2}(;|/|\?|$))" and respond @odd 400, first in the route`,
		"haproxy": `http-request deny deny_status 400 if { path -m reg -i '(#|%2f|%5c|%00|%25|%3b|\\|/;|/(\.|%2e){1,2}(;|/|$)|%([^0-9a-f]|.[^0-9a-f]|.?$))' }`,
	}
	upgradeFixes = map[string]string{
		"nginx":   "pass on WebSocket alone: map $http_upgrade $gate_upgrade { default ''; ~*^websocket$ websocket; }, and proxy_set_header Upgrade $gate_upgrade",
		"envoy":   "upgrade_configs: [{upgrade_type: websocket}] and no other",
		"caddy":   "@plain not header_regexp Upgrade (?i)^websocket$, request_header @plain -Connection and request_header @plain -Upgrade before forward_auth",
		"haproxy": "http-request del-header Upgrade unless websocket, with acl websocket req.fhdr(upgrade) -m str -i websocket",
	}
	connectionFixes = map[string]string{
		"caddy":   "request_header @plain -Connection and, for handshakes, request_header @websocket Connection Upgrade, before forward_auth",
		"haproxy": "http-request del-header Connection unless websocket, and http-request set-header Connection Upgrade if websocket",
	}
)

// faults are all codes of the probes.
var faults = map[string]fault{
	"open-without-token": {"a request without a token gets through", "have every request of this route checked, and answered only when the gate says 200", uncheckedFixes},
	"answered-unchecked": {"a request that has to be refused is answered by something in front of the check, or by what lies behind it", "let nothing answer on this route but the check and the backend", map[string]string{
		"nginx": "no return, no if with a return, no satisfy any and no error_page that makes a 200 of a 401 in the protected location: they come before the check or instead of it"}},
	"bad-token-passes":      {"a token that is none gets through", "have every request of this route checked: the gate refuses such tokens", uncheckedFixes},
	"two-tokens-pass":       {"two tokens in one request get through, and the gate and the backend may each believe another", "pass every Authorization line on to the gate as it came", uncheckedFixes},
	"options-pass":          {"OPTIONS gets through without a token", "check OPTIONS too; where browsers need preflights, set cors_preflight: allow in the gate's policy instead of an exception in the proxy", map[string]string{"nginx": "take if ($request_method = OPTIONS) { return ...; } out; set cors_preflight: allow in the gate's policy if browsers need preflights"}},
	"method-from-client":    {"a request gets through because it says to have another method", "have the proxy write the method that the gate reads (X-Forwarded-Method or X-Original-Method)", nil},
	"target-from-client":    {"a request gets through because it says to be for another path", "have the proxy write, and not pass on, the headers that say what is asked for", nil},
	"upgrade-without-token": {"a handshake gets through without a token", "have upgrades checked like every other request", uncheckedFixes},
	"host-unchecked":        {"with another Host the same path is reached unchecked", "protect the default server or virtual host too, or let it lead nowhere", nil},
	"path-unchecked":        {"another spelling of the protected path reaches the backend without a token", "refuse what proxy and backend may read differently: dot segments, %2f, %5c, %00, %25, %3b, backslashes and /;", pathFixes},
	"path-escapes-open":     {"the open route leads to paths that are not open", "refuse what proxy and backend may read differently: dot segments, %2f, %5c, %00, %25, %3b, backslashes and /;", pathFixes},
	"open-route-too-wide": {"more is open than the open route", "compare what is open as it came, with the slash at its end and with regard to letter case", map[string]string{
		"caddy": "@open vars_regexp {http.request.uri} ^/open/ in place of path /open/*", "haproxy": "acl open path_beg /open/ without -i", "nginx": "location /open/ with the slash, without ~*", "traefik": "PathPrefix(`/open/`) with the slash"}},
	"policy-by-spelling": {"another spelling of the path has a laxer policy", "match what is strict widely: without a slash at its end, whatever is doubled, decoded or appended", map[string]string{
		"haproxy": "http-request set-var(txn.policy) str(staff) if { path,url_dec -m reg -i ^/+staff }, and refuse broken escapes before", "caddy": "route /staff* without a slash before the star", "envoy": "merge_slashes: true, normalize_path: true, and prefix: /staff without a slash", "nginx": "location /staff without a slash at its end"}},
	"policy-not-applied": {"an account without the policy's role gets through, so that the route goes by another policy", "name the policy where the proxy asks", map[string]string{
		"nginx": "auth_request /_devicegate/POLICY in the location, and ?policy=POLICY on its proxy_pass", "traefik": "?policy=POLICY in address of the middleware, and that middleware on the router (look for \"does not exist\" in Traefik's log)",
		"envoy": "context_extensions: {policy: POLICY} (gRPC) or path_prefix: /auth/envoy/POLICY (HTTP) on the route", "caddy": "uri /auth/caddy?policy=POLICY in forward_auth of the route", "haproxy": "/auth/haproxy?policy=POLICY in the lua.devicegate line of the route"}},
	"policy-from-query": {"the client's query changes the policy", "put the policy where no client can change it", map[string]string{"caddy": "uri /auth/caddy?policy=POLICY in forward_auth: without a question mark the client's query goes along"}},
	"policy-other":      {"the route demands a role that the policy of --policy does not", "name the route's own policy with --policy, or that policy where the proxy asks", nil},
	"policy-unknown":    {"the proxy names a policy that the gate does not have", "name one of policies in the gate's configuration where the proxy asks", map[string]string{"envoy": "path_prefix: /auth/envoy/POLICY (HTTP): without the policy, the first segment of the client's path is taken for it"}},
	"policy-report":     {"the policy refuses nobody and names nobody", "mode: enforce in the policy, when its log has shown who would be refused", nil},
	"identity-from-client": {"the client says who it is, and the backend is told", "remove the client's identity headers before the check, and set the gate's", map[string]string{
		"nginx":   "proxy_set_header NAME $gate_... for each of {names} in this location itself: one proxy_set_header of its own, or a mirror, drops all that it would inherit (include devicegate_protected.conf)",
		"traefik": "authResponseHeadersRegex: {regex} in the middleware",
		"envoy":   stripEnvoy, "caddy": stripCaddy + "; and copy_headers with each of {names}", "haproxy": stripHAProxy}},
	"identity-alias":               {"the client says who it is in a spelling that many backends read as the identity header", "remove header names with other characters than letters, digits and the dash", aliasFixes},
	"identity-from-client-on-open": {"on the open route the client says who it is", "remove the identity headers on open routes too: nobody is identified there", openFixes},
	"identity-alias-on-open":       {"on the open route the client says who it is in a spelling that many backends read as the identity header", "remove header names with other characters than letters, digits and the dash on open routes too", aliasFixes},
	"identity-missing": {"the gate let the request pass, and the backend is not told who asks", "pass on every identity header of the gate's answer", map[string]string{
		"nginx": "auth_request_set $gate_... $upstream_http_... and proxy_set_header NAME $gate_... for each of {names} (include devicegate_protected.conf)", "traefik": "authResponseHeadersRegex: {regex} in the middleware",
		"envoy": "each of {names} in allowed_upstream_headers (HTTP)", "caddy": "copy_headers with each of {names} in forward_auth; in a route block, not a handle: there request_header comes after the check", "haproxy": "identify(txn, answer.headers) in the script, for each of {names}"}},
	"connection-drops-identity": {"a client has the gate's identity headers taken away by naming them in Connection", "write Connection anew before the check", connectionFixes},
	"connection-names-identity": {"the backend is told that the identity headers are for one hop only, and may drop them", "write Connection anew before the check", connectionFixes},
	"identity-shown":            {"the client is shown whom the gate takes it for", "pass the gate's identity headers to the backend alone", nil},
	"upgrade-h2c":               {"a client can open a tunnel to the backend, in which nothing is checked", "pass on Upgrade: websocket and nothing else", upgradeFixes},
	"token-reaches-backend": {"the backend gets the access token, though the policy has authorization: remove", "remove Authorization behind the check", map[string]string{
		"nginx": "proxy_set_header Authorization \"\"; in the protected location", "traefik": "a headers middleware with customRequestHeaders: {Authorization: \"\"} behind the check", "caddy": "request_header -Authorization behind the check", "haproxy": "http-request del-header Authorization unless api, behind the check"}},
	"forwarded-from-client": {"the client's word about the request is passed on", "have the proxy write the X-Forwarded-* that the gate and the backend read", map[string]string{
		"nginx": "proxy_set_header X-Forwarded-For $remote_addr, -Proto $scheme and -Host $host in the location (include devicegate_protected.conf)", "traefik": "no forwardedHeaders.insecure on the entry point, and in trustedIPs only proxies of yours",
		"envoy": "use_remote_address: true", "caddy": "request_header -X-Forwarded-Uri, -Method, -Prefix and -Port in the route, and in trusted_proxies only proxies of yours",
		"haproxy": "http-request set-header X-Forwarded-For %[src], -Proto, -Host %[req.fhdr(host)], -Method %[method] and -Uri %[pathq], and del-header X-Forwarded-Prefix and -Port"}},
	"client-address-from-client": {"the gate takes a client's word for its address", "have the proxy write or append the true address to X-Forwarded-For of the check", map[string]string{
		"nginx": "proxy_set_header X-Forwarded-For $remote_addr; in the location of the check, and set_real_ip_from only for proxies of yours", "envoy": "use_remote_address: true, and x-forwarded-for in allowed_headers (HTTP)",
		"haproxy": "http-request set-header X-Forwarded-For %[src]", "caddy": "in trusted_proxies only proxies of yours", "traefik": "in forwardedHeaders.trustedIPs only proxies of yours"}},
	"client-address-lost": {"the gate is not told the client's address, so that networks, countries and histories are the proxy's", "have the proxy pass X-Forwarded-For on to the gate, with the true address at its end", map[string]string{
		"nginx": "proxy_set_header X-Forwarded-For $remote_addr; in the location of the check", "envoy": "x-forwarded-for in allowed_headers (HTTP), and use_remote_address: true"}},
	"decision-kept": {"a decision or an answer is kept and serves the next one, without a token", "keep no answers of the check, and no answers of protected routes", map[string]string{
		"nginx": "take proxy_cache out of the location of the check; the gate says Cache-Control: no-store"}},
	"ended-device-passes": {"a token whose device is gone still gets through", "keep no decisions: ask the gate about every request", map[string]string{
		"nginx": "take proxy_cache out of the location of the check; the gate says Cache-Control: no-store"}},
	"gate-not-asked":     {"the request passed without the gate", "have every request of this route checked", uncheckedFixes},
	"good-token-refused": {"a live device with the right roles is refused", "look for the reason in the gate's log, and in the proxy's: it may refuse by itself, such as for a check whose name is misspelt", nil},
	"gate-not-answering": {"the gate was not asked: the proxy cannot reach it, or this route does not ask, and the application behind is down", "look into the proxy's log: is checks.http or checks.grpc the address that it asks, and does it get through? Start the application, or use --listen", nil},
	"token-not-shown": {"the proxy does not show the gate the token, so that everybody is refused", "pass Authorization on to the gate", map[string]string{
		"nginx": "proxy_set_header Authorization $http_authorization in the location of the check, or no proxy_pass_request_headers off there", "traefik": "Authorization in authRequestHeaders, or no such list"}},
	"wrong-endpoint":   {"the proxy asks on an endpoint whose headers it does not write, and clients may write them", "ask on the endpoint of this proxy: /auth/traefik, /auth/nginx, /auth/caddy, /auth/haproxy or /auth/envoy/POLICY", nil},
	"peer-not-allowed": {"the gate does not let this proxy ask", "the proxy's address in checks.allowed_peers", nil},
}
