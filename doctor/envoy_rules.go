package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"devicegate/doctor/syntax"
)

var envoyRules = []rule[*envoySite]{
	{"envoy-failure-mode-allow", "`failure_mode_allow: true`: a gate that is down, slow or broken lets everybody in", envoyFailureMode},
	{"envoy-filter-enabled", "a check that is asked about a part of the requests only, or about none", envoyFilterEnabled},
	{"envoy-shadow-mode", "`shadow_mode`: refusals are counted and not carried out", envoyShadowMode},
	{"envoy-check-unused", "a policy of filter or host that no route has: a route that it was written for asks nobody, or by another", envoyUnused},
	{"envoy-identity-not-removed", "no header_mutation before ext_authz that removes each identity header: the client's passes on open routes", envoyIdentity},
	{"envoy-aliases", "no header_mutation before ext_authz that removes the identity headers' aliases", envoyAliases},
	{"envoy-normalize-path", "open and protected routes side by side without normalize_path", envoyNormalize},
	{"envoy-merge-slashes", "routes of different demands side by side without merge_slashes", envoyMerge},
	{"envoy-escaped-slashes", "open and protected routes side by side, and encoded slashes kept", envoyEscaped},
	{"envoy-path-refusal", "open and protected routes side by side without a first route that refuses `%25`, `%00`, `%3b` and `..;`", envoyPathRefusal},
	{"envoy-use-remote-address", "no `use_remote_address: true`: X-Forwarded-For and x-envoy-* are the client's", envoyRemoteAddress},
	{"envoy-clear-route-cache", "`clear_route_cache: true`: the check is asked for one route and the request takes another", envoyClearRouteCache},
	{"envoy-path-prefix", "a path_prefix without a policy, or at the endpoint of another proxy", envoyPathPrefix},
	{"envoy-upstream-headers", "an identity header that allowed_upstream_headers lacks: the client's stays", envoyUpstream},
	{"envoy-upstream-append", "an identity header that is appended to the client's", envoyAppend},
	{"envoy-client-headers", "no allowed_client_headers: every header of a refusal goes to the client", envoyClientHeaders},
	{"envoy-allowed-headers", "no x-forwarded-for in allowed_headers: the gate does not learn the client's address", envoyAllowedHeaders},
	{"envoy-identity-from-client", "an identity header that a route or a later filter sets to anything but the gate's word", envoyIdentityFromClient},
	{"envoy-weighted-unchecked", "a cluster by weight that turns the check of its route off", envoyWeighted},
	{"envoy-policy-unapplied", "a setting of the check under a name that no filter has: it counts for nothing", envoyUnapplied},
	{"envoy-backend-unchecked", "a listener that asks nobody and leads to a cluster that is behind the gate elsewhere, with the client's identity headers", envoyBackend},
	{"envoy-open-prefix-off", "an open route that takes its prefix off on the way to a protected cluster: `/open/staff` is `/staff` there", envoyPrefixOff},
	{"envoy-open-by-client", "an open route that is chosen by a header or the query, on all paths", envoyOpenByClient},
	{"envoy-shadowed", "an open route for all paths in front of a protected one, which gets no request", envoyShadowed},
	{"envoy-strict-path", "a route of another policy that is for one path, or ends in a slash: `/staff;x` is not of it", envoyStrict},
	{"envoy-routes-not-read", "a connection manager whose routes are in no file", envoyUnread},
}

// envoyFailureMode: docs/seam.md, envoy: failure_mode_allow (five settings); CVE-2024-23324, CVE-2023-27488; B12.
func envoyFailureMode(s *envoySite, say say) {
	if f := s.authz.Get("failure_mode_allow"); f.True() {
		say(f.Place, "everybody is let in while the gate is down, slow or broken", "failure_mode_allow: false")
	}
}

// envoyFilterEnabled: docs/seam.md, envoy: filter_enabled of 0 %; proxies.md 1.3.
func envoyFilterEnabled(s *envoySite, say say) {
	enabled := s.authz.Get("filter_enabled")
	if enabled != nil && fraction(enabled.Get("default_value")) < 1 {
		say(enabled.Place, "the gate is asked about a part of the requests, the others pass", "take filter_enabled out")
	}
	if m := s.authz.Get("filter_enabled_metadata"); m != nil {
		say(m.Place, "the gate is asked only where the metadata is there, other requests pass", "take filter_enabled_metadata out")
	}
	if d := s.filter.Get("disabled"); d.True() {
		say(d.Place, "the filter is off unless a route turns it on", "take disabled out")
	}
}

// fraction reads Envoy's FractionalPercent as a part of one.
func fraction(n *syntax.Node) float64 {
	of := map[string]float64{"": 100, "HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}[n.Get("denominator").String()]
	part, err := strconv.ParseFloat(n.Get("numerator").String(), 64)
	if err != nil || of == 0 {
		return 0
	}
	return part / of
}

// envoyShadowMode: docs/seam.md, envoy: shadow_mode.
func envoyShadowMode(s *envoySite, say say) {
	if m := s.authz.Get("shadow_mode"); m.True() {
		say(m.Place, "refusals are counted and not carried out", "take shadow_mode out")
	}
}

// envoyUnused: docs/seam.md, envoy: ext_authz disabled on a route, the policy of a route; B22. Over gRPC no
// policy has to be written, so one that is written and asked by no route is a slip; over HTTP it has to be,
// and then it is the one that routes fall back to.
func envoyUnused(s *envoySite, say say) {
	if s.unread {
		return
	}
	var written []*syntax.Node
	if s.overHTTP() {
		written = append(written, s.authz.Get("http_service", "path_prefix"))
	}
	for _, host := range s.hosts {
		if p := contextPolicy(s.perRoute(host).Get("check_settings")); p != nil && !s.overHTTP() {
			written = append(written, p)
		}
	}
	for _, policy := range written {
		asked := slices.ContainsFunc(s.ends(), func(r envoyRoute) bool { return !r.disabled && r.policy == policy })
		if !asked {
			say(policy.Place, fmt.Sprintf("no route asks by %.60s: each turns the check off or names another policy, the last resort too", policy.String()), "take disabled out of the route that it is for, or name here what routes ask by")
		}
	}
}

// envoyIdentity: docs/seam.md, envoy: identity removed before the check, no header_mutation: the name itself;
// B1. It counts where the gate is not asked or does not answer.
func envoyIdentity(s *envoySite, say say) {
	envoyCleaningOff(s, say)
	for _, name := range s.names.all() {
		if !s.removes(name) {
			say(s.filter.At(), fmt.Sprintf("the client's own %s reaches the backend on open routes: nothing removes it before ext_authz", name),
				fmt.Sprintf("an envoy.filters.http.header_mutation before it, with request_mutations: [{remove: %s}]", strings.ToLower(name)))
		}
	}
}

// envoyAliases: docs/seam.md, envoy: no header_mutation: an alias, headers_with_underscores_action: ALLOW; B2, B3.
func envoyAliases(s *envoySite, say say) {
	action := s.manager.Get("common_http_protocol_options", "headers_with_underscores_action").String()
	for _, name := range s.names.all() {
		for _, alias := range aliases(name) {
			if alias == name || s.removes(alias) || strings.Contains(alias, "_") && (action == "DROP_HEADER" || action == "REJECT_REQUEST") {
				continue
			}
			say(s.filter.At(), fmt.Sprintf("the client's %s reaches the backend, which may take it for %s", alias, name),
				`a header_mutation before ext_authz, with request_mutations: [{remove_on_match: {key_matcher: {safe_regex: {regex: "[a-z0-9:-]*[^a-z0-9:-].*"}}}}]`)
			return
		}
	}
}

// envoyNormalize: docs/seam.md, envoy: normalize_path, path options left at their defaults; B7.
func envoyNormalize(s *envoySite, say say) {
	if option := s.manager.Get("normalize_path"); s.mixed() && !option.True() {
		say(at(option, s.manager), "/open/../x is open to Envoy and /x to the backend", "normalize_path: true")
	}
}

// envoyMerge: docs/seam.md, envoy: merge_slashes; B7.
func envoyMerge(s *envoySite, say say) {
	if option := s.manager.Get("merge_slashes"); s.mixed() && !option.True() {
		say(at(option, s.manager), "//staff is not /staff to Envoy, and is to the backend", "merge_slashes: true")
	}
}

// envoyEscaped: docs/seam.md, envoy: escaped slashes; B7.
func envoyEscaped(s *envoySite, say say) {
	option := s.manager.Get("path_with_escaped_slashes_action")
	if s.mixed() && !strings.HasPrefix(option.String(), "UNESCAPE") && option.String() != "REJECT_REQUEST" {
		say(at(option, s.manager), "/open/..%2fx is open to Envoy and /x to the backend", "path_with_escaped_slashes_action: REJECT_REQUEST")
	}
}

// envoyPathRefusal: cleaning leaves these as they are (docs/seam.md, envoy: the route that refuses, no refusal
// of %25, %00, %3b and ..;; B7).
func envoyPathRefusal(s *envoySite, say say) {
	if !s.mixed() {
		return
	}
	paths := together(encodedEscapes, dotParameters, []string{"/open/%2e%2e;/x"})
	for _, host := range s.hosts {
		refused := refusedBy(host)
		if missed := refused.misses(paths); missed != "" {
			say(host.At(), fmt.Sprintf("%s is one route to Envoy and another path to some backends", missed),
				`a first route - match: {safe_regex: {regex: '(?i).*(%25|%00|%3b|/((\.|%2e){1,2})?;).*'}} with direct_response: {status: 400}`)
		}
	}
}

// refusedBy returns the expressions by which the first routes of a host refuse paths.
func refusedBy(host *syntax.Node) refusal {
	var refused refusal
	for _, r := range host.Get("routes").List() {
		if !strings.HasPrefix(r.Get("direct_response", "status").String(), "4") {
			break
		}
		if e, err := expression(r.Get("match", "safe_regex", "regex").String(), false, true); err == nil && len(r.Get("match").Each()) == 1 {
			refused = append(refused, e)
		}
	}
	return refused
}

// envoyRemoteAddress: docs/seam.md, envoy: use_remote_address: false; B5, B24.
func envoyRemoteAddress(s *envoySite, say say) {
	if skip := s.manager.Get("skip_xff_append"); skip.True() {
		say(skip.Place, "the client's X-Forwarded-For is passed on without the true address at its end", "take skip_xff_append out")
	}
	detected := s.manager.Get("original_ip_detection_extensions")
	for _, e := range detected.List() {
		if strings.HasSuffix(e.Get("typed_config", "@type").String(), ".CustomHeaderConfig") {
			say(e.At(), "clients choose the address that the gate, its rules and its history see", "use_remote_address: true, with xff_num_trusted_hops for the proxies in front")
		}
	}
	if option := s.manager.Get("use_remote_address"); !option.True() && detected == nil {
		say(at(option, s.manager), "the client's X-Forwarded-For and x-envoy-* are believed by gate or backend", "use_remote_address: true")
	}
}

// envoyClearRouteCache: proxies.md 1.3, B22: a route that is chosen anew may have other demands.
func envoyClearRouteCache(s *envoySite, say say) {
	if option := s.authz.Get("clear_route_cache"); option.True() {
		say(option.Place, "after the check the route is chosen anew, and may be one with other demands", "clear_route_cache: false")
	}
}

var envoyPrefix = regexp.MustCompile(`^/auth/envoy/[A-Za-z0-9._-]+/?$`)

// envoyPathPrefix: docs/seam.md, envoy: path_prefix without a policy; contract: the segment is mandatory; B4, B22.
func envoyPathPrefix(s *envoySite, say say) {
	for _, service := range s.services() {
		if prefix := service.Get("path_prefix"); !envoyPrefix.MatchString(prefix.String()) {
			say(at(prefix, service), fmt.Sprintf("path_prefix %.60q names no policy: the first segment of the client's path is taken for one", prefix.String()), "path_prefix: /auth/envoy/POLICY")
		}
	}
}

// envoyUpstream: what the gate does not say stays as the client sent it (docs/seam.md, envoy:
// allowed_upstream_headers, an identity name missing from allowed_upstream_headers; B1).
func envoyUpstream(s *envoySite, say say) {
	for _, service := range s.services() {
		list := service.Get("authorization_response", "allowed_upstream_headers")
		for _, name := range s.names.all() {
			if !lists(list, name) {
				say(at(list, service), fmt.Sprintf("the gate's %s does not reach the backend, and the client's may", name),
					fmt.Sprintf("allowed_upstream_headers: {patterns: [{exact: %s}]}", strings.ToLower(name)))
			}
		}
	}
}

// envoyAppend: "evil,alice", of which many backends read the first (docs/seam.md, envoy:
// allowed_upstream_headers_to_append; B23).
func envoyAppend(s *envoySite, say say) {
	for _, service := range s.services() {
		list := service.Get("authorization_response", "allowed_upstream_headers_to_append")
		for _, name := range s.names.all() {
			if lists(list, name) {
				say(list.At(), fmt.Sprintf("the gate's %s is appended to the client's, of which many backends read the first", name), "allowed_upstream_headers in place of allowed_upstream_headers_to_append")
				break
			}
		}
	}
}

// envoyClientHeaders: docs/seam.md, envoy: no allowed_client_headers; B13.
func envoyClientHeaders(s *envoySite, say say) {
	for _, service := range s.services() {
		if service.Get("authorization_response", "allowed_client_headers") == nil {
			say(service.At(), "every header of a refusal goes to the client, those for the proxy too",
				"allowed_client_headers: {patterns: [{exact: www-authenticate}, {exact: x-auth-reason}, {exact: content-type}, {exact: cache-control}]}")
		}
	}
}

// envoyAllowedHeaders: docs/seam.md, envoy: allowed_headers; B5.
func envoyAllowedHeaders(s *envoySite, say say) {
	const name = "x-forwarded-for"
	if s.overHTTP() && !lists(s.authz.Get("allowed_headers"), name) && !lists(s.authz.Get("http_service", "authorization_request", "allowed_headers"), name) {
		say(at(s.authz.Get("allowed_headers"), s.authz), "the gate takes Envoy's own address for the client's", "allowed_headers: {patterns: [{exact: x-forwarded-for}]}")
	}
}

// envoyUnread: what is not read is not proved.
func envoyUnread(s *envoySite, say say) {
	if s.unread {
		say(s.manager.At(), "the routes of this connection manager are in none of the files, and are not judged", "a dump of the running Envoy as one of the files: curl ADMIN/config_dump")
	}
}
