package doctor

import (
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// envoySite is one HTTP connection manager with a filter that asks the gate.
type envoySite struct {
	names   Names
	manager *syntax.Node
	authz   *syntax.Node   // the filter's configuration
	filter  *syntax.Node   // the filter with its name
	before  []*syntax.Node // mutations of headers that come before it
	hosts   []*syntax.Node
	routes  []envoyRoute
	unread  bool // the routes come from elsewhere, and are not in the files

	table    *syntax.Node
	filters  []string        // names of all filters
	cleaners []string        // names of the filters whose mutations come before it
	after    []*syntax.Node  // headers that later filters set
	bare     []*envoySite    // connection managers that ask nobody
	behind   map[string]bool // clusters behind the check
}

// envoyRoute is a route with what its levels say about the check.
type envoyRoute struct {
	*syntax.Node
	host     *syntax.Node
	disabled bool
	policy   *syntax.Node // over gRPC the policy, over HTTP the prefix, of the nearest level that has one
	own      bool         // that level is the route, or its host
}

// envoySites returns the connection managers of all files that ask the gate, wherever they stand: in a
// bootstrap, in a resource, in a dump of a running Envoy. It tells notRead of a check that it cannot judge.
func envoySites(files []*syntax.Node, n Names, notRead func(at syntax.Place)) []*envoySite {
	w := &envoyWalk{seen: map[*syntax.Node]bool{}}
	for _, f := range files {
		w.walk(f)
	}
	var all, bare []*envoySite
	for _, m := range w.managers {
		switch s := newEnvoy(m, w.tables, n); {
		case s.authz != nil:
			all = append(all, s)
		case hidden(m) != nil:
			notRead(hidden(m).At())
		default:
			bare = append(bare, s)
		}
	}
	for _, s := range all {
		s.bare, s.behind = bare, map[string]bool{}
		for _, r := range s.ends() {
			for _, name := range r.leads() {
				s.behind[name] = s.behind[name] || !r.disabled
			}
		}
	}
	return all
}

// envoyWalk collects by type. An alias shares its nodes, so each is visited once.
type envoyWalk struct {
	seen             map[*syntax.Node]bool
	managers, tables []*syntax.Node
}

func (w *envoyWalk) walk(n *syntax.Node) {
	if n == nil || w.seen[n] {
		return
	}
	w.seen[n] = true
	switch typed := n.Get("@type").String(); {
	case strings.HasSuffix(typed, ".HttpConnectionManager"):
		w.managers = append(w.managers, n)
	case strings.HasSuffix(typed, ".RouteConfiguration"):
		w.tables = append(w.tables, n)
	}
	for _, e := range n.Entries {
		w.walk(e.Value)
	}
	for _, item := range n.Items {
		w.walk(item)
	}
}

func newEnvoy(manager *syntax.Node, tables []*syntax.Node, n Names) *envoySite {
	s := &envoySite{names: n, manager: manager}
	for _, e := range manager.Get("early_header_mutation_extensions").List() {
		s.before = append(s.before, e.Get("typed_config", "mutations").List()...)
	}
	for _, f := range manager.Get("http_filters").List() {
		s.add(f)
	}
	table := manager.Get("route_config")
	if name := manager.Get("rds", "route_config_name").String(); table == nil {
		for _, t := range tables {
			if t.Get("name").String() == name {
				table = t
			}
		}
	}
	s.table = table
	s.unread = table == nil || table.Get("vhds") != nil
	s.hosts = table.Get("virtual_hosts").List()
	for _, host := range s.hosts {
		s.unread = s.unread || host.Get("matcher") != nil
		for _, route := range host.Get("routes").List() {
			s.routes = append(s.routes, s.route(table, host, route))
		}
	}
	return s
}

// add notes a filter. A check of somebody else's is none, and a filter that is off removes nothing.
func (s *envoySite) add(f *syntax.Node) {
	name, config := f.Get("name").String(), f.Get("typed_config")
	s.filters = append(s.filters, name)
	switch typed := config.Get("@type").String(); {
	case strings.HasSuffix(typed, ".HeaderMutation"):
		mutations := config.Get("mutations", "request_mutations").List()
		if s.authz == nil && !f.Get("disabled").True() {
			s.before, s.cleaners = append(s.before, mutations...), append(s.cleaners, name)
		}
		for _, m := range mutations {
			s.after = append(s.after, m.Get("append"))
		}
	case s.authz == nil && strings.HasSuffix(typed, ".ExtAuthz"):
		if prefix := config.Get("http_service", "path_prefix").String(); config.Get("http_service") == nil || strings.Contains(prefix, "/auth/") {
			s.authz, s.filter = config, f
		}
	}
}

func (s *envoySite) overHTTP() bool { return s.authz.Get("http_service") != nil }

// route applies what table, host and route say, the nearer ones last.
func (s *envoySite) route(table, host, route *syntax.Node) envoyRoute {
	r := envoyRoute{Node: route, host: host, disabled: s.filter.Get("disabled").True()}
	if s.overHTTP() {
		r.policy = s.authz.Get("http_service", "path_prefix")
	}
	for _, level := range []*syntax.Node{table, host, route} {
		per := s.perRoute(level)
		if per == nil {
			continue
		}
		settings := per.Get("check_settings")
		if per.Get("disabled") != nil || settings != nil {
			r.disabled = per.Get("disabled").True()
		}
		policy := settings.Get("http_service", "path_prefix")
		if !s.overHTTP() {
			policy = contextPolicy(settings)
		}
		if policy != nil {
			r.policy, r.own = policy, true
		}
	}
	return r
}

// contextPolicy is the member policy of the context. Its key is compared letter by letter: it is no field of
// Envoy's, and the gate compares it so.
func contextPolicy(settings *syntax.Node) *syntax.Node {
	for _, e := range settings.Get("context_extensions").Each() {
		if e.Key == "policy" {
			return e.Value
		}
	}
	return nil
}

// perRoute returns what a level says about the filter, nil where it says nothing.
func (s *envoySite) perRoute(level *syntax.Node) *syntax.Node {
	for _, e := range level.Get("typed_per_filter_config").Each() {
		v := e.Value
		if e.Key != s.filter.Get("name").String() {
			continue
		}
		if strings.HasSuffix(v.Get("@type").String(), ".FilterConfig") {
			if v.Get("disabled").True() {
				return v
			}
			v = v.Get("config")
		}
		if strings.HasSuffix(v.Get("@type").String(), ".ExtAuthzPerRoute") {
			return v
		}
	}
	return nil
}

// ends are the routes that lead to a backend.
func (s *envoySite) ends() []envoyRoute {
	return slices.DeleteFunc(slices.Clone(s.routes), func(r envoyRoute) bool { return r.Get("route") == nil })
}

// mixed says whether routes of different demands stand side by side, as far as the files show.
func (s *envoySite) mixed() bool {
	classes := map[string]bool{}
	for _, r := range s.ends() {
		classes[r.class()] = true
	}
	return len(classes) > 1 || s.unread
}

// services are the descriptions of the gate over HTTP: the filter's, and those of levels that have their own.
func (s *envoySite) services() (all []*syntax.Node) {
	add := func(n *syntax.Node) {
		if n != nil && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	add(s.authz.Get("http_service"))
	for _, host := range s.hosts {
		add(s.perRoute(host).Get("check_settings", "http_service"))
	}
	for _, r := range s.routes {
		add(s.perRoute(r.Node).Get("check_settings", "http_service"))
	}
	return all
}

// removes says whether a header is gone before the check, and never comes back with the client's value.
func (s *envoySite) removes(name string) bool {
	for _, m := range s.before {
		if strings.EqualFold(m.Get("remove").String(), name) || matches(m.Get("remove_on_match", "key_matcher"), strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// matches applies one of Envoy's matchers of strings to a text in small letters, as Envoy has the names of headers.
// What is not known matches nothing.
func matches(m *syntax.Node, text string) bool {
	for _, e := range m.Each() {
		pattern := e.Value.String()
		if m.Get("ignore_case").True() {
			pattern = strings.ToLower(pattern)
		}
		switch e.Key {
		case "exact":
			return text == pattern
		case "prefix":
			return strings.HasPrefix(text, pattern)
		case "suffix":
			return strings.HasSuffix(text, pattern)
		case "contains":
			return strings.Contains(text, pattern)
		case "safe_regex", "safeRegex":
			x, err := expression(e.Value.Get("regex").String(), false, true)
			return err == nil && x.MatchString(text)
		}
	}
	return false
}

// lists says whether a list of matchers has a name.
func lists(list *syntax.Node, name string) bool {
	for _, m := range list.Get("patterns").List() {
		if matches(m, strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// at is the place of a member, else of what it should be in.
func at(n *syntax.Node, in *syntax.Node) syntax.Place {
	if n != nil {
		return n.Place
	}
	return in.At()
}

// policyName is the policy that a route asks by, empty where it leaves it to the gate.
func (s *envoySite) policyName(r envoyRoute) string {
	if !s.overHTTP() {
		return r.policy.String()
	}
	rest, _ := strings.CutPrefix(r.policy.String(), "/auth/envoy/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}
