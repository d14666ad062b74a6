package doctor

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// nginxSite is one server of nginx, with all that it inherits.
type nginxSite struct {
	names  Names
	server *level
	levels []*level // the server and all below it
	ends   []*level // those that pass requests on

	variables map[string][]variable
	upstreams map[string][]string     // addresses by name
	believes  map[string]bool         // addresses of backends behind a check, of all sites
	located   map[string]*level       // what locate found
	heading   map[string][]*nginxSite // sites with a setting of how heads are read, by its name
}

// level is a block of nginx in which directives are inherited: http, server, location, if.
type level struct {
	*syntax.Directive
	parent *level
	below  []*level
	byName map[string][]*syntax.Directive // the block, for a level of many servers is asked by each
	regexp *regexp.Regexp                 // of a location, once it was compiled
}

// variable is one way in which a variable gets its value.
type variable struct {
	value  string // what it is set to
	source string // of a map: what is looked up, of which captures are a part
}

// handlers are the directives that pass a request on, with those that set headers on the way. A prefix
// stands before the header's name in the form of CGI.
var handlers = map[string]struct{ set, prefix string }{
	"proxy_pass":   {set: "proxy_set_header"},
	"grpc_pass":    {set: "grpc_set_header"},
	"fastcgi_pass": {set: "fastcgi_param", prefix: "HTTP_"},
	"uwsgi_pass":   {set: "uwsgi_param", prefix: "HTTP_"},
	"scgi_pass":    {set: "scgi_param", prefix: "HTTP_"},
}

// nginxSites returns the servers of a configuration whose includes are resolved.
func nginxSites(top []*syntax.Directive, n Names) []*nginxSite {
	root := &level{Directive: &syntax.Directive{Name: "main", Block: top}}
	root.descend()
	heading := map[string][]*nginxSite{}
	variables, upstreams := map[string][]variable{}, map[string][]string{}
	var all []*nginxSite
	for _, l := range root.all() {
		l.defines(variables)
		for _, d := range l.Named("server") {
			if l.Name == "upstream" {
				upstreams[l.Arg(0)] = append(upstreams[l.Arg(0)], d.Arg(0))
			}
		}
		if l.Name == "server" && len(l.Args) == 0 && l.parent.Name != "upstream" && l.parent.Name != "stream" {
			s := &nginxSite{names: n, server: l, levels: l.all(), variables: variables, upstreams: upstreams, located: map[string]*level{}, heading: heading}
			for _, below := range s.levels {
				if below.handler() != nil {
					s.ends = append(s.ends, below)
				}
			}
			all = append(all, s)
		}
	}
	believes := map[string]bool{}
	for _, s := range all {
		s.believes = believes
		for _, name := range []string{"underscores_in_headers", "ignore_invalid_headers"} {
			if len(s.server.effective(name)) > 0 {
				heading[name] = append(heading[name], s)
			}
		}
		for _, l := range s.behind() {
			for _, address := range s.backends(l) {
				believes[address] = true
			}
		}
	}
	return all
}

func (l *level) descend() {
	for _, d := range l.Block {
		if d.Open {
			below := &level{Directive: d, parent: l}
			below.descend()
			l.below = append(l.below, below)
		}
	}
}

// all returns the level and every one below it.
func (l *level) all() []*level {
	all := []*level{l}
	for _, below := range l.below {
		all = append(all, below.all()...)
	}
	return all
}

// effective returns the directives of that name that count here: those of the nearest level that has any.
// One at a level drops all of the levels above, which is how nginx inherits lists.
func (l *level) effective(name string) []*syntax.Directive {
	for ; l != nil; l = l.parent {
		if found := l.own(name); len(found) > 0 {
			return found
		}
	}
	return nil
}

// own returns the directives of that name in the level's own block.
func (l *level) own(name string) []*syntax.Directive {
	if l.byName == nil {
		l.byName = map[string][]*syntax.Directive{}
		for _, d := range l.Block {
			l.byName[d.Name] = append(l.byName[d.Name], d)
		}
	}
	return l.byName[name]
}

// value returns the one value that counts here, empty where nothing is set.
func (l *level) value(name string) string {
	if found := l.effective(name); len(found) > 0 {
		return strings.Join(found[len(found)-1].Args, " ")
	}
	return ""
}

// check returns the name that is asked before requests come through here, empty for an open level.
func (l *level) check() string {
	if name := l.value("auth_request"); name != "off" {
		return name
	}
	return ""
}

func (l *level) handler() *syntax.Directive {
	if l.Name != "location" && l.Name != "if" && l.Name != "limit_except" {
		return nil
	}
	for _, d := range l.Block {
		if _, known := handlers[d.Name]; known {
			return d
		}
	}
	return nil
}

// header returns what a header is set to on the way to the handler, and whether it is set.
func (l *level) header(name string) (value string, set bool) {
	h := handlers[l.handler().Name]
	if h.prefix != "" {
		name = h.prefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	}
	for _, d := range l.effective(h.set) {
		if strings.EqualFold(d.Arg(0), name) {
			value, set = d.Arg(1), true
		}
	}
	return value, set || l.Name != "main" && l.value("proxy_pass_request_headers") == "off" && h.prefix == ""
}

// endpoint is the path of an address of the gate's checks.
var endpoint = regexp.MustCompile(`/auth/(nginx|traefik|caddy|haproxy|envoy)([/?]|$)`)

// asks says whether the level is a check: it passes the question on to the gate.
func (l *level) asks() bool {
	h := l.handler()
	return h != nil && endpoint.MatchString(h.Arg(0))
}

// policyOf returns the policy that an address of the gate names in its query; empty where it names none.
func policyOf(address string) string {
	_, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return values.Get("policy")
}

// checks returns the levels that ask the gate.
func (s *nginxSite) checks() (all []*level) {
	for _, l := range s.ends {
		if l.asks() {
			all = append(all, l)
		}
	}
	return all
}

// guarded returns the levels behind a check that pass requests on.
func (s *nginxSite) guarded() (all []*level) {
	for _, l := range s.ends {
		if !l.asks() && l.check() != "" && !s.questioned(l) {
			all = append(all, l)
		}
	}
	return all
}

// open returns the levels that pass requests on unchecked. Those that only questions and copies come to are
// not among them.
func (s *nginxSite) open() (all []*level) {
	for _, l := range s.ends {
		if !l.asks() && l.check() == "" && !s.questioned(l) {
			all = append(all, l)
		}
	}
	return all
}

// questioned says whether a level is there to answer an auth_request, or to take copies.
func (s *nginxSite) questioned(l *level) bool {
	if l.First("internal") == nil {
		return false
	}
	for _, other := range s.levels {
		for _, d := range append(other.Named("auth_request"), other.Named("mirror")...) {
			if s.locate(d.Arg(0)) == l {
				return true
			}
		}
	}
	return false
}

// protects says whether anything of the server is behind a check.
func (s *nginxSite) protects() bool {
	return slices.ContainsFunc(s.levels, func(l *level) bool { return l.check() != "" })
}

// locate returns the location that takes a path, as nginx chooses it: the exact one, else the first
// expression, unless the longest prefix forbids expressions, else the longest prefix.
func (s *nginxSite) locate(path string) *level {
	found, known := s.located[path]
	if !known {
		found = s.server.locate(path)
		s.located[path] = found
	}
	return found
}

func (l *level) locate(path string) *level {
	var longest *level
	var expressions []*level
	for _, below := range l.below {
		if below.Name != "location" {
			continue
		}
		switch modifier, pattern := below.pattern(); modifier {
		case "=":
			if pattern == path {
				return below
			}
		case "~", "~*":
			if below.regexp == nil {
				below.regexp, _ = expression(pattern, modifier == "~*", false)
			}
			if below.regexp != nil && below.regexp.MatchString(path) {
				expressions = append(expressions, below)
			}
		default:
			if _, best := longest.pattern(); strings.HasPrefix(path, pattern) && (longest == nil || len(pattern) > len(best)) {
				longest = below
			}
		}
	}
	if modifier, _ := longest.pattern(); modifier != "^~" && len(expressions) > 0 {
		longest = expressions[0]
	}
	if longest == nil {
		return nil
	}
	if deeper := longest.locate(path); deeper != nil {
		return deeper
	}
	return longest
}

// pattern returns modifier and pattern of a location.
func (l *level) pattern() (modifier, pattern string) {
	switch {
	case l == nil || len(l.Args) == 0:
		return "", ""
	case len(l.Args) > 1:
		return l.Args[0], l.Args[1]
	}
	for _, m := range []string{"^~", "~*", "~", "="} {
		if rest, ok := strings.CutPrefix(l.Args[0], m); ok {
			return m, rest
		}
	}
	return "", l.Args[0]
}

// defines notes the variables that a level gives values to.
func (l *level) defines(variables map[string][]variable) {
	if l.Name == "map" && len(l.Args) == 2 {
		name := strings.TrimPrefix(l.Args[1], "$")
		for _, d := range l.Block {
			variables[name] = append(variables[name], variable{d.Arg(0), l.Args[0]})
		}
	}
	for _, d := range append(l.Named("set"), l.Named("auth_request_set")...) {
		name := strings.TrimPrefix(d.Arg(0), "$")
		variables[name] = append(variables[name], variable{value: d.Arg(1)})
	}
}

var reference = regexp.MustCompile(`\$\{?([a-zA-Z0-9_]+)\}?`)

// reaches says whether a text can hold a variable for which is says yes, through maps and settings.
func (s *nginxSite) reaches(text string, is func(name string) bool) bool {
	return s.through(text, "", is, map[string]bool{})
}

func (s *nginxSite) through(text, source string, is func(string) bool, seen map[string]bool) bool {
	for _, found := range reference.FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(found[1])
		if is(name) {
			return true
		}
		if name[0] <= '9' && source != "" && s.through(source, "", is, seen) {
			return true // $1 is a part of what the map looked up
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		for _, v := range s.variables[found[1]] {
			if s.through(v.value, v.source, is, seen) {
				return true
			}
		}
	}
	return false
}

// clients says whether a variable is the client's word.
func clients(name string) bool {
	return strings.HasPrefix(name, "http_") || strings.HasPrefix(name, "arg_") || strings.HasPrefix(name, "cookie_") ||
		slices.Contains([]string{"args", "query_string", "request_uri", "request", "uri", "document_uri", "remote_user", "request_body"}, name)
}
