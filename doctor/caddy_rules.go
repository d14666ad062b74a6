package doctor

import (
	"fmt"
	"slices"
	"strings"
)

var caddyRules = []rule[*caddySite]{
	{"caddy-identity-lost", "a request_header that takes the gate's identity headers away after the check, as in `handle`, which sorts", caddyIdentityLost},
	{"caddy-identity-not-removed", "a way to a backend on which the client's identity headers are not removed", caddyIdentity},
	{"caddy-aliases", "a way to a backend on which the identity headers' aliases are not removed", caddyAliases},
	{"caddy-copy-headers", "a check that does not copy each identity header", caddyCopy},
	{"caddy-connection", "a protected way on which the client's Connection is kept: it takes the gate's headers away again", caddyConnection},
	{"caddy-upgrade", "a protected way that passes on any Upgrade: h2c is a tunnel in which nothing is checked", caddyUpgrade},
	{"caddy-uri-query", "a check whose uri has no question mark: the client's query, and the policy in it, goes to the gate", caddyQuery},
	{"caddy-policy-from-client", "a policy that is taken from what the client sends", caddyPolicy},
	{"caddy-check-endpoint", "a check at the endpoint of another proxy", caddyEndpoint},
	{"caddy-check-timeout", "a check without response_header_timeout: Caddy waits for ever", caddyTimeout},
	{"caddy-check-by-hand", "a check that is written out as a reverse_proxy, which is not judged", caddyByHand},
	{"caddy-forwarded", "a protected way that passes on the client's X-Forwarded-Uri, -Method, -Prefix or -Port", caddyForwarded},
	{"caddy-path-refusal", "open and protected ways side by side without a refusal of paths that backends read differently", caddyPathRefusal},
	{"caddy-open-path", "an open way that is chosen by `path`, which cleans the path and ignores letter case", caddyOpenPath},
	{"caddy-strict-path", "a strict way whose path ends in `/*`: `/staff;x` has another policy", caddyStrictPath},
	{"caddy-rest-open", "a last way without a check beside others that have one: what no route names is open", caddyRest},
	{"caddy-check-conditional", "a check with a matcher, behind which a backend is reached without one", caddyConditional},
	{"caddy-check-response", "a handle_response of the check by which a refusal goes on to the backend", caddyResponse},
	{"caddy-check-from-client", "a check that shows the gate what the client likes, or a token of its own", caddyCheckFromClient},
	{"caddy-identity-from-client", "an identity header that is set to anything but the gate's word", caddyIdentityFromClient},
	{"caddy-errors-served", "handle_errors that passes requests on to a protected backend: a gate that is down lets everybody in", caddyErrors},
	{"caddy-order", "an `order` of the check or of what stands around it, which is not judged", caddyReordered},
	{"caddy-backend-unchecked", "a site that asks nobody and leads to a backend that is behind the gate elsewhere, with the client's identity headers", caddyBackend},
	{"caddy-open-prefix-off", "an open way that takes its prefix off on the way to a protected backend: `/open/staff` is `/staff` there", caddyPrefixOff},
	{"caddy-open-by-client", "an open way that is chosen by a header, the query or OPTIONS, on all paths", caddyOpenByClient},
	{"caddy-trusted-proxies", "trusted_proxies that hold everybody", caddyTrusted},
}

// caddyIdentityLost: in handle, and outside of all blocks, Caddy runs request_header after forward_auth
// (docs/seam.md, caddy: route, not handle; proxies.md 1.4). It fails closed, with nobody identified.
func caddyIdentityLost(s *caddySite, say say) {
	for _, e := range s.guarded() {
		for _, o := range e.ops() {
			if o.after && slices.ContainsFunc(s.names.all(), o.on) {
				say(o.Place, "what the gate says of the user is taken away again: here Caddy runs request_header after forward_auth", "route in place of handle, with request_header before the check")
			}
		}
	}
}

// caddyIdentity: docs/seam.md, caddy: identity removed on open routes, the gate's own name alone; B1.
func caddyIdentity(s *caddySite, say say) {
	if !s.protects() {
		return
	}
	for _, e := range s.ends {
		for _, name := range s.names.all() {
			replaced := e.check() != nil && slices.ContainsFunc(copied(e.check().Directive), func(c string) bool { return strings.EqualFold(c, name) })
			if !replaced && !e.gone(name) {
				say(e.Place, fmt.Sprintf("the client's own %s reaches the backend", name), fmt.Sprintf("request_header -%s before it, in the same route", name))
			}
		}
	}
}

// caddyAliases: Caddy drops names with _ and . by itself, and passes twelve other odd characters
// (docs/seam.md, caddy: aliases removed before the check, on open routes; B3).
func caddyAliases(s *caddySite, say say) {
	if !s.protects() {
		return
	}
	for _, e := range s.ends {
		for _, c := range strings.TrimPrefix(odd, "_.") {
			if name, kept := e.keeps(s.names, c); kept {
				say(e.Place, fmt.Sprintf("the client's %s reaches the backend, which may take it for an identity header", name), fmt.Sprintf("request_header -*%c* before it, in the same route", c))
				break
			}
		}
	}
}

// keeps returns the alias of an identity header with that character that reaches the end.
func (e *caddyEnd) keeps(n Names, c rune) (alias string, kept bool) {
	for _, name := range n.all() {
		if alias = strings.ReplaceAll(name, "-", string(c)); strings.Contains(name, "-") && !e.gone(alias) {
			return alias, true
		}
	}
	return "", false
}

// caddyCopy: docs/seam.md, caddy: copy_headers.
func caddyCopy(s *caddySite, say say) {
	for _, c := range s.checks() {
		for _, name := range s.names.all() {
			if !slices.ContainsFunc(copied(c), func(got string) bool { return strings.EqualFold(got, name) }) {
				say(c.Place, fmt.Sprintf("the gate's %s does not reach the backend, and the client's may", name), "copy_headers "+strings.Join(s.names.all(), " "))
			}
		}
	}
}

// hop finds what becomes of a header of one hop, such as Connection: whether it is dropped, on all requests or
// on some, and whether it is written anew.
func (e *caddyEnd) hop(name string) (dropped, always, written bool) {
	for _, o := range e.ops() {
		if !o.on(name) {
			continue
		}
		dropped = dropped || o.deletes
		always = always || o.deletes && o.always
		written = written || o.sets && !strings.Contains(o.value, "{")
	}
	return dropped, always, written
}

// caddyConnection: Connection: Remote-User has the header removed on the way to the backend; without
// Connection: Upgrade no handshake of a WebSocket gets there (docs/seam.md, caddy: Connection and the two that
// follow; B6).
func caddyConnection(s *caddySite, say say) {
	const fix = "@plain not header_regexp Upgrade (?i)^websocket$, request_header @plain -Connection, @websocket header_regexp Upgrade (?i)^websocket$, request_header @websocket Connection Upgrade"
	for _, e := range s.guarded() {
		dropped, always, written := e.hop("Connection")
		_, _, upgrades := e.hop("Upgrade")
		switch {
		case !dropped:
			say(e.Place, "Connection: Remote-User takes the gate's header away on the way to the backend", fix)
		case !always && !written:
			say(e.Place, "where the matcher leaves it, Connection: Upgrade, Remote-User takes the gate's header away", fix)
		case always && !written && upgrades:
			say(e.Place, "no WebSocket handshake reaches the backend: Connection is dropped and Upgrade kept", fix)
		}
	}
}

// caddyUpgrade: docs/seam.md, caddy: Upgrade; B18.
func caddyUpgrade(s *caddySite, say say) {
	for _, e := range s.guarded() {
		connection, _, _ := e.hop("Connection")
		if upgrade, _, _ := e.hop("Upgrade"); !upgrade && !connection {
			say(e.Place, "Upgrade: h2c opens a tunnel to the backend, in which a client with a token asks for any path in any name",
				"@plain not header_regexp Upgrade (?i)^websocket$ and request_header @plain -Upgrade")
		}
	}
}

// caddyQuery: docs/seam.md, caddy: the question mark; B22.
func caddyQuery(s *caddySite, say say) {
	for _, c := range s.checks() {
		if uri := c.First("uri"); !strings.Contains(uri.Arg(0), "?") {
			say(uri.Place, "the client's query goes to the gate, and ?policy=default in it is the policy", "uri /auth/caddy?policy=NAME")
		}
	}
}

// caddyPolicy: docs/seam.md, B22.
func caddyPolicy(s *caddySite, say say) {
	for _, c := range s.checks() {
		if _, query, _ := strings.Cut(c.First("uri").Arg(0), "?"); strings.Contains(ofOperator.ReplaceAllString(query, ""), "{") {
			say(c.First("uri").Place, "the policy is made of what a request holds", "uri /auth/caddy?policy=NAME, with the name written out")
		}
	}
}

// caddyEndpoint: docs/seam.md, B4.
func caddyEndpoint(s *caddySite, say say) {
	for _, c := range s.checks() {
		if found := endpoint.FindStringSubmatch(c.First("uri").Arg(0)); found[1] != "caddy" {
			say(c.First("uri").Place, fmt.Sprintf("/auth/%s reads headers that Caddy does not write, so the client does", found[1]), "uri /auth/caddy?policy=NAME")
		}
	}
}

// caddyTimeout: docs/seam.md, caddy: response_header_timeout; B12.
func caddyTimeout(s *caddySite, say say) {
	for _, c := range s.checks() {
		if c.First("transport") == nil || c.First("transport").First("response_header_timeout") == nil {
			say(c.Place, "a gate that hangs holds every request for ever", "transport http { response_header_timeout 1s }")
		}
	}
}

// caddyByHand: what forward_auth stands for can be written in many ways, and only it is judged.
func caddyByHand(s *caddySite, say say) {
	for _, d := range s.byOwn {
		say(d.Place, "this reverse_proxy asks the gate in a way that is not judged", "forward_auth")
	}
}

// caddyForwarded: Caddy writes -For, -Proto and -Host, and passes these on (docs/seam.md, caddy: the client's
// X-Forwarded-Uri and the three that follow; B5).
func caddyForwarded(s *caddySite, say say) {
	for _, name := range []string{"X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-Port"} {
		for _, e := range s.guarded() {
			if !e.gone(name) {
				say(e.Place, fmt.Sprintf("the client tells the backend its own %s", name), "request_header -"+name)
				break
			}
		}
	}
}

// caddyPathRefusal: Caddy cleans a path to compare it, and passes it on as it came (docs/seam.md, caddy: dot
// segments and the five that follow; B7).
func caddyPathRefusal(s *caddySite, say say) {
	if !s.protects() || !s.mixed() {
		return
	}
	paths := together(dotSegments, dotParameters, encodedDots, encodedEscapes, encodedSlashes)
	for _, e := range s.ends {
		if missed := e.refused().misses(paths); missed != "" {
			say(e.Place, fmt.Sprintf("%s is one route to Caddy and another path to the backend", missed),
				`@odd vars_regexp {http.request.orig_uri} "(?i)^[^?]*(#|%2f|%5c|%00|%25|%3b|\\|/;|/(\.|%2e){1,2}(;|/|\?|$))" and respond @odd 400, first in the route`)
			return
		}
	}
}

// refused returns the expressions by which a way refuses targets.
func (e *caddyEnd) refused() (all refusal) {
	for _, s := range e.trail {
		refuses := s.Name == "abort" || (s.Name == "respond" || s.Name == "error") && slices.ContainsFunc(s.args, func(a string) bool { return len(a) == 3 && a[0] == '4' })
		if !refuses || s.matcher == nil || len(s.matcher.conditions) != 1 {
			continue
		}
		c := s.matcher.conditions[0]
		uri := slices.Contains([]string{"{http.request.orig_uri}", "{http.request.uri}", "{uri}", "{orig_uri}"}, c.Arg(0))
		if c.Name == "vars_regexp" && uri && len(c.Args) >= 2 {
			if x, err := expression(c.Args[len(c.Args)-1], false, false); err == nil {
				all = append(all, x)
			}
		}
	}
	return all
}

// paths returns the paths that a matcher compares with.
func (m caddyMatcher) paths() (all []string) {
	if m.path != "" && m.path != "*" {
		all = append(all, m.path)
	}
	for _, c := range m.conditions {
		if c.Name == "path" {
			all = append(all, c.Args...)
		}
	}
	return all
}

// caddyOpenPath: docs/seam.md, caddy: the open route as it is written; B7.
func caddyOpenPath(s *caddySite, say say) {
	if !s.protects() {
		return
	}
	for _, e := range s.open() {
		for _, m := range e.matchers {
			if found := m.paths(); len(found) > 0 {
				say(m.Place, fmt.Sprintf("the open path %.60s is compared without letter case: what is another path to the backend is open too", found[0]),
					fmt.Sprintf("@open vars_regexp {http.request.uri} ^%s", strings.TrimRight(found[0], "*")))
			}
		}
	}
}

// caddyStrictPath: docs/seam.md, caddy: the strict route without a slash; B7.
func caddyStrictPath(s *caddySite, say say) {
	if !s.mixed() {
		return
	}
	for _, e := range s.guarded() {
		for _, m := range e.matchers {
			for _, path := range m.paths() {
				if strings.HasSuffix(path, "/*") && path != "/*" {
					bare := strings.TrimSuffix(path, "/*")
					say(m.Place, fmt.Sprintf("%.60s;x is not of this route, and is %.60s to some backends", bare, bare), bare+"*")
				}
			}
		}
	}
}

// caddyRest: docs/seam.md, caddy: the last check. Whoever means it says so with a matcher.
func caddyRest(s *caddySite, say say) {
	if !s.protects() {
		return
	}
	for _, e := range s.open() {
		conditional := slices.ContainsFunc(e.trail, func(s caddyStep) bool { return s.Name == "forward_auth" })
		if len(e.matchers) == 0 && !conditional {
			say(e.Place, "all that no route names is passed on unchecked", "a forward_auth before it; if everybody is meant, say it: reverse_proxy * ...")
		}
	}
}

// caddyTrusted: docs/seam.md, caddy: trust in nobody; B5.
func caddyTrusted(s *caddySite, say say) {
	if len(s.checks()) == 0 {
		return
	}
	for _, d := range s.nets {
		if everybody(d.Args) {
			say(d.Place, "everybody's X-Forwarded-* are believed: clients tell the gate what host and address they come with", "trusted_proxies static with the address of the proxy in front")
		}
	}
}
