package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"devicegate/doctor/syntax"
)

// backends returns where a level passes requests on, as addresses: those of the upstream that is named, else the one
// that is written.
func (s *nginxSite) backends(l *level) []string {
	address := l.handler().Arg(0)
	if _, rest, found := strings.Cut(address, "://"); found {
		address = rest
	}
	if !strings.HasPrefix(address, "unix:") {
		address, _, _ = strings.Cut(address, "/")
	}
	if servers := s.upstreams[address]; len(servers) > 0 {
		return servers
	}
	return []string{address}
}

// together says whether two levels lead to the same backend.
func (s *nginxSite) together(a, b *level) bool {
	return slices.ContainsFunc(s.backends(a), func(address string) bool { return slices.Contains(s.backends(b), address) })
}

// behind returns the levels whose backend believes the identity headers: those behind a check, and those that set
// the headers to something, as a named location does that a check comes before.
func (s *nginxSite) behind() []*level {
	if !s.protects() {
		return nil
	}
	all := s.guarded()
	for _, l := range s.open() {
		if value, _ := l.header(s.names.User); value != "" {
			all = append(all, l)
		}
	}
	return all
}

// believed says whether the backend of a level is also one behind a check, of any server.
func (s *nginxSite) believed(l *level) bool {
	return slices.ContainsFunc(s.backends(l), func(address string) bool { return s.believes[address] })
}

// served returns the level that passes on what comes to a location: itself, or the named one of its try_files.
func (s *nginxSite) served(l *level) *level {
	if l == nil || l.handler() != nil {
		return l
	}
	if try := l.First("try_files"); try != nil {
		return s.called(try.Arg(len(try.Args) - 1))
	}
	return nil
}

// called returns the named location.
func (s *nginxSite) called(name string) *level {
	for _, l := range s.levels {
		if l.Name == "location" && l.Arg(0) == name && strings.HasPrefix(name, "@") {
			return l
		}
	}
	return nil
}

// literal is what an address begins with, up to its first variable or query.
func literal(text string) string {
	if i := strings.IndexAny(text, "$?"); i >= 0 {
		return text[:i]
	}
	return text
}

// nginxBackend: a second server, often that of port 80 or of another name, leads around the check to the same backend,
// with the client's identity headers (docs/doctor.md, What is judged; B1, B26).
func nginxBackend(s *nginxSite, say say) {
	if s.protects() {
		return
	}
	for _, l := range s.open() {
		for _, name := range s.names.all() {
			if _, set := l.header(name); !set && s.believed(l) {
				say(l.handler().Place, fmt.Sprintf("another server asks the gate for this backend, and this one does not: the client's own %s reaches it", name),
					"auth_request here too, or "+l.setting(name, "''"))
				break
			}
		}
	}
}

// nginxErrorPageOpen: error_page leads to another location, whose access phase counts alone. The refusals of
// auth_request are 401, 403 and 500, and what `return` gives comes before the check.
func nginxErrorPageOpen(s *nginxSite, say say) {
	told := map[*syntax.Directive]bool{}
	for _, l := range s.levels {
		if l.check() == "" || l.Name != "location" {
			continue
		}
		for _, d := range l.effective("error_page") {
			target := s.called(d.Arg(len(d.Args) - 1))
			refusal := slices.ContainsFunc(d.Args, func(a string) bool {
				return slices.Contains([]string{"401", "403", "500"}, a) || slices.Contains(l.returned(), a)
			})
			if told[d] || !refusal || target == nil || target.handler() == nil || target.asks() || target.check() != "" || !s.believed(target) {
				continue
			}
			told[d] = true
			say(d.Place, fmt.Sprintf("what is refused here is passed on at line %d, where nobody is asked", target.Line), "an error_page that leads to a page, or auth_request in the location that it leads to")
		}
	}
}

// returned is the statuses that a level and its conditions give by return.
func (l *level) returned() (all []string) {
	for _, d := range l.Named("return") {
		all = append(all, d.Arg(0))
	}
	for _, below := range l.below {
		if below.Name == "if" {
			all = append(all, below.returned()...)
		}
	}
	return all
}

// nginxOpenSuffix: an expression without a beginning takes the path from every other location: /staff/x.css is open,
// and is /staff to backends that leave the ending out, or take it for a parameter.
func nginxOpenSuffix(s *nginxSite, say say) {
	if !s.protects() {
		return
	}
	for _, l := range s.open() {
		if modifier, pattern := l.pattern(); strings.HasPrefix(modifier, "~") && !strings.HasPrefix(strings.TrimPrefix(pattern, "(?i)"), "^") {
			say(l.Place, fmt.Sprintf("%.60s is open wherever it stands in a path, also below protected ones", pattern), "location ^~ /assets/ or another place of its own, or auth_request in this one")
		}
	}
}

// whole is an address that takes any path of the backend: nothing, or what an expression captured.
var whole = regexp.MustCompile(`^/?(\$[a-z0-9_]+)?$`)

// nginxOpenPrefixOff: /open/staff is open, and is /staff to the backend.
func nginxOpenPrefixOff(s *nginxSite, say say) {
	if !s.protects() {
		return
	}
	for _, l := range s.open() {
		if _, pattern := l.pattern(); pattern == "/" || !s.believed(l) || strings.HasPrefix(pattern, "@") {
			continue
		}
		_, written, _ := strings.Cut(l.handler().Arg(0), "://")
		_, path, has := strings.Cut(written, "/")
		taken := has && anyPath(path)
		for _, d := range l.Named("rewrite") {
			taken = taken || anyPath(strings.TrimSuffix(d.Arg(1), "?"))
		}
		if taken {
			say(l.handler().Place, "the open prefix is taken off: what stands behind it is any path of the backend, protected ones too", "proxy_pass without a path and no rewrite, or a path of its own: proxy_pass http://.../assets/;")
		}
	}
}

func anyPath(path string) bool {
	return whole.MatchString(path) && !strings.Contains(path, "$request_uri") && !strings.Contains(path, "$uri")
}

// nginxRewrite: rewrite is of the phase before the check, and the location that it leads to has its own, or none
// (docs/seam.md, B26; proxies.md 1.2).
func nginxRewrite(s *nginxSite, say say) {
	for _, l := range s.levels {
		if l.check() == "" || l.Name != "location" && l.Name != "if" {
			continue
		}
		for _, d := range l.Named("rewrite") {
			if slices.Contains([]string{"break", "redirect", "permanent"}, d.Arg(2)) || !strings.HasPrefix(d.Arg(1), "/") {
				continue
			}
			if target := s.locate(literal(d.Arg(1))); target != nil && target.check() != l.check() {
				say(d.Place, fmt.Sprintf("this happens before the check, and the location of line %d has another, or none", target.Line), fmt.Sprintf("auth_request %s; in the location that it leads to, or break in place of last", l.check()))
			}
		}
	}
}

// nginxStrict: what follows a path after a semicolon is a parameter to some backends (docs/seam.md, caddy: the strict
// route without a slash; B7).
func nginxStrict(s *nginxSite, say say) {
	refused, _ := s.refusals()
	for _, l := range s.levels {
		modifier, pattern := l.pattern()
		exact := modifier == "=" || strings.HasSuffix(pattern, "/") && !strings.HasPrefix(modifier, "~")
		path := strings.TrimRight(pattern, "/") + ";x"
		from := s.served(l)
		if l.Name != "location" || l.check() == "" || !exact || path == ";x" || from == nil || from.handler() == nil || refused.misses([]string{path}) == "" {
			continue
		}
		other := s.locate(path)
		if to := s.served(other); to != nil && to.handler() != nil && other.check() != l.check() && s.together(from, to) {
			say(l.Place, fmt.Sprintf("%.60s is of the location of line %d, which has another check or none, and is %.60s to some backends", path, other.Line, pattern), fmt.Sprintf("location %s", strings.TrimSuffix(path, ";x")))
		}
	}
}

// nginxSlashes: docs/seam.md, envoy: merge_slashes; B7.
func nginxSlashes(s *nginxSite, say say) {
	if found := s.server.effective("merge_slashes"); s.mixed() && len(found) > 0 && found[0].Arg(0) == "off" {
		say(found[0].Place, "//staff is not of the location /staff, and is /staff to the backend", "merge_slashes on;")
	}
}

// mixed says whether locations of different demands stand side by side.
func (s *nginxSite) mixed() bool {
	classes := map[string]bool{}
	for _, l := range append(s.guarded(), s.open()...) {
		classes[l.check()] = true
	}
	return s.protects() && len(classes) > 1
}

// nginxRealIP: then $remote_addr, which the gate is told, is the client's word (docs/seam.md, nginx: the client's
// address; B5).
func nginxRealIP(s *nginxSite, say say) {
	told := map[*syntax.Directive]bool{}
	for _, l := range s.levels {
		for _, d := range l.effective("set_real_ip_from") {
			if s.protects() && everybody(d.Args) && !told[d] {
				told[d] = true
				say(d.Place, "clients choose the address that the gate, its rules and its history see", "set_real_ip_from with the address of the proxy in front")
			}
		}
	}
}

// nginxConnection: Connection: Remote-User has a proxy behind take the gate's header away (docs/seam.md, B6).
func nginxConnection(s *nginxSite, say say) {
	for _, l := range s.guarded() {
		if value, _ := l.header("Connection"); s.reaches(value, func(name string) bool { return name == "http_connection" }) {
			say(l.handler().Place, "Connection: Remote-User has the next hop take the gate's header away", "proxy_set_header Connection $gate_connection; with map $gate_upgrade $gate_connection { default upgrade; '' ''; }")
		}
	}
}

// nginxFixedToken: the gate is asked about the token of the configuration, and not about the client's.
func nginxFixedToken(s *nginxSite, say say) {
	for _, l := range s.checks() {
		if value, _ := l.header("Authorization"); value != "" && !strings.Contains(value, "$") {
			say(l.handler().Place, "the check shows a token of its own: everybody is let in by it", "proxy_set_header Authorization $http_authorization;")
		}
	}
}

// fromGate says whether a variable is what the gate answered.
func fromGate(name string) bool { return strings.HasPrefix(name, "upstream_http_") }

// depends says whether a text is made of, or chosen by, a variable for which is says yes.
func (s *nginxSite) depends(text string, is func(name string) bool, seen map[string]bool) bool {
	for _, found := range reference.FindAllStringSubmatch(text, -1) {
		if is(strings.ToLower(found[1])) {
			return true
		}
		if seen[found[1]] {
			continue
		}
		seen[found[1]] = true
		for _, v := range s.variables[found[1]] {
			if s.depends(v.value, is, seen) || s.depends(v.source, is, seen) {
				return true
			}
		}
	}
	return false
}

// answers says whether a level returns a success by itself.
func (l *level) answers() bool {
	return slices.ContainsFunc(l.returned(), func(text string) bool {
		code, err := strconv.Atoi(text)
		return err == nil && code/100 == 2
	})
}
