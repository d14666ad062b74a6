package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// class is what stands before a route: its policy, or nothing.
func (r envoyRoute) class() string {
	if r.disabled {
		return ""
	}
	return "checked " + r.policy.String()
}

// weighted returns the clusters that a route chooses from by weight.
func (r envoyRoute) weighted() []*syntax.Node {
	return r.Get("route", "weighted_clusters", "clusters").List()
}

// leads returns the names of the clusters that a route leads to.
func (r envoyRoute) leads() []string {
	all := r.Get("route", "cluster").Strings()
	for _, c := range r.weighted() {
		all = append(all, c.Get("name").String())
	}
	return all
}

// believed says whether a route leads to a cluster that one behind the check leads to.
func (s *envoySite) believed(r envoyRoute) bool {
	return slices.ContainsFunc(r.leads(), func(name string) bool { return s.behind[name] })
}

// levels returns whatever can have settings for a filter: tables, hosts, routes and clusters by weight.
func (s *envoySite) levels() []*syntax.Node {
	all := append([]*syntax.Node{s.table}, s.hosts...)
	for _, r := range s.routes {
		all = append(append(all, r.Node, r.Get("route")), r.weighted()...)
	}
	return all
}

// hidden returns the filter in which a manager that asks nobody may have the check all the same: it is wrapped in
// another filter, or comes from elsewhere. Nil where there is none.
func hidden(manager *syntax.Node) *syntax.Node {
	for _, f := range manager.Get("http_filters").List() {
		if strings.Contains(strings.Join(f.Get("config_discovery", "type_urls").Strings(), " "), ".ExtAuthz") {
			return f
		}
		if typed := f.Get("typed_config"); !strings.HasSuffix(typed.Get("@type").String(), ".ExtAuthz") && holds(typed, ".ExtAuthz", 0) {
			return f
		}
	}
	return nil
}

// holds says whether a node of that type is anywhere below. Aliases make no circles, and what is deeper than any
// configuration is left.
func holds(n *syntax.Node, typed string, depth int) bool {
	if n == nil || depth > 32 {
		return false
	}
	if strings.HasSuffix(n.Get("@type").String(), typed) {
		return true
	}
	return slices.ContainsFunc(n.Entries, func(e syntax.Entry) bool { return holds(e.Value, typed, depth+1) }) ||
		slices.ContainsFunc(n.Items, func(item *syntax.Node) bool { return holds(item, typed, depth+1) })
}

// envoyCleaningOff: a route can turn off the filter that removes the client's identity headers (docs/seam.md, envoy:
// identity removed before the check; B1).
func envoyCleaningOff(s *envoySite, say say) {
	for _, level := range s.levels() {
		for _, e := range level.Get("typed_per_filter_config").Each() {
			if slices.Contains(s.cleaners, e.Key) && e.Value.Get("disabled").True() {
				say(e.Place, fmt.Sprintf("%.40s, which removes the client's identity headers, is off here", e.Key), "take it out")
			}
		}
	}
}

// envoyWeighted: the settings of a cluster by weight come after those of its route (docs/seam.md, envoy: ext_authz
// disabled on a route; B26).
func envoyWeighted(s *envoySite, say say) {
	for _, r := range s.ends() {
		for _, c := range r.weighted() {
			if per := s.perRoute(c); per.Get("disabled").True() && !r.disabled {
				say(per.At(), fmt.Sprintf("a part of the requests goes to %.40s unchecked", c.Get("name").String()), "take disabled out")
			}
		}
	}
}

// envoyUnapplied: settings are found by the name of the filter, letter by letter. Those of another name are of no
// filter, and Envoy takes them without a word (docs/seam.md, envoy: the policy of a route; B22).
func envoyUnapplied(s *envoySite, say say) {
	for _, level := range s.levels() {
		for _, e := range level.Get("typed_per_filter_config").Each() {
			if strings.HasSuffix(e.Value.Get("@type").String(), ".ExtAuthzPerRoute") && !slices.Contains(s.filters, e.Key) && s.perRoute(level) == nil {
				say(e.Place, fmt.Sprintf("no filter is called %.60s: what is said here of the check counts for nothing", e.Key), fmt.Sprintf("%.60s in its place, the name of the filter", s.filter.Get("name").String()))
			}
		}
	}
}

// envoyIdentityFromClient: what a route adds, and what a later filter sets, comes behind the check (docs/seam.md, B1).
func envoyIdentityFromClient(s *envoySite, say say) {
	added := slices.Clone(s.after)
	for _, level := range s.levels() {
		added = append(added, level.Get("request_headers_to_add").List()...)
		for _, e := range level.Get("typed_per_filter_config").Each() {
			for _, m := range e.Value.Get("mutations", "request_mutations").List() {
				added = append(added, m.Get("append"))
			}
		}
	}
	for _, a := range added {
		key, value := a.Get("header", "key"), a.Get("header", "value").String()
		known := slices.ContainsFunc(s.names.all(), func(n string) bool { return strings.EqualFold(n, key.String()) })
		if known && !strings.Contains(value, "ext_authz") {
			say(key.Place, fmt.Sprintf("%.40s is set to something that is not the gate's word (%.60s)", key.String(), value), "take it out: the check sets it")
		}
	}
}

// envoyBackend: a second listener leads around the check to the same cluster, with the client's identity headers
// (docs/doctor.md, What is judged; B1, B26).
func envoyBackend(s *envoySite, say say) {
	for _, bare := range s.bare {
		for _, r := range bare.ends() {
			for _, name := range s.names.all() {
				if s.believed(r) && !bare.removes(name) {
					say(r.At(), fmt.Sprintf("another listener asks the gate before %.40s, and this one does not: the client's own %s reaches it", strings.Join(r.leads(), ", "), name), "the filters of the other listener here too")
					break
				}
			}
		}
	}
}

var captured = regexp.MustCompile(`^/?\\1$`)

// envoyPrefixOff: /open/staff is open, and is /staff to the backend (docs/seam.md, B7).
func envoyPrefixOff(s *envoySite, say say) {
	for _, r := range s.ends() {
		to := r.Get("route", "prefix_rewrite")
		taken := to.String() == "/" && r.Get("match", "prefix").String() != "/"
		if taken = taken || captured.MatchString(r.Get("route", "regex_rewrite", "substitution").String()); taken && r.disabled && s.believed(r) {
			say(at(to, r.Node), "the open prefix is taken off: what stands behind it is any path of the backend, protected ones too", "no prefix_rewrite to a cluster that is behind the check")
		}
	}
}

// envoyOpenByClient: who sends the header is not asked for a token (docs/threats.md; B26). Beside a path it only
// narrows what is open.
func envoyOpenByClient(s *envoySite, say say) {
	for _, r := range s.ends() {
		match := r.Get("match")
		client := len(match.Get("query_parameters").List()) > 0 || slices.ContainsFunc(match.Get("headers").List(), func(h *syntax.Node) bool { return h.Get("name").String() != ":authority" })
		if r.disabled && client && match.Get("prefix").String() == "/" {
			say(match.At(), "who asks nobody here is chosen by what the client sends, on all paths", "a path in match, or the check on this route")
		}
	}
}

// envoyShadowed: the first route that matches counts (B26).
func envoyShadowed(s *envoySite, say say) {
	before := map[*syntax.Node]*syntax.Node{}
	for _, r := range s.ends() {
		match := r.Get("match")
		if first := before[r.host]; first != nil && !r.disabled {
			say(first.At(), fmt.Sprintf("this open route takes all requests of the route of line %d, which is protected", r.Line), "the narrower routes first, and no disabled on the last")
			delete(before, r.host)
		}
		if r.disabled && match.Get("prefix").String() == "/" && len(match.Each()) == 1 {
			before[r.host] = match
		}
	}
}

// envoyStrict: what follows a path after a semicolon is a parameter to some backends (docs/seam.md, caddy: the strict
// route without a slash; B7).
func envoyStrict(s *envoySite, say say) {
	var rest []envoyRoute
	for _, r := range s.routes {
		if r.Get("match", "prefix").String() == "/" {
			rest = append(rest, r)
		}
	}
	refused := map[*syntax.Node]refusal{}
	for _, host := range s.hosts {
		refused[host] = refusedBy(host)
	}
	for _, r := range s.routes {
		match := r.Get("match")
		path := match.Get("path").String() + match.Get("path_separated_prefix").String()
		if p := match.Get("prefix").String(); strings.HasSuffix(p, "/") {
			path = strings.TrimSuffix(p, "/")
		}
		if path == "" || path == "/" || r.disabled || r.Get("route") == nil || refused[r.host].misses([]string{path + ";x"}) == "" {
			continue
		}
		for _, other := range rest {
			same := slices.ContainsFunc(r.leads(), func(name string) bool { return slices.Contains(other.leads(), name) })
			if other.host == r.host && same && other.class() != r.class() {
				say(match.At(), fmt.Sprintf("%.60s;x is of a later route with another policy, and is %.60s to some backends", path, path), fmt.Sprintf("match: {prefix: %.60s}", path))
				break
			}
		}
	}
}
