package doctor

import (
	"regexp"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// haproxySite is a frontend that asks the gate, with its defaults and the script that asks.
type haproxySite struct {
	names    Names
	front    *syntax.Directive
	defaults *syntax.Directive // nil: none
	rules    []haproxyRule     // http-request, in order
	asked    []haproxyRule     // those that ask
	scripts  []script

	above    []*syntax.Directive            // the defaults of the defaults
	backends map[string][]*syntax.Directive // of all files, listens too, by name
	bare     []*haproxySite                 // frontends that ask nobody
}

// script is a file of Lua without its comments.
type script struct {
	syntax.Place
	text string
}

// haproxyRule is one http-request line: action, its arguments, and the condition.
type haproxyRule struct {
	syntax.Place
	action    string
	args      []string
	word      string // if, unless, or nothing
	condition []string
}

// haproxySites returns the frontends that ask the gate, and tells tooMuch of one that is left out.
func haproxySites(sections []*syntax.Directive, scripts []script, n Names, tooMuch func(at syntax.Place)) (all []*haproxySite) {
	var last *syntax.Directive
	var bare []*haproxySite
	byName, backends := map[string]*syntax.Directive{}, map[string][]*syntax.Directive{}
	for _, section := range sections {
		if section.Name == "backend" || section.Name == "listen" {
			backends[section.Arg(0)] = append(backends[section.Arg(0)], section)
		}
	}
	for _, section := range sections {
		if section.Name == "defaults" {
			last, byName[section.Arg(0)] = section, section
		}
		if section.Name != "frontend" && section.Name != "listen" {
			continue
		}
		s := &haproxySite{names: n, front: section, defaults: last, backends: backends}
		if above := inherited(byName, section); len(above) > 0 {
			s.defaults, s.above = above[0], above[1:]
		} else if last != nil {
			s.above = inherited(byName, last)
		}
		if s.collect(); len(s.rules) > maxRules {
			tooMuch(section.Place)
			continue
		}
		if len(s.asked) == 0 {
			bare = append(bare, s)
			continue
		}
		s.scripts = registering(scripts, s.asked[0].action)
		all = append(all, s)
	}
	for _, s := range all {
		s.bare = bare
	}
	return all
}

// collect notes the rules, those of the defaults first, as HAProxy goes by them.
func (s *haproxySite) collect() {
	for _, section := range []*syntax.Directive{s.defaults, s.front} {
		if section == nil {
			continue
		}
		for _, d := range section.Named("http-request") {
			r := newHAProxyRule(d)
			s.rules = append(s.rules, r)
			if r.asks() != "" {
				s.asked = append(s.asked, r)
			}
		}
	}
}

// registering returns the scripts that bring an action along.
func registering(scripts []script, action string) []script {
	name := regexp.QuoteMeta(strings.TrimPrefix(action, "lua."))
	x := regexp.MustCompile(`register_action\s*\(\s*["']` + name + `["']`)
	return slices.DeleteFunc(slices.Clone(scripts), func(s script) bool { return !x.MatchString(s.text) })
}

func newHAProxyRule(d *syntax.Directive) haproxyRule {
	r := haproxyRule{Place: d.Place, action: d.Arg(0)}
	if len(d.Args) > 1 {
		r.args = d.Args[1:]
	}
	for i, a := range r.args {
		if a == "if" || a == "unless" {
			r.args, r.word, r.condition = r.args[:i], a, r.args[i+1:]
			break
		}
	}
	return r
}

// asks returns the address of the gate that a rule asks, empty where it asks nobody.
func (r haproxyRule) asks() string {
	for _, a := range r.args {
		if strings.HasPrefix(r.action, "lua.") && endpoint.MatchString(a) {
			return a
		}
	}
	return ""
}

// before returns the rules in front of the first question, all where there is none.
func (s *haproxySite) before() []haproxyRule {
	i := slices.IndexFunc(s.rules, func(r haproxyRule) bool { return r.asks() != "" })
	if i < 0 {
		return s.rules
	}
	return s.rules[:i]
}

// sets says whether a header is set, whatever the request.
func (s *haproxySite) sets(name string) (value string, set bool) {
	for _, r := range s.before() {
		if r.action == "set-header" && len(r.args) == 2 && r.word == "" && strings.EqualFold(r.args[0], name) {
			value, set = r.args[1], true
		}
	}
	return value, set
}

// deletes says whether a header is deleted, on some requests or on all.
func (s *haproxySite) deletes(name string) (some, all bool) {
	for _, r := range s.before() {
		if r.action == "del-header" && len(r.args) > 0 && r.takes(name) {
			some, all = true, all || r.word == ""
		}
	}
	return some, all
}

// takes says whether a del-header takes a name: -m says how its argument is compared.
func (r haproxyRule) takes(name string) bool {
	name, pattern := strings.ToLower(name), strings.ToLower(r.args[0])
	method := "str"
	if i := slices.Index(r.args, "-m"); i >= 0 && i+1 < len(r.args) {
		method = r.args[i+1]
	}
	switch method {
	case "str":
		return name == pattern
	case "beg":
		return strings.HasPrefix(name, pattern)
	case "end":
		return strings.HasSuffix(name, pattern)
	case "sub":
		return strings.Contains(name, pattern)
	case "reg":
		x, err := expression(r.args[0], true, false)
		return err == nil && x.MatchString(name)
	}
	return false
}

// option returns the last word of an option of the frontend or its defaults, empty where it is not set.
func (s *haproxySite) option(name string) string {
	for _, section := range append([]*syntax.Directive{s.front, s.defaults}, s.above...) {
		if section == nil {
			continue
		}
		for _, d := range section.Named("option") {
			if d.Arg(0) == name {
				return d.Arg(len(d.Args) - 1)
			}
		}
	}
	return ""
}

// acls returns the definitions of a name.
func (s *haproxySite) acls(name string) (all []*syntax.Directive) {
	for _, section := range []*syntax.Directive{s.defaults, s.front} {
		if section == nil {
			continue
		}
		for _, d := range section.Named("acl") {
			if d.Arg(0) == name {
				all = append(all, d)
			}
		}
	}
	return all
}

// named returns the ACLs of a condition: those that have to hold, and those that must not.
func (r haproxyRule) named() (yes, no []string) {
	within := false
	for _, w := range r.condition {
		switch {
		case w == "{" || w == "!{":
			within = true
		case w == "}":
			within = false
		case within || w == "or" || w == "||" || w == "and":
		case strings.HasPrefix(w, "!"):
			no = append(no, w[1:])
		default:
			yes = append(yes, w)
		}
	}
	return yes, no
}

// finals returns the denies behind the questions that let only an allow through.
func (s *haproxySite) finals() (all []haproxyRule) {
	last := slices.IndexFunc(s.rules, func(r haproxyRule) bool { return r.Place == s.asked[len(s.asked)-1].Place })
	for _, r := range s.rules[last+1:] {
		if !slices.Contains([]string{"deny", "reject", "silent-drop"}, r.action) || !r.compares() {
			continue
		}
		if r.word == "unless" || slices.Contains(r.condition, "!{") && !r.narrows() {
			all = append(all, r)
		}
	}
	return all
}

// compares says whether a condition compares a variable of the request with a word. That it is there says nothing.
func (r haproxyRule) compares() bool {
	i := slices.IndexFunc(r.condition, func(w string) bool { return strings.HasPrefix(w, "var(txn.") })
	return i >= 0 && i+2 < len(r.condition) && r.condition[i+1] == "-m" && slices.Contains([]string{"str", "bool"}, r.condition[i+2])
}

// last returns the first of the finals, nil where there is none.
func (s *haproxySite) last() *haproxyRule {
	if all := s.finals(); len(all) > 0 {
		return &all[0]
	}
	return nil
}

// final says whether there is such a deny, and which ACLs it exempts.
func (s *haproxySite) final() (open []string, found bool) {
	r := s.last()
	if r == nil {
		return nil, false
	}
	yes, no := r.named()
	if r.word == "unless" {
		return yes, true
	}
	return no, true
}

// open returns the ACLs of what is not asked about.
func (s *haproxySite) open() (all []string) {
	all, _ = s.final()
	for _, r := range s.asked {
		_, no := r.named()
		for _, name := range no {
			everyone := !slices.ContainsFunc(s.asked, func(other haproxyRule) bool {
				yes, _ := other.named()
				return slices.Contains(yes, name)
			})
			if everyone && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// pathTest is a comparison of the path that a condition makes.
type pathTest struct {
	syntax.Place
	words []string
}

// strict returns the tests by which a policy is chosen: in the conditions of the questions, in the ACLs that
// they name, and in those of the variables that they compare.
func (s *haproxySite) strict() (all []pathTest) {
	for _, r := range s.asked {
		all = append(all, s.tests(r)...)
		for _, w := range r.condition {
			variable, found := strings.CutPrefix(w, "var(")
			for _, set := range s.before() {
				if found && set.action == "set-var("+variable {
					all = append(all, s.tests(set)...)
				}
			}
		}
	}
	return all
}

// tests returns the tests of the path that have to hold for a rule.
func (s *haproxySite) tests(r haproxyRule) (all []pathTest) {
	add := func(at syntax.Place, words []string) {
		if len(words) > 1 && strings.HasPrefix(words[0], "path") {
			all = append(all, pathTest{at, words})
		}
	}
	yes, _ := r.named()
	for _, name := range yes {
		for _, d := range s.acls(name) {
			add(d.Place, d.Args[1:])
		}
	}
	for i, w := range r.condition {
		if end := slices.Index(r.condition[i:], "}"); w == "{" && end > 0 {
			add(r.Place, r.condition[i+1:i+end])
		}
	}
	return all
}

func (s *haproxySite) mixed() bool {
	classes := map[string]bool{}
	for _, r := range s.asked {
		classes[r.asks()] = true
	}
	return len(classes) > 1 || len(s.open()) > 0 || len(s.exempt()) > 0
}

// refused returns the expressions of paths that are denied before anything is asked.
func (s *haproxySite) refused() (all refusal) {
	for _, r := range s.before() {
		if r.action != "deny" && r.action != "reject" && r.action != "silent-drop" || r.word != "if" {
			continue
		}
		words := r.condition
		if n := len(words); n > 2 && words[0] == "{" && words[n-1] == "}" && !slices.Contains(words[1:n-1], "}") {
			words = words[1 : n-1]
		} else if defined := s.acls(strings.Join(words, " ")); len(defined) == 1 {
			words = defined[0].Args[1:]
		} else {
			continue
		}
		all = append(all, pathExpressions(words)...)
	}
	return all
}

// pathExpressions reads "path -m reg -i 'one' 'two'" and path_reg.
func pathExpressions(words []string) (all refusal) {
	fetch, fold, reg := words[0], false, words[0] == "path_reg"
	var patterns []string
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-i":
			fold = true
		case "-m":
			i++
			reg = i < len(words) && words[i] == "reg"
		default:
			patterns = append(patterns, words[i])
		}
	}
	if fetch != "path" && fetch != "path_reg" || !reg {
		return nil
	}
	for _, p := range patterns {
		if x, err := expression(p, fold, false); err == nil {
			all = append(all, x)
		}
	}
	return all
}
