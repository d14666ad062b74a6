package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// inherited returns the section's defaults, and those that they are made from, the nearest first.
func inherited(byName map[string]*syntax.Directive, section *syntax.Directive) (all []*syntax.Directive) {
	for len(all) < maxImports {
		i := slices.Index(section.Args, "from")
		if i < 0 || byName[section.Arg(i+1)] == nil {
			return all
		}
		section = byName[section.Arg(i+1)]
		all = append(all, section)
	}
	return all
}

// leads returns the names of the backends of a frontend, with that of the ACL of each; those of all requests have none.
func leads(front *syntax.Directive) (all []haproxyRule) {
	for _, d := range append(front.Named("use_backend"), front.Named("default_backend")...) {
		all = append(all, newHAProxyRule(d))
	}
	return append(all, haproxyRule{action: front.Arg(0)}) // a listen is its own
}

// servers returns the addresses that a frontend leads to, those alone of which is says yes.
func (s *haproxySite) servers(is func(to haproxyRule) bool) (all []string) {
	for _, to := range leads(s.front) {
		for _, section := range s.backends[to.action] {
			if is(to) {
				for _, server := range section.Named("server") {
					all = append(all, server.Arg(1))
				}
			}
		}
	}
	return all
}

func anywhere(haproxyRule) bool { return true }

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(text string) bool { return slices.Contains(b, text) })
}

// groups returns the tests that a condition has in its place: those that have to hold, and those that must not.
func (r haproxyRule) groups() (yes, no [][]string) {
	for i, w := range r.condition {
		if w != "{" && w != "!{" {
			continue
		}
		end := slices.Index(r.condition[i:], "}")
		if end < 1 {
			continue
		}
		if test := r.condition[i+1 : i+end]; w == "{" {
			yes = append(yes, test)
		} else {
			no = append(no, test)
		}
	}
	return yes, no
}

// narrows says whether a deny is one of some requests only, by more than the verdict.
func (r haproxyRule) narrows() bool {
	names, _ := r.named()
	tests, _ := r.groups()
	return r.word == "if" && !slices.Contains(r.condition, "or") && !slices.Contains(r.condition, "||") && len(names)+len(tests) > 0
}

// exempt returns the tests of what the final deny lets through without a verdict.
func (s *haproxySite) exempt() (all []pathTest) {
	names := s.open()
	if r := s.last(); r != nil {
		tests, no := r.groups()
		if r.word == "if" {
			tests = no
		}
		for _, words := range tests {
			if len(words) > 0 && !strings.HasPrefix(words[0], "var(txn.") {
				all = append(all, pathTest{r.Place, words})
			}
		}
		for _, name := range names {
			if len(s.acls(name)) == 0 && name != "LOCALHOST" { // METH_OPTIONS, TRUE and such
				all = append(all, pathTest{r.Place, []string{"method"}})
			}
		}
	}
	for _, name := range names {
		for _, d := range s.acls(name) {
			all = append(all, pathTest{d.Place, d.Args[1:]})
		}
	}
	return all
}

var fromRequest = regexp.MustCompile(`^(req\.)?(f?hdr|cook)|^(method|url_param|urlp|query|req\.(len|payload|body))`)

// haproxyOpenByClient: who sends the header is not asked for a token (docs/threats.md; B26).
func haproxyOpenByClient(s *haproxySite, say say) {
	for _, test := range s.exempt() {
		if len(test.words) > 0 && fromRequest.MatchString(test.words[0]) && !strings.Contains(strings.ToLower(test.words[0]), "host") {
			say(test.Place, fmt.Sprintf("who asks nobody here is chosen by what the client sends (%.40s), on all paths", test.words[0]), "an ACL of a path in its place")
		}
	}
}

// haproxyAllow: allow ends the rules, those that ask and deny too.
func haproxyAllow(s *haproxySite, say say) {
	for _, r := range s.rules {
		if r.action == "allow" && !slices.ContainsFunc(s.finals(), func(f haproxyRule) bool { return f.Line < r.Line && f.File == r.File }) {
			say(r.Place, "no rule after this one is asked: the request passes without a check, with what the client says of itself", "an ACL of the path that is open, named in the questions and in the final deny")
		}
	}
}

// haproxyVerdict: the variable that the final deny looks at is the script's alone.
func haproxyVerdict(s *haproxySite, say say) {
	final := s.last()
	if final == nil {
		return
	}
	for i, w := range final.condition {
		variable, found := strings.CutPrefix(w, "var(")
		if !found {
			continue
		}
		value := final.condition[min(i+3, len(final.condition)-1)]
		for _, r := range s.rules {
			set := r.action == "set-var("+variable || r.action == "set-var-fmt("+variable
			fixed := len(r.args) == 1 && strings.HasPrefix(r.args[0], "str(") && r.args[0] != "str("+value+")" || len(r.args) == 1 && r.args[0] == "bool(false)"
			if set && !fixed {
				say(r.Place, fmt.Sprintf("%.40s is set without the gate", w), "take it out: the script sets it")
			}
		}
	}
}

// haproxyIdentityFromClient: what is set behind the question has the last word, in the backend too (docs/seam.md, B1).
func haproxyIdentityFromClient(s *haproxySite, say say) {
	rules := slices.Clone(s.rules)
	for _, to := range leads(s.front) {
		for _, section := range s.backends[to.action] {
			if section != s.front {
				for _, d := range section.Named("http-request") {
					rules = append(rules, newHAProxyRule(d))
				}
			}
		}
	}
	for _, r := range rules {
		writes := slices.Contains([]string{"set-header", "add-header", "replace-header", "replace-value"}, r.action) && len(r.args) > 1
		if writes && slices.ContainsFunc(s.names.all(), func(n string) bool { return strings.EqualFold(n, r.args[0]) }) && !strings.Contains(r.args[1], "%[var(") {
			say(r.Place, fmt.Sprintf("%s is set to something that is not the gate's word (%.60s)", r.args[0], r.args[1]), "take it out: the script sets it")
		}
	}
}

// haproxyBackend: a second frontend leads around the question to the same servers, with the client's identity headers
// (docs/doctor.md, What is judged; B1, B26).
func haproxyBackend(s *haproxySite, say say) {
	own := s.servers(anywhere)
	for _, bare := range s.bare {
		if !overlap(bare.servers(anywhere), own) {
			continue
		}
		for _, name := range s.names.all() {
			if _, all := bare.deletes(name); !all {
				say(bare.front.Place, fmt.Sprintf("another frontend asks the gate before these servers, and this one does not: the client's own %s reaches them", name), "the question and the deny here too, or http-request del-header "+name)
				break
			}
		}
	}
}

var takenOff = regexp.MustCompile(`^/?\\1$`)

// haproxyPrefixOff: /open/staff is open, and is /staff to the backend (docs/seam.md, B7). Before the final deny the
// ACL would be asked about the new path.
func haproxyPrefixOff(s *haproxySite, say say) {
	final := s.last()
	open := func(r haproxyRule) bool {
		yes, _ := r.named()
		return overlap(yes, s.open())
	}
	closed := func(to haproxyRule) bool { return !open(to) }
	if final == nil || !overlap(s.servers(open), s.servers(closed)) && len(s.servers(open)) > 0 {
		return
	}
	var rules []haproxyRule
	for _, r := range s.rules {
		if open(r) && r.Line > final.Line {
			rules = append(rules, r)
		}
	}
	for _, to := range leads(s.front) {
		for _, section := range s.backends[to.action] {
			for _, d := range section.Named("http-request") {
				if open(to) {
					rules = append(rules, newHAProxyRule(d))
				}
			}
		}
	}
	for _, r := range rules {
		if strings.HasPrefix(r.action, "replace-") && len(r.args) > 1 && takenOff.MatchString(r.args[1]) {
			say(r.Place, "the open prefix is taken off: what stands behind it is any path of the backend, protected ones too", "no replace-path of open paths to these servers")
		}
	}
}

// luaEither finds a status of 200 that is one of two ways to an allow.
var luaEither = regexp.MustCompile(`\bor\b[^\n]*status\s*==\s*200\b|status\s*==\s*200\b[^\n]*\bor\b`)
