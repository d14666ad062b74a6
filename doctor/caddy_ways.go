package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// protects says whether the site asks the gate, on some way or on all.
func (s *caddySite) protects() bool { return len(s.checks()) > 0 }

// conditional returns the check of an end that a part of its requests passes, nil where all do or none.
func (e *caddyEnd) conditional() *caddyStep {
	if e.check() != nil {
		return nil
	}
	for i, s := range e.trail {
		if s.Name == "forward_auth" && endpoint.MatchString(s.First("uri").Arg(0)) {
			return &e.trail[i]
		}
	}
	return nil
}

// backends returns the addresses that a reverse_proxy passes requests on to.
func backends(d *syntax.Directive) (all []string) {
	addresses := newStep(d, nil).args
	for _, to := range d.Named("to") {
		addresses = append(slices.Clone(addresses), to.Args...)
	}
	for _, a := range addresses {
		all = append(all, address(a))
	}
	return all
}

// caddyBelieved returns the addresses of the backends behind a check.
func caddyBelieved(sites []*caddySite) map[string]bool {
	all := map[string]bool{}
	for _, s := range sites {
		for _, e := range s.guarded() {
			for _, a := range backends(e.Directive) {
				all[a] = true
			}
		}
	}
	return all
}

// believed says whether an end leads to the backend of one behind a check, on any site.
func (s *caddySite) believed(d *syntax.Directive) bool {
	return slices.ContainsFunc(backends(d), func(a string) bool { return s.behind[a] })
}

// caddyConditional: what the matcher leaves out is open, and Caddy cleans the path and ignores letter case to find out
// (docs/seam.md, caddy: the open route as it is written; B7).
func caddyConditional(s *caddySite, say say) {
	told := map[syntax.Place]bool{}
	for _, e := range s.ends {
		c := e.conditional()
		if c == nil || c.matcher.asWritten() || told[c.Place] {
			continue
		}
		told[c.Place] = true
		say(c.Place, "requests that the matcher leaves out are not checked, and it compares paths that are others to the backend", "a route of its own for what is open, or a matcher of not vars_regexp {http.request.uri} ^/open/")
	}
}

// asWritten says whether a matcher leaves out what begins with a path as it came, and nothing else.
func (m *caddyMatcher) asWritten() bool {
	return len(m.conditions) > 0 && !slices.ContainsFunc(m.conditions, func(c *syntax.Directive) bool {
		return c.Name != "not" || c.Arg(0) != "vars_regexp" || !strings.HasPrefix(c.Arg(len(c.Args)-1), "^/")
	})
}

// caddyErrors: a gate that is down is an error, and handle_errors has no check before it (docs/seam.md, B12).
func caddyErrors(s *caddySite, say say) {
	for _, d := range s.errors {
		if s.protects() && s.believed(d) {
			say(d.Place, "while the gate is down or slow everybody is passed on here, unchecked", "respond or file_server in handle_errors")
		}
	}
}

// answering are the directives that end a request.
var answering = []string{"redir", "respond", "error", "abort", "copy_response"}

// caddyResponse: a handle_response that answers nothing lets the request go on, as that of forward_auth does on 2xx
// (proxies.md 1.4).
func caddyResponse(s *caddySite, say say) {
	for _, c := range s.checks() {
		for _, h := range c.Named("handle_response") {
			ends := slices.ContainsFunc(h.Block, func(d *syntax.Directive) bool { return slices.Contains(answering, d.Name) && newStep(d, nil).always() })
			if !ends || len(everywhere(h, "reverse_proxy")) > 0 {
				say(h.Place, "a refusal of the gate goes on to the backend", "redir, respond or copy_response in it, or no handle_response")
			}
		}
	}
}

var fromHeader = regexp.MustCompile(`\{(http\.request\.)?(header|cookie|query|uri\.query)\b`)

// caddyCheckFromClient: header_up has the last word about what the gate is told (docs/seam.md, B4, B5).
func caddyCheckFromClient(s *caddySite, say say) {
	for _, c := range s.checks() {
		for _, d := range c.Named("header_up") {
			name := strings.ToLower(strings.TrimLeft(d.Arg(0), "+-?>"))
			switch value := d.Arg(1); {
			case strings.HasPrefix(name, "x-forwarded-") && fromHeader.MatchString(value):
				say(d.Place, fmt.Sprintf("the gate is told %.40s as the client likes", name), "take the line out: forward_auth writes it")
			case name == "authorization" && value != "" && !strings.Contains(value, "{"):
				say(d.Place, "the check shows a token of its own: everybody is let in by it", "take the line out: Authorization is passed on")
			}
		}
	}
}

// caddyIdentityFromClient: header_up of the backend comes behind the check, and has the last word (docs/seam.md, B1).
func caddyIdentityFromClient(s *caddySite, say say) {
	for _, e := range s.ends {
		for _, d := range e.Named("header_up") {
			name, value := strings.TrimLeft(d.Arg(0), "+-?>"), d.Arg(1)
			known := slices.ContainsFunc(s.names.all(), func(n string) bool { return strings.EqualFold(n, name) })
			same := strings.EqualFold(value, "{header."+name+"}") || strings.EqualFold(value, "{http.request.header."+name+"}")
			if s.protects() && known && value != "" && !same {
				say(d.Place, fmt.Sprintf("%s is set to something that is not the gate's word (%.60s)", name, value), "take the line out: copy_headers sets it")
			}
		}
	}
}

// caddyReordered: what comes first is judged by Caddy's own order.
func caddyReordered(s *caddySite, say say) {
	for _, d := range s.orders {
		if _, known := caddyOrder[d.Arg(0)]; known && s.protects() {
			say(d.Place, fmt.Sprintf("%.40s is sorted in another order than Caddy's, and what comes before the check is not judged", d.Arg(0)), "route { ... } in the order that is meant")
		}
	}
}

// caddyBackend: a second site leads around the check to the same backend, with the client's identity headers
// (docs/doctor.md, What is judged; B1, B26).
func caddyBackend(s *caddySite, say say) {
	if s.protects() {
		return
	}
	for _, e := range s.ends {
		for _, name := range s.names.all() {
			if !e.gone(name) && s.believed(e.Directive) {
				say(e.Place, fmt.Sprintf("another site asks the gate for this backend, and this one does not: the client's own %s reaches it", name), "forward_auth before it, or request_header -"+name)
				break
			}
		}
	}
}

// caddyPrefixOff: /open/staff is open, and is /staff to the backend (docs/seam.md, B7).
func caddyPrefixOff(s *caddySite, say say) {
	for _, e := range s.open() {
		strips := slices.ContainsFunc(e.trail, func(t caddyStep) bool {
			return t.Name == "handle_path" || t.Name == "uri" && len(t.args) > 0 && t.args[0] == "strip_prefix"
		})
		if strips && s.protects() && s.believed(e.Directive) {
			say(e.Place, "the open prefix is taken off: what stands behind it is any path of the backend, protected ones too", "handle in place of handle_path, and no uri strip_prefix")
		}
	}
}

// byClientAlone says whether a matcher is met by whoever sends a header, a query or OPTIONS, on any path.
func (m caddyMatcher) byClientAlone() bool {
	return m.path == "" && len(m.conditions) > 0 && !slices.ContainsFunc(m.conditions, func(c *syntax.Directive) bool {
		words := append([]string{c.Name}, c.Args...)
		if words[0] == "not" && len(words) > 1 {
			words = words[1:]
		}
		return !slices.Contains([]string{"header", "header_regexp", "query"}, words[0]) && (words[0] != "method" || !slices.Contains(words, "OPTIONS") && !slices.Contains(words, "HEAD"))
	})
}

// caddyOpenByClient: who sends the header is not asked for a token (docs/threats.md; B26).
func caddyOpenByClient(s *caddySite, say say) {
	for _, e := range s.open() {
		if s.protects() && len(e.matchers) > 0 && !slices.ContainsFunc(e.matchers, func(m caddyMatcher) bool { return !m.byClientAlone() }) {
			say(e.matchers[0].Place, "who asks nobody here is chosen by what the client sends, on all paths", "a path in the matcher as well, or a forward_auth before it")
		}
	}
}

// ofOperator are placeholders that the operator's environment fills in.
var ofOperator = regexp.MustCompile(`\{(\$|env\.)[^{}]*\}`)
