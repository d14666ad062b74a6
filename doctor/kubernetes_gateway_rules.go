package doctor

import (
	"fmt"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

var gatewayRules = []rule[*manifests]{
	{"kubernetes-fail-open", "`failOpen: true`: a gate that is down, slow or broken lets everybody in", failOpen},
	{"kubernetes-policy-not-named", "a check over gRPC without a policy in contextExtensions", policyNotNamed},
	{"kubernetes-path-prefix", "a check over HTTP whose path is not `/auth/envoy/POLICY`", pathPrefix},
	{"kubernetes-upstream-headers", "an identity header that the answers' list for the backend lacks: the client's stays", upstreamHeaders},
	{"kubernetes-allowed-headers", "a list of headers for the check without x-forwarded-for, or over gRPC without authorization", allowedHeaders},
	{"kubernetes-clear-route-cache", "`recomputeRoute` or `clearRouteCache`: the check is asked for one route and the request takes another", clearRouteCache},
	{"kubernetes-target-missing", "a policy for a route or gateway that is in no file: it hangs on nothing, and nobody is asked", targetMissing},
	{"kubernetes-policy-overridden", "a SecurityPolicy without a check that takes the place of one with it", policyOverridden},
	{"kubernetes-check-reachable", "a route that leads clients to the gate's checks", checkReachable},
	{"kubernetes-identity-not-removed", "no removal of each identity header before routes and checks: the client's passes on open routes", identityNotRemoved},
	{"kubernetes-aliases", "no removal of the identity headers' aliases before routes and checks", gatewayAliases},
	{"kubernetes-identity-lost", "a route that sets or removes an identity header behind the check", identityLost},
	{"kubernetes-path-cleaning", "routes of different demands side by side, and paths that are not cleaned", gatewayCleaning},
	{"kubernetes-path-refusal", "routes of different demands side by side without a first one that refuses `%25`, `%00`, `%3b` and `..;`", gatewayRefusal},
	{"kubernetes-strict-path", "a stricter route of Envoy Gateway that is chosen by whole segments: `/staff;x` has another policy", strictPath},
	{"kubernetes-client-address", "a ClientTrafficPolicy that believes everybody's word for their address", clientAddress},
	{"kubernetes-gateway-open", "a route without a check beside protected ones, at a gateway that does not remove the identity headers", gatewayOpen},
	{"kubernetes-backend-unchecked", "a route or an Ingress that asks nobody and leads to a Service that is behind the gate elsewhere, with the client's identity headers", backendUnchecked},
	{"kubernetes-open-by-client", "a route without a check that is chosen by a header, the query or the method, on all paths", openByClient},
	{"kubernetes-open-prefix-off", "an open route that writes its path anew on the way to a protected Service: `/open/staff` is `/staff` there", openPrefixOff},
}

// each calls for every check that asks the gate.
func (m *manifests) each(found func(c *extAuth)) {
	for _, c := range m.asked {
		if c.ours() {
			found(c)
		}
	}
}

// failOpen: docs/seam.md, envoy: failure_mode_allow; CVE-2024-23324, CVE-2023-27488; B12. In Envoy Gateway it also counts
// where the policy itself is invalid.
func failOpen(m *manifests, say say) {
	tell := func(n *syntax.Node) {
		if n.True() {
			say(n.At(), "everybody is let in while the gate is down, slow or broken", "failOpen: false")
		}
	}
	m.each(func(c *extAuth) { tell(c.config.Get("failOpen")) })
	for _, p := range m.known {
		if p.ours() {
			tell(p.config.Get("failOpen"))
		}
	}
}

// policyNotNamed: the gate falls back to checks.grpc.policy, one for all (B22). The Gateway API's filter has no word for it.
func policyNotNamed(m *manifests, say say) {
	m.each(func(c *extAuth) {
		if !c.http && !c.filter && !c.named {
			say(c.place, "no policy is named: this route goes by the gate's checks.grpc.policy", "contextExtensions: [{name: policy, type: Value, value: POLICY}]")
		}
	})
}

// pathPrefix: the segment behind /auth/envoy/ is mandatory, and the client's path follows it (docs/seam.md, envoy:
// path_prefix without a policy; B4, B22).
func pathPrefix(m *manifests, say say) {
	tell := func(n *syntax.Node, in *syntax.Node, word string) {
		if !envoyPrefix.MatchString(n.String()) {
			say(at(n, in), fmt.Sprintf("%s %.60q names no policy: the first segment of the client's path is taken for one", word, n.String()), word+": /auth/envoy/POLICY")
		}
	}
	m.each(func(c *extAuth) {
		if c.http {
			tell(c.path(), c.config, "path")
		}
	})
	for _, p := range m.known {
		if p.http && p.ours() {
			tell(p.config.Get("pathPrefix"), p.config, "pathPrefix")
		}
	}
}

// upstreamHeaders: what the gate does not say stays as the client sent it (docs/seam.md, envoy: allowed_upstream_headers; B1).
func upstreamHeaders(m *manifests, say say) {
	tell := func(list, in *syntax.Node, key string) {
		for _, name := range m.names.all() {
			if !starred(list, name) {
				say(at(list, in), fmt.Sprintf("the gate's %s does not reach the backend, and the client's may", name), fmt.Sprintf("%s: [%s]", key, strings.Join(m.names.all(), ", ")))
			}
		}
	}
	m.each(func(c *extAuth) {
		list := c.config.Get("http", "headersToBackend")
		if c.filter {
			list = c.config.Get("http", "allowedResponseHeaders")
		}
		switch {
		case !c.http || c.filter && len(list.List()) == 0: // none in the filter are all
		case c.filter:
			tell(list, c.config, "allowedResponseHeaders")
		default:
			tell(list, c.config, "headersToBackend")
		}
	})
	for _, p := range m.known {
		if p.http && p.ours() {
			tell(p.config.Get("headersToUpstreamOnAllow"), p.config, "headersToUpstreamOnAllow")
		}
	}
}

// starred says whether a name is in a list of names, some with a star at their end or begin.
func starred(list *syntax.Node, name string) bool {
	name = strings.ToLower(name)
	for _, text := range list.Strings() {
		text = strings.ToLower(text)
		switch {
		case text == name, text == "*",
			strings.HasSuffix(text, "*") && strings.HasPrefix(name, strings.TrimSuffix(text, "*")),
			strings.HasPrefix(text, "*") && strings.HasSuffix(name, strings.TrimPrefix(text, "*")):
			return true
		}
	}
	return false
}

// allowedHeaders: docs/seam.md, envoy: allowed_headers; B5. Over gRPC an empty list is everything.
func allowedHeaders(m *manifests, say say) {
	tell := func(list, in *syntax.Node, http bool, key string) {
		switch {
		case http && !starred(list, "x-forwarded-for"):
			say(at(list, in), "the gate takes the proxy's own address for the client's", key+": [x-forwarded-for]")
		case !http && len(list.List()) > 0 && !starred(list, "authorization"):
			say(list.At(), "the gate is not shown the token, so nobody gets in", key+" with authorization, or take the list out")
		}
	}
	m.each(func(c *extAuth) {
		switch {
		case c.filter && c.http:
			tell(c.config.Get("http", "allowedHeaders"), c.config, true, "allowedHeaders")
		case c.filter:
			tell(c.config.Get("grpc", "allowedHeaders"), c.config, false, "allowedHeaders")
		default:
			tell(c.config.Get("headersToExtAuth"), c.config, c.http, "headersToExtAuth")
		}
	})
	for _, p := range m.known {
		if p.http && p.ours() {
			tell(p.config.Get("includeRequestHeadersInCheck"), p.config, true, "includeRequestHeadersInCheck")
		}
	}
}

// clearRouteCache: proxies.md 1.3, B22: a route that is chosen anew may have other demands.
func clearRouteCache(m *manifests, say say) {
	tell := func(n *syntax.Node, key string) {
		if n.True() {
			say(n.At(), "after the check the route is chosen anew, and may be one with other demands", key+": false")
		}
	}
	m.each(func(c *extAuth) { tell(c.config.Get("recomputeRoute"), "recomputeRoute") })
	for _, p := range m.known {
		if p.ours() {
			tell(p.config.Get("clearRouteCache"), "clearRouteCache")
		}
	}
}

// targetMissing: what a policy is for has to be there under that name, in the policy's own namespace (B22).
func targetMissing(m *manifests, say say) {
	for _, o := range m.of(groupEnvoy, "SecurityPolicy") {
		if o.spec("extAuth") == nil {
			continue
		}
		for _, t := range targets(o) {
			kind, name, section := t.Get("kind").String(), t.Get("name").String(), t.Get("sectionName").String()
			if kind != "HTTPRoute" && kind != "Gateway" {
				continue
			}
			found := m.find(groupGateway, kind, o.namespace+"/"+name)
			if found == nil || section != "" && !hasSection(found, section) {
				say(t.At(), fmt.Sprintf("no file has the %s %.60s in the namespace %.60s: what the policy is for asks nobody", kind, strings.TrimSuffix(name+" "+section, " "), o.namespace), "the name of a route or gateway that is there")
			}
		}
		for _, s := range o.spec("targetSelectors").List() {
			if s.Get("matchExpressions") != nil {
				say(s.At(), "what its matchExpressions choose is not judged, and counts for nothing here", "matchLabels, or targetRefs")
				continue
			}
			chosen := slices.ContainsFunc(m.of(groupGateway, s.Get("kind").String()), func(target *object) bool {
				return target.namespace == o.namespace && selects(s.Get("matchLabels"), target.Get("metadata", "labels"))
			})
			if !chosen {
				say(s.At(), fmt.Sprintf("no %.40s in the namespace %.60s has these labels: what the policy is for asks nobody", s.Get("kind").String(), o.namespace), "the labels of a route or gateway that is there")
			}
		}
	}
}

func hasSection(o *object, section string) bool {
	return slices.ContainsFunc(append(o.spec("rules").List(), o.spec("listeners").List()...), func(n *syntax.Node) bool { return n.Get("name").String() == section })
}

// policyOverridden: of the policies for a rule, its route, and its gateway the nearest counts alone (proxies.md 1.7; B22).
func policyOverridden(m *manifests, say say) {
	for _, r := range m.ways {
		if r.lost != nil && !m.toGate(r.backends()) {
			say(r.lost.place(), fmt.Sprintf("it takes the place of a policy that asks the gate, and nobody is asked at the HTTPRoute %.60s", r.route.id()), "extAuth in it, or mergeType: StrategicMerge")
		}
	}
}

// checkReachable: clients that call the check learn what the gate says of any request (docs/seam.md, nginx: internal).
func checkReachable(m *manifests, say say) {
	tell := func(b backend) {
		if b.port != "" && slices.Contains(m.gates[b.id], b.port) {
			say(b.At(), fmt.Sprintf("clients can call the check themselves: port %.20s of %.60s is what the proxy asks", b.port, b.id), "the port of the gate's API")
		}
	}
	for _, r := range m.ways {
		for _, b := range r.backends() {
			tell(b)
		}
	}
	for _, o := range m.of(groupIngress, "Ingress") {
		for _, p := range o.paths() {
			tell(p.backend)
		}
	}
	for _, o := range m.of(groupTraefik, "IngressRoute") {
		for _, route := range o.spec("routes").List() {
			for _, n := range route.Get("services").List() {
				tell(refersTo(n, o.namespace))
			}
		}
	}
	for _, o := range m.of(groupIstio, "VirtualService") {
		for _, b := range o.destinations() {
			tell(b)
		}
	}
}

// identityNotRemoved: docs/seam.md, envoy: identity removed before the check; B1. It counts where the gate is not asked or
// does not answer.
func identityNotRemoved(m *manifests, say say) {
	told := map[string]bool{}
	for _, r := range m.ways {
		if r.check != nil && r.check.ours() && m.find(groupGateway, "Gateway", r.gateway) == nil && !told[r.gateway] {
			told[r.gateway] = true
			m.skip(r.route.place().String(), fmt.Sprintf("the Gateway %.60s is in no file: what happens there before the check is not judged", r.gateway))
		}
	}
	for _, s := range m.sites {
		for _, settings := range s.settings {
			for _, name := range m.names.all() {
				if settings == nil || !removesEarly(settings, name) {
					say(settingsPlace(settings, s), fmt.Sprintf("the client's own %s reaches the backend on open routes: nothing removes it before the check", name),
						fmt.Sprintf("a ClientTrafficPolicy with headers: {earlyRequestHeaders: {remove: [%s]}}", strings.ToLower(strings.Join(m.names.all(), ", "))))
				}
			}
		}
	}
	for _, p := range m.asking {
		for _, name := range m.names.all() {
			if !m.meshRemoves(p, name) {
				say(p.place(), fmt.Sprintf("the client's own %s reaches the backend where nobody is asked: no EnvoyFilter removes it before the check", name),
					fmt.Sprintf("an EnvoyFilter with INSERT_FIRST of envoy.filters.http.header_mutation, with request_mutations: [{remove: %s}]", strings.ToLower(name)))
			}
		}
	}
}

func settingsPlace(settings *object, s *gatewaySite) syntax.Place {
	if settings != nil {
		return settings.place()
	}
	return s.place()
}

// gatewayAliases: docs/seam.md, envoy: no header_mutation: an alias, headers_with_underscores_action: ALLOW; B2, B3. Envoy
// Gateway refuses names with underscores unless it is told otherwise.
func gatewayAliases(m *manifests, say say) {
	const problem = "the client's %s reaches the backend, which may take it for %s"
	for _, s := range m.sites {
		for _, settings := range s.settings {
			kept := func(alias string) bool {
				if settings == nil {
					return !strings.Contains(alias, "_")
				}
				dropped := strings.Contains(alias, "_") && settings.spec("headers", "withUnderscoresAction").String() != "Allow"
				return !dropped && !removesEarly(settings, alias)
			}
			if alias, name := m.alias(kept); alias != "" {
				say(settingsPlace(settings, s), fmt.Sprintf(problem, alias, name),
					`a ClientTrafficPolicy with headers: {earlyRequestHeaders: {removeOnMatch: [{type: RegularExpression, value: "[a-z0-9:-]*[^a-z0-9:-].*"}]}}`)
			}
		}
	}
	for _, p := range m.asking {
		action := m.meshOption(p, "common_http_protocol_options", "headers_with_underscores_action").String()
		kept := func(alias string) bool {
			dropped := strings.Contains(alias, "_") && (action == "DROP_HEADER" || action == "REJECT_REQUEST")
			return !dropped && !m.meshRemoves(p, alias)
		}
		if alias, name := m.alias(kept); alias != "" {
			say(p.place(), fmt.Sprintf(problem, alias, name),
				`an EnvoyFilter with INSERT_FIRST of envoy.filters.http.header_mutation, with request_mutations: [{remove_on_match: {key_matcher: {safe_regex: {regex: "[a-z0-9:-]*[^a-z0-9:-].*"}}}}]`)
		}
	}
}

// alias returns the first alias that is kept, and of what name it is one.
func (m *manifests) alias(kept func(alias string) bool) (alias, name string) {
	for _, name := range m.names.all() {
		for _, alias := range aliases(name) {
			if alias != name && kept(alias) {
				return alias, name
			}
		}
	}
	return "", ""
}

// identityLost: filters of a route run when the check has set its headers, or nobody knows when (B23).
func identityLost(m *manifests, say say) {
	tell := func(changes *syntax.Node) {
		for _, key := range []string{"set", "add", "remove"} {
			for _, e := range namesIn(changes.Get(key)) {
				if m.identity(e.Text) {
					say(e.At(), fmt.Sprintf("the gate's %.60s is changed behind the check", e.Text), "take the line out; what clients send is removed before the check")
				}
			}
		}
	}
	for _, r := range m.ways {
		for _, f := range r.Get("filters").List() {
			if r.check != nil && r.check.ours() {
				tell(f.Get("requestHeaderModifier"))
			}
		}
	}
	if len(m.asking) == 0 {
		return
	}
	for _, o := range m.of(groupIstio, "VirtualService") {
		for _, route := range o.spec("http").List() {
			tell(route.Get("headers", "request"))
			for _, d := range route.Get("route").List() {
				tell(d.Get("headers", "request"))
			}
		}
	}
}

// namesIn returns the names of headers in a list of names, in one of names and values, or in a map of these.
func namesIn(n *syntax.Node) (all []*syntax.Node) {
	for _, item := range n.List() {
		if name := item.Get("name"); name != nil {
			item = name
		}
		if item.String() != "" {
			all = append(all, item)
		}
	}
	for _, e := range n.Each() {
		all = append(all, scalar(e.Place, e.Key))
	}
	return all
}

// gatewayCleaning: docs/seam.md, envoy: merge_slashes, escaped slashes; B7. Envoy Gateway cleans dot segments, and both of
// these unless it is told otherwise.
func gatewayCleaning(m *manifests, say say) {
	for _, s := range m.sites {
		for _, settings := range s.settings {
			if settings == nil || !s.mixed() {
				continue
			}
			if n := settings.spec("path", "escapedSlashesAction"); n.String() == "KeepUnchanged" {
				say(n.At(), "/open/..%2fx is open to Envoy and /x to the backend", "escapedSlashesAction: RejectRequest")
			}
			if n := settings.spec("path", "disableMergeSlashes"); n.True() {
				say(n.At(), "//staff is not /staff to Envoy, and is to the backend", "disableMergeSlashes: false")
			}
		}
	}
	for _, p := range m.asking {
		m.meshCleaning(p, say)
	}
}

// gatewayRefusal: cleaning leaves these as they are (docs/seam.md, envoy: the route that refuses; B7). Routes of one host name
// are looked at together; among regular expressions Envoy Gateway takes the longest first.
func gatewayRefusal(m *manifests, say say) {
	for _, s := range m.sites {
		if !s.mixed() {
			continue
		}
		told := map[*object]bool{}
		for _, r := range s.rules {
			if told[r.route] {
				continue
			}
			if missed := s.refusedBefore(r).misses(escapes()); missed != "" {
				told[r.route] = true
				say(r.route.place(), fmt.Sprintf("%s is one route to Envoy and another path to some backends", missed),
					`a rule with path: {type: RegularExpression, value: '(?i).*(%25|%00|%3b|/((\.|%2e){1,2})?;).*'} and an HTTPRouteFilter with directResponse: {statusCode: 400}`)
			}
		}
	}
	for _, p := range m.asking {
		m.meshRefusal(p, say)
	}
}

// escapes are paths that Envoy's cleaning leaves.
func escapes() []string { return together(encodedEscapes, dotParameters, []string{"/open/%2e%2e;/x"}) }

// refusedBefore returns the expressions by which requests for a rule's hosts are refused before it.
func (s *gatewaySite) refusedBefore(r gatewayRule) (all refusal) {
	hosts, longest := hostsOf(r), 0 // exact paths come before, and longer expressions
	for _, p := range r.paths() {
		if p.kind == "RegularExpression" {
			longest = max(longest, len(p.value))
		}
	}
	for _, other := range s.refusals[hosts[0]] {
		everywhere := !slices.ContainsFunc(hosts, func(h string) bool { return !slices.Contains(other.hosts, h) })
		if everywhere && other.length >= longest {
			all = append(all, other.Regexp)
		}
	}
	return all
}

// strictPath: a prefix takes whole segments, so /staff;x comes under the next rule (docs/seam.md, caddy: strict routes; B7).
func strictPath(m *manifests, say say) {
	for _, s := range m.sites {
		for _, r := range s.rules {
			for _, p := range r.paths() {
				if r.check == nil || r.check.filter || p.kind == "RegularExpression" || p.value == "/" || !s.laxer(r) {
					continue
				}
				say(r.At(), fmt.Sprintf("%s;x is not %.60s to Envoy and comes under a rule with fewer demands; many backends take it for that", strings.TrimSuffix(p.value, "/"), p.value),
					fmt.Sprintf("path: {type: RegularExpression, value: %s.*}", strings.TrimSuffix(p.value, "/")))
			}
		}
	}
}

// laxer says whether the rule of last resort is open, or goes by the policy that is for everything, where r does not.
func (s *gatewaySite) laxer(r gatewayRule) bool {
	for _, other := range s.rules {
		whole := slices.ContainsFunc(other.paths(), func(p pathMatch) bool { return p.value == "/" || p.value == "/.*" })
		open := other.check == nil || other.check.policy == "" || other.check.policy == "default"
		if whole && open && other.demands() != r.demands() && slices.Equal(other.hosts, r.hosts) {
			return true
		}
	}
	return false
}

// clientAddress: the gate's rules about networks and countries go by this address (B5).
func clientAddress(m *manifests, say say) {
	for _, s := range m.sites {
		for _, settings := range s.settings {
			if settings == nil {
				continue
			}
			if n := settings.spec("clientIPDetection", "customHeader"); n != nil {
				say(n.At(), "clients choose their address: a header of theirs is believed", "take customHeader out")
			}
			if n := settings.spec("clientIPDetection", "xForwardedFor", "trustedCIDRs"); everybody(n.Strings()) {
				say(n.At(), "everybody's X-Forwarded-For is believed: clients choose their address", "trustedCIDRs: [the addresses of the proxy in front]")
			}
		}
	}
}

// gatewayOpen: an open route passes everything on (docs/seam.md, envoy: ext_authz disabled on a route; B1).
func gatewayOpen(m *manifests, say say) {
	for _, s := range m.sites {
		for _, r := range s.rules {
			if r.check == nil && !m.cleans(s.object) {
				say(r.At(), fmt.Sprintf("nobody is asked at this rule of %.60s, and the client's own identity headers reach its backend", r.route.id()), "a SecurityPolicy for it, or a ClientTrafficPolicy that removes them early")
			}
		}
	}
}

// behind are the Services that are behind the gate at some rule of a gateway.
func (m *manifests) behind() map[string]bool {
	services := map[string]bool{}
	for _, r := range m.ways {
		for _, b := range r.backends() {
			services[b.id] = services[b.id] || r.check != nil && r.check.ours()
		}
	}
	return services
}

// backendUnchecked: a backend that serves protected routes believes the header wherever it comes from (B1). What one
// controller has beside its own protected routes is judged with these.
func backendUnchecked(m *manifests, say say) {
	const problem, fix = "nobody is asked here, and the client's own identity headers reach the Service %.60s, which is behind the gate elsewhere", "a check here, or a Service of its own"
	behind := m.behind()
	for _, r := range m.ways {
		g := m.find(groupGateway, "Gateway", r.gateway)
		judged := slices.ContainsFunc(m.sites, func(s *gatewaySite) bool { return s.object == g })
		if r.check != nil || g == nil || judged || m.toGate(r.backends()) || m.cleans(g) {
			continue
		}
		if i := slices.IndexFunc(r.backends(), func(b backend) bool { return behind[b.id] }); i >= 0 {
			say(r.At(), fmt.Sprintf(problem, r.backends()[i].id), fix)
		}
	}
	nginx := map[string]bool{}
	for _, o := range m.guarded() {
		for _, p := range o.paths() {
			nginx[p.backend.id] = true
		}
	}
	for _, o := range m.of(groupIngress, "Ingress") {
		c := controllerOf(o)
		mine := c == "nginx" || c == ""
		for _, p := range o.paths() {
			reached := behind[p.backend.id] || !mine && nginx[p.backend.id]
			if reached && c != "traefik" && (!mine || m.question(o) == nil) && !m.toGate([]backend{p.backend}) {
				say(p.At(), fmt.Sprintf(problem, p.backend.id), fix)
			}
		}
	}
}

// cleans says whether a gateway removes every identity header before its routes.
func (m *manifests) cleans(g *object) bool {
	return !slices.ContainsFunc(m.clientSettings(g), func(settings *object) bool {
		return settings == nil || slices.ContainsFunc(m.names.all(), func(name string) bool { return !removesEarly(settings, name) })
	})
}

// openByClient: who writes the header is not asked for a token, on any path. Beside a path it only narrows what is open
// (B26).
func openByClient(m *manifests, say say) {
	for _, s := range m.sites {
		for _, r := range s.rules {
			chosen := slices.ContainsFunc(r.paths(), func(p pathMatch) bool { return p.kind != "Exact" && p.value == "/" && !p.only })
			if chosen && r.check == nil {
				say(r.At(), fmt.Sprintf("nobody is asked at this rule of %.60s, which is chosen by what the client sends, on all paths", r.route.id()), "a path in its matches, or a SecurityPolicy for it")
			}
		}
	}
}

// openPrefixOff: what is open is any path of the backend then (B7).
func openPrefixOff(m *manifests, say say) {
	const problem, fix = "the open path is written anew on its way, so that it leads to any path of a Service that has protected ones", "no rewrite on this route, or a Service of its own"
	behind := m.behind()
	for _, r := range m.ways {
		shared := slices.ContainsFunc(r.backends(), func(b backend) bool { return behind[b.id] })
		for _, f := range r.Get("filters").List() {
			if path := f.Get("urlRewrite", "path"); path.Get("replacePrefixMatch") != nil && r.check == nil && shared {
				say(path.At(), problem, fix)
			}
		}
	}
	for _, c := range m.asking {
		for _, o := range m.virtuals(c) {
			for _, route := range o.spec("http").List() {
				if rewrite := route.Get("rewrite"); rewrite.Get("uri") != nil && c.opens(route) && !m.toGate(meshBackends(route, o)) {
					say(rewrite.At(), problem, fix)
				}
			}
		}
	}
}
