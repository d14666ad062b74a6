package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// backends returns where a router leads: the addresses of its service's servers, else the service's name.
func (s *traefikSite) backends(r *traefikRouter) []string {
	name, _, _ := strings.Cut(r.service, "@")
	if urls := s.services[name]; len(urls) > 0 {
		return urls
	}
	return []string{name}
}

// together says whether two routers lead to the same backend.
func (s *traefikSite) together(a, b *traefikRouter) bool {
	return slices.ContainsFunc(s.backends(a), func(url string) bool { return slices.Contains(s.backends(b), url) })
}

// address is the host and port of a server.
func address(url string) string {
	if _, rest, found := strings.Cut(url, "://"); found {
		url = rest
	}
	host, _, _ := strings.Cut(url, "/")
	return host
}

var (
	byPath   = regexp.MustCompile("Path(Prefix|Regexp)?\\(`([^`]*)`\\)")
	byClient = regexp.MustCompile("(Headers?|HeadersRegexp|HeaderRegexp|Query|QueryRegexp)\\(|Method\\(`(OPTIONS|HEAD|TRACE)`")
	byHost   = regexp.MustCompile(`Host(SNI|Regexp)?\([^)]*\)`)
)

// traefikOpenByClient: who writes the header is not asked for a token, on any path. Beside a path it only narrows what
// is open (docs/threats.md; B26).
func traefikOpenByClient(s *traefikSite, say say) {
	if len(s.backed(false)) == 0 {
		return
	}
	for _, r := range s.backed(true) {
		if byClient.MatchString(r.rule) && !byPath.MatchString(r.rule) {
			say(r.Place, fmt.Sprintf("the router %.40s asks nobody, and is chosen by what the client sends, on all paths", r.Key), "a path in its rule, or a forwardAuth in middlewares")
		}
	}
}

// traefikNotRead: a middleware of another provider may be the check, or not.
func traefikNotRead(s *traefikSite, say say) {
	for _, r := range s.routers {
		if r.unknown && r.gate() == nil && !r.answers() && s.protects() {
			say(r.Place, fmt.Sprintf("the router %.40s has a middleware of another provider and no check that is read: whether it asks the gate is not judged", r.Key), "its middlewares in a file, or the check at the entry point")
		}
	}
}

// traefikProviders: Docker and its like bring routers along, by default one for each container, with no middleware
// but those of the entry point.
func traefikProviders(s *traefikSite, say say) {
	guarded := len(s.entries) > 0
	for _, e := range s.entries {
		asks := slices.ContainsFunc(e.wares, func(name string) bool {
			name, _, _ = strings.Cut(name, "@")
			w := s.wares[name]
			return w != nil && endpoint.MatchString(w.forward().Get("address").String())
		})
		guarded = guarded && (asks || e.Key == internalEntry || e.Value.Get("http", "redirections") != nil)
	}
	for _, p := range s.providers {
		if s.protects() && !guarded {
			say(p.Place, fmt.Sprintf("the routers that %.40s brings along are not judged, and have no check of the entry point", p.Key), "http: {middlewares: [the check@file]} at every entry point, or the file provider alone")
		}
	}
}

// traefikPrefixOff: /open/staff is open, and is /staff to the backend (docs/seam.md, B7).
func traefikPrefixOff(s *traefikSite, say say) {
	for _, r := range s.backed(true) {
		strips := slices.ContainsFunc(r.chain, func(w *traefikWare) bool {
			replaced := w.Value.Get("replacePathRegex", "replacement").String()
			return w.Value.Get("stripPrefix") != nil || w.Value.Get("stripPrefixRegex") != nil || strings.HasPrefix(replaced, "/$") || strings.HasPrefix(replaced, "$")
		})
		believed := slices.ContainsFunc(s.backed(false), func(other *traefikRouter) bool { return s.together(r, other) })
		if strips && believed {
			say(r.Place, fmt.Sprintf("the open router %.40s takes its prefix off: what stands behind it is any path of the backend, protected ones too", r.Key), "no stripPrefix on a router to this service, or a service of its own")
		}
	}
}

// traefikStrict: what follows a path after a semicolon is a parameter to some backends (docs/seam.md, caddy: the
// strict route without a slash; B7).
func traefikStrict(s *traefikSite, say say) {
	var rest []*traefikRouter
	for _, r := range append(s.backed(true), s.backed(false)...) {
		if found := byPath.FindStringSubmatch(r.rule); found == nil || found[2] == "/" {
			rest = append(rest, r)
		}
	}
	for _, r := range s.backed(false) {
		found := byPath.FindStringSubmatch(r.rule)
		if found == nil || found[1] == "Regexp" || found[1] == "Prefix" && !strings.HasSuffix(found[2], "/") {
			continue
		}
		bare := strings.TrimRight(found[2], "/")
		if bare == "" || strings.Contains(r.rule, "PathPrefix(`"+bare+"`)") {
			continue
		}
		class, _ := r.class()
		for _, other := range rest {
			theirs, _ := other.class()
			if theirs != class && s.together(r, other) && other.ofHosts(r) {
				say(r.Place, fmt.Sprintf("%.60s;x is of the router %.40s, and is %.60s to some backends", bare, other.Key, bare), fmt.Sprintf("PathPrefix(`%.60s`)", bare))
				break
			}
		}
	}
}

// ofHosts says whether a router is for all hosts of another one.
func (r *traefikRouter) ofHosts(other *traefikRouter) bool {
	hosts := strings.Join(byHost.FindAllString(r.rule, -1), "")
	return (hosts == "" || hosts == strings.Join(byHost.FindAllString(other.rule, -1), ""))
}

// everyPath is a rule of hosts alone, once they are taken out.
var everyPath = regexp.MustCompile("^[\\s&|]*(PathPrefix\\(`/`\\))?[\\s&|]*$")

// traefikShadowed: of two routers for all paths of a host the one of the higher priority has them all, by default that
// of the longer rule (B26).
func traefikShadowed(s *traefikSite, say say) {
	for _, r := range s.backed(true) {
		if !everyPath.MatchString(byHost.ReplaceAllString(r.rule, "")) {
			continue
		}
		for _, other := range s.backed(false) {
			apart := len(r.at) > 0 && len(other.at) > 0 && !overlap(r.at, other.at)
			if r.priority > other.priority && !apart && r.ofHosts(other) {
				say(r.Place, fmt.Sprintf("the router %.40s, which asks nobody, comes before %.40s and takes all its requests", r.Key, other.Key), fmt.Sprintf("a priority below %d, or a forwardAuth", other.priority))
				break
			}
		}
	}
}

// traefikTCP: a router of TCP is chosen before all of HTTP, and nothing looks into what it passes on.
func traefikTCP(s *traefikSite, say say) {
	for _, tcp := range s.tcp {
		for _, r := range s.backed(false) {
			if slices.ContainsFunc(s.backends(r), func(url string) bool { return slices.Contains(tcp.addresses, address(url)) }) {
				say(tcp.Place, fmt.Sprintf("the router %.40s of TCP leads to the backend of %.40s, without a check", tcp.Key, r.Key), "a router of HTTP with the forwardAuth")
				break
			}
		}
	}
}

// shown are headers that tell the gate of the request.
var shown = []string{"Authorization", "X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-For"}

// traefikCheckHeaders: a header that is set before the check is what the gate is told.
func traefikCheckHeaders(s *traefikSite, say say) {
	for _, r := range s.routers {
		for _, w := range r.chain {
			if w.forward() != nil {
				break
			}
			for _, e := range w.Value.Get("headers", "customRequestHeaders").Each() {
				if r.gate() != nil && e.Value.String() != "" && slices.ContainsFunc(shown, func(name string) bool { return strings.EqualFold(name, e.Key) }) {
					say(e.Place, fmt.Sprintf("the gate is told %.40s of the configuration, and not that of the request", e.Key), "take it out, or put the middleware behind the forwardAuth")
				}
			}
		}
	}
}
