package doctor

import (
	"fmt"
	"regexp"
	"strings"
)

var traefikRules = []rule[*traefikSite]{
	{"traefik-aliases", "an entry point without `aliasHeadersStrategy: delete`: Remote_User, Remote~User and twelve more pass on open routes", traefikAliases},
	{"traefik-identity-kept", "a forwardAuth that does not remove each identity header, or not its aliases where the entry point keeps them", traefikIdentityKept},
	{"traefik-identity-on-open", "an open router beside protected ones that does not empty each identity header", traefikIdentityOnOpen},
	{"traefik-forwarded-insecure", "an entry point that believes everybody's X-Forwarded-*", traefikForwarded},
	{"traefik-proxy-protocol", "an entry point that believes everybody's PROXY line", traefikProxyProtocol},
	{"traefik-check-endpoint", "a forwardAuth at the endpoint of another proxy, which reads headers that Traefik does not write", traefikEndpoint},
	{"traefik-unknown-middleware", "a router with a middleware that is in no file: Traefik leaves the router out, and the next one takes its requests", traefikUnknown},
	{"traefik-check-unused", "a forwardAuth that no router names: the router that it was written for has another policy, or none", traefikUnused},
	{"traefik-check-no-authorization", "authRequestHeaders without Authorization: nobody gets in", traefikNoAuthorization},
	{"traefik-encoded-characters", "an entry point that lets encoded slashes, dots' escapes and their like through", traefikEncoded},
	{"traefik-entry-points-not-read", "dynamic files without the static configuration: what the entry points let through is not judged", traefikUnread},
	{"traefik-middleware-not-read", "a router with a middleware of another provider and no check that is read", traefikNotRead},
	{"traefik-providers-not-read", "a provider whose routers are in no file, where the entry points do not check", traefikProviders},
	{"traefik-open-by-client", "a router without a check that is chosen by a header, the query or OPTIONS, on all paths", traefikOpenByClient},
	{"traefik-open-prefix-off", "an open router that takes its prefix off on the way to a protected backend: `/open/staff` is `/staff` there", traefikPrefixOff},
	{"traefik-shadowed", "a router without a check that comes before a protected one and takes all its requests", traefikShadowed},
	{"traefik-strict-path", "a router of another check that is for one path, or ends in a slash: `/staff;x` is not of it", traefikStrict},
	{"traefik-tcp-unchecked", "a router of TCP to a backend that is behind the gate", traefikTCP},
	{"traefik-check-headers", "a middleware before the check that tells the gate of another request", traefikCheckHeaders},
	{"traefik-dot-segment", "routers of different demands side by side without a refusal of `/..;`", traefikDotSegment},
}

// traefikAliases: underscoreHeadersStrategy handles the underscore alone (docs/seam.md, traefik: aliases on
// open routes, underscoreHeadersStrategy instead of aliasHeadersStrategy; CVE-2026-88011; B2, B3).
func traefikAliases(s *traefikSite, say say) {
	if !s.protects() {
		return
	}
	for _, e := range s.entries {
		if !e.dropsAliases() && s.uses(e) {
			say(e.Place, fmt.Sprintf("Remote~User, and more that many backends take for an identity header, pass the entry point %.40s", e.Key), "http: {aliasHeadersStrategy: delete}")
		}
	}
}

// uses says whether a router of HTTP may be at an entry point.
func (s *traefikSite) uses(e traefikEntry) bool {
	for _, r := range s.routers {
		for _, at := range s.ofRouter(r) {
			if at.Key == e.Key && !r.answers() {
				return true
			}
		}
	}
	return len(s.routers) == 0 && e.Key != internalEntry
}

// traefikIdentityKept: Traefik removes from the request what authResponseHeaders or its expression names, and
// nothing else (docs/seam.md, traefik: the client's own name, authResponseHeaders and aliases kept; B1, B3).
func traefikIdentityKept(s *traefikSite, say say) {
	const fix = "authResponseHeadersRegex: "
	clean := len(s.entries) > 0
	for _, e := range s.entries {
		clean = clean && (e.dropsAliases() || !s.uses(e))
	}
	for _, w := range s.forwards() {
		for _, name := range s.names.all() {
			if !takes(w.forward(), name) {
				say(w.Place, fmt.Sprintf("the client's own %s reaches the backend: %.40s does not remove it", name, w.Key), fix+s.names.expression())
				continue
			}
			for _, alias := range aliases(name) {
				if !clean && alias != name && !takes(w.forward(), alias) {
					say(w.Place, fmt.Sprintf("the client's %s reaches the backend, which may take it for %s", alias, name), fix+s.names.expression()+", or aliasHeadersStrategy: delete at every entry point")
					break
				}
			}
		}
	}
}

// traefikIdentityOnOpen: a router is open unless it says otherwise, and an open one passes everything on
// (docs/seam.md, traefik: identity stripped on open routers, a router without a middleware; B1).
func traefikIdentityOnOpen(s *traefikSite, say say) {
	if len(s.backed(false)) == 0 {
		return
	}
	for _, r := range s.backed(true) {
		for _, name := range s.names.all() {
			if !r.empties(name) {
				say(r.Place, fmt.Sprintf("the router %.40s asks nobody, and the client's own %s reaches its backend", r.Key, name),
					fmt.Sprintf("a forwardAuth in middlewares, or one with headers: {customRequestHeaders: {%s: \"\"}}", name))
			}
		}
	}
}

func (r *traefikRouter) empties(name string) bool {
	for _, w := range r.chain {
		for _, e := range w.Value.Get("headers", "customRequestHeaders").Each() {
			if strings.EqualFold(e.Key, name) && e.Value.String() == "" {
				return true
			}
		}
	}
	return false
}

// traefikForwarded: then the gate believes the client's method, host and path, and with trustForwardHeader:
// false the backend does (docs/seam.md, traefik: an entry point that trusts everybody, and the three that follow; B5).
func traefikForwarded(s *traefikSite, say say) {
	for _, e := range s.entries {
		f := e.Value.Get("forwardedHeaders")
		if f.Get("insecure").True() || everybody(f.Get("trustedIPs").Strings()) {
			say(f.At(), fmt.Sprintf("the entry point %.40s believes everybody's X-Forwarded-*: gate and backend are told what the client likes", e.Key),
				"take forwardedHeaders out; behind another proxy: forwardedHeaders: {trustedIPs: [its address]}")
		}
	}
}

// traefikProxyProtocol: the same with the address of the client (proxies.md, section 5; B5).
func traefikProxyProtocol(s *traefikSite, say say) {
	for _, e := range s.entries {
		p := e.Value.Get("proxyProtocol")
		if p.Get("insecure").True() || everybody(p.Get("trustedIPs").Strings()) {
			say(p.At(), fmt.Sprintf("the entry point %.40s believes everybody's PROXY line: clients choose their address", e.Key), "proxyProtocol: {trustedIPs: [the address of the proxy in front]}")
		}
	}
}

// traefikEndpoint: Traefik neither writes nor removes X-Original-URL (docs/seam.md, traefik: the endpoint of
// another proxy; B4).
func traefikEndpoint(s *traefikSite, say say) {
	for _, w := range s.forwards() {
		address := w.forward().Get("address")
		if found := endpoint.FindStringSubmatch(address.String()); found[1] != "traefik" {
			say(address.At(), fmt.Sprintf("/auth/%s reads headers that Traefik does not write, so the client does", found[1]), "address: .../auth/traefik?policy=...")
		}
	}
}

// traefikUnknown: docs/seam.md, traefik: a misspelt middleware on the staff router; B22. What another provider
// has is not judged.
func traefikUnknown(s *traefikSite, say say) {
	for _, r := range s.routers {
		for _, ware := range r.missing {
			say(ware.At(), fmt.Sprintf("no file has the middleware %.40s: Traefik leaves the router %.40s out, and another one takes its requests", ware.String(), r.Key), "the name of a middleware that is there")
		}
	}
}

// traefikUnused: docs/seam.md, traefik: the policy of a router; B22.
func traefikUnused(s *traefikSite, say say) {
	for _, w := range s.forwards() {
		if !w.used && len(s.routers) > 0 {
			say(w.Place, fmt.Sprintf("no router names %.40s: what it should protect has another policy, or none", w.Key), fmt.Sprintf("middlewares: [%.40s] at the router that it is for, or take it out", w.Key))
		}
	}
}

// traefikNoAuthorization: docs/seam.md, traefik: authRequestHeaders without Authorization.
func traefikNoAuthorization(s *traefikSite, say say) {
	for _, w := range s.forwards() {
		listed := w.forward().Get("authRequestHeaders")
		shown := len(listed.Strings()) == 0
		for _, name := range listed.Strings() {
			shown = shown || strings.EqualFold(name, "Authorization")
		}
		if !shown {
			say(listed.At(), "the gate is not shown the token, so nobody gets in", "Authorization in authRequestHeaders, or take the list out")
		}
	}
}

// traefikEncodings are the options of an entry point, all of which are on by default since 3.6.7.
var traefikEncodings = []string{"Slash", "BackSlash", "NullCharacter", "Semicolon", "Percent", "QuestionMark", "Hash"}

// traefikEncoded: /open/..%2fx matches the open router and is /x to the backend (docs/seam.md, traefik: encoded
// slash and the three that follow; B7).
func traefikEncoded(s *traefikSite, say say) {
	if !s.protects() || !s.mixed() {
		return
	}
	for _, e := range s.entries {
		options := e.Value.Get("http", "encodedCharacters")
		for _, name := range traefikEncodings {
			if key := "allowEncoded" + name; s.uses(e) && !strings.EqualFold(options.Get(key).String(), "false") {
				say(e.Place, fmt.Sprintf("the entry point %.40s lets paths through that are one thing to Traefik and another to the backend", e.Key),
					fmt.Sprintf("http: {encodedCharacters: {%s: false}}", key))
			}
		}
	}
}

var (
	onlyPath = regexp.MustCompile("^PathRegexp\\(`([^`]*)`\\)$")
	notPath  = regexp.MustCompile("!\\s*PathRegexp\\(`([^`]*)`\\)")
)

// traefikDotSegment: /open/..;/x matches the open prefix, and is /x to some backends (docs/seam.md, traefik: a
// dot segment with a parameter; B7).
func traefikDotSegment(s *traefikSite, say say) {
	if len(s.routers) == 0 || !s.protects() || !s.mixed() {
		return
	}
	for _, r := range append(s.backed(true), s.backed(false)...) {
		if missed := s.refusedBefore(r).misses(dotParameters); missed != "" {
			say(r.Place, fmt.Sprintf("%s comes to the router %.40s, and is another path to some backends", missed, r.Key),
				"a router with rule: PathRegexp(`/(\\.{1,2})?;`), service: noop@internal and a priority above all others")
		}
	}
}

// refusedBefore returns the expressions of paths that do not come to a router: those that its own rule
// excludes, and those of routers before it that Traefik itself answers.
func (s *traefikSite) refusedBefore(r *traefikRouter) (all refusal) {
	add := func(text string) {
		if e, err := regexp.Compile(text); err == nil {
			all = append(all, e)
		}
	}
	for _, found := range notPath.FindAllStringSubmatch(r.rule, -1) {
		if !strings.Contains(r.rule, "||") {
			add(found[1])
		}
	}
	for _, other := range s.routers {
		if found := onlyPath.FindStringSubmatch(strings.TrimSpace(other.rule)); found != nil && other.answers() && other.priority > r.priority {
			add(found[1])
		}
	}
	return all
}

// traefikUnread: what is not read is not proved. Aliases, encoded paths and forged X-Forwarded-* are stopped at the
// entry point or nowhere.
func traefikUnread(s *traefikSite, say say) {
	if asked := s.forwards(); len(asked) > 0 && len(s.entries) == 0 && !s.manifests {
		say(asked[0].Place, "the entry points are in none of the files, and what they let through is not judged", "the static configuration (traefik.yaml) as one of the files")
	}
}
