package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"devicegate/doctor/syntax"
)

// nginxRules judge each server by itself.
var nginxRules = []rule[*nginxSite]{
	{"nginx-satisfy-any", "`satisfy any` at a level behind a check: an allowed address is let in without a token", nginxSatisfyAny},
	{"nginx-return-before-check", "`return` with an answer that is no refusal: it is given before the check is asked", nginxReturn},
	{"nginx-identity-not-set", "a protected location, often a nested one, that does not set each identity header: the client's passes", nginxIdentityNotSet},
	{"nginx-identity-from-client", "an identity header that is set to something the client sends, or to anything but the gate's word", nginxIdentityFromClient},
	{"nginx-identity-on-open", "an open location beside protected ones that does not empty each identity header", nginxIdentityOnOpen},
	{"nginx-check-error-page", "an error_page that turns the gate's refusal, or its absence, into an allow", nginxErrorPage},
	{"nginx-accel-redirect", "a check without `proxy_ignore_headers X-Accel-Redirect`: such a header makes an allow of a refusal", nginxAccelRedirect},
	{"nginx-underscores-in-headers", "`underscores_in_headers on`: Remote_User passes", nginxUnderscores},
	{"nginx-ignore-invalid-headers", "`ignore_invalid_headers off`: Remote~User and twelve more pass", nginxInvalidHeaders},
	{"nginx-check-timeout", "a check that waits for the gate longer than ten seconds", nginxTimeout},
	{"nginx-check-content-length", "a check that tells the gate of a body that never comes", nginxContentLength},
	{"nginx-check-cache", "a check whose answers are kept against the gate's Cache-Control", nginxCache},
	{"nginx-upgrade-any", "a protected location that passes on any Upgrade: h2c is a tunnel in which nothing is checked", nginxUpgrade},
	{"nginx-mirror", "copies of protected requests that carry the client's identity headers", nginxMirror},
	{"nginx-check-unknown", "auth_request with a name that is no check, or with a query: another location answers for the gate", nginxCheckUnknown},
	{"nginx-check-unused", "a check that no auth_request names: the location that it was written for has another policy, or none", nginxCheckUnused},
	{"nginx-check-not-internal", "a check that clients can call", nginxNotInternal},
	{"nginx-check-endpoint", "a check at the endpoint of another proxy, which reads headers that nginx does not write", nginxEndpoint},
	{"nginx-policy-from-client", "a policy that is taken from what the client sends", nginxPolicyFromClient},
	{"nginx-http-host", "X-Original-URL made of $http_host, which is not the host that nginx serves", nginxHTTPHost},
	{"nginx-check-original", "a check that leaves X-Original-URL or X-Original-Method to the client", nginxOriginal},
	{"nginx-check-client-address", "a check that leaves X-Forwarded-For to the client", nginxClientAddress},
	{"nginx-check-no-authorization", "a check that does not show the gate the token: nobody gets in", nginxNoAuthorization},
	{"nginx-check-fixed-token", "a check that shows the gate a token of its own: everybody is let in by it", nginxFixedToken},
	{"nginx-backend-unchecked", "a server that asks nobody and leads to a backend that is behind the gate elsewhere, with the client's identity headers", nginxBackend},
	{"nginx-error-page-open", "an error_page for refusals that leads to a location without a check, on to the backend", nginxErrorPageOpen},
	{"nginx-rewrite-before-check", "a rewrite in a protected location to one with another check, or none", nginxRewrite},
	{"nginx-open-suffix", "an open location by an expression without a beginning: `/staff/x.css` is open", nginxOpenSuffix},
	{"nginx-open-prefix-off", "an open location that takes its prefix off on the way to a protected backend: `/open/staff` is `/staff` there", nginxOpenPrefixOff},
	{"nginx-strict-location", "a location of another check that is one path, or ends in a slash: `/staff;x` is not of it", nginxStrict},
	{"nginx-merge-slashes", "`merge_slashes off` with locations of different demands: `//staff` is not of `/staff`", nginxSlashes},
	{"nginx-real-ip", "set_real_ip_from that holds everybody: clients choose their address", nginxRealIP},
	{"nginx-connection", "a protected location that passes on the client's Connection, by which the next hop drops the gate's headers", nginxConnection},
	{"nginx-path-refusal", "open and protected locations side by side without a refusal of paths that backends read differently", nginxPathRefusal},
}

// nginxSatisfyAny: with satisfy any an allowed address makes nginx skip the subrequest (docs/seam.md, nginx:
// satisfy any; proxies.md 1.2).
func nginxSatisfyAny(s *nginxSite, say say) {
	told := map[*syntax.Directive]bool{}
	for _, l := range s.levels {
		if found := l.effective("satisfy"); l.check() != "" && l.value("satisfy") == "any" && !told[found[0]] {
			told[found[0]] = true
			say(found[0].Place, "with satisfy any, whoever comes from an allowed address is let in and the gate is not asked", "satisfy all;")
		}
	}
}

// nginxReturn: return and if are of the rewrite phase, the check of the access phase that follows it
// (docs/seam.md, nginx: return in a protected location, if OPTIONS return 204; proxies.md 1.2, B26). A
// refusal (4xx, 5xx) or a redirect gives nothing away.
func nginxReturn(s *nginxSite, say say) {
	for _, l := range s.levels {
		for _, d := range l.Named("return") {
			code, err := strconv.Atoi(d.Arg(0))
			if err != nil || code/100 != 2 || !s.answersGuarded(l) {
				continue
			}
			say(d.Place, fmt.Sprintf("return %d answers everybody before the check is asked", code),
				"take the line out, or put it into a location with auth_request off")
		}
	}
}

// answersGuarded says whether what a level of the rewrite phase answers is behind a check: its own, or, in the
// server, that of any location.
func (s *nginxSite) answersGuarded(l *level) bool {
	for l.Name == "if" {
		l = l.parent
	}
	if l == s.server {
		return s.protects()
	}
	return l.Name == "location" && (l.check() != "" || l.asks()) // within a check it is the check's answer
}

// nginxIdentityNotSet: one proxy_set_header at a level drops all that would be inherited, and a header that is
// not set is the client's (docs/seam.md, nginx: identity set, a header of its own in a nested location).
func nginxIdentityNotSet(s *nginxSite, say say) {
	for _, l := range s.guarded() {
		for _, name := range s.names.all() {
			if _, set := l.header(name); !set {
				say(l.handler().Place, fmt.Sprintf("the client's own %s reaches the backend: this location, which is protected, does not set it", name), l.setting(name, "$gate_"+variableOf(name))+
					" with auth_request_set $gate_"+variableOf(name)+" $upstream_http_"+variableOf(name)+";")
			}
		}
	}
}

func variableOf(name string) string { return strings.ToLower(strings.ReplaceAll(name, "-", "_")) }

// setting is the line that sets a header on the way to the level's handler.
func (l *level) setting(name, value string) string {
	h := handlers[l.handler().Name]
	if h.prefix != "" {
		name = h.prefix + strings.ToUpper(variableOf(name))
	}
	return fmt.Sprintf("%s %s %s;", h.set, name, value)
}

// nginxIdentityFromClient: proxy_set_header Remote-User $http_remote_user looks like a guard and is none
// (docs/seam.md, B1; proxies.md 1.2).
func nginxIdentityFromClient(s *nginxSite, say say) {
	for _, l := range append(s.guarded(), s.open()...) {
		for _, name := range s.names.all() {
			value, _ := l.header(name)
			problem := "%s is set to what the client sends (%.60s)"
			if !s.reaches(value, clients) {
				problem = "%s is set to something that is not the gate's word (%.60s)"
			}
			if s.protects() && value != "" && (s.reaches(value, clients) || !s.reaches(value, fromGate)) {
				say(l.handler().Place, fmt.Sprintf(problem, name, value), l.setting(name, "$gate_"+variableOf(name))+
					" with auth_request_set $gate_"+variableOf(name)+" $upstream_http_"+variableOf(name)+";")
			}
		}
	}
}

// nginxIdentityOnOpen: a backend that serves protected locations believes the header on open ones too
// (docs/seam.md, nginx: identity emptied on open locations; B1).
func nginxIdentityOnOpen(s *nginxSite, say say) {
	if !s.protects() {
		return
	}
	for _, l := range s.open() {
		for _, name := range s.names.all() {
			if _, set := l.header(name); !set {
				say(l.handler().Place, fmt.Sprintf("the client's own %s reaches the backend: this location is open and does not empty it", name), l.setting(name, "''"))
			}
		}
	}
}

// nginxErrorPage: within the check an error_page is followed, and its 200 is the answer of the check
// (docs/seam.md, nginx: proxy_intercept_errors with error_page in the check; CVE-2026-24513).
func nginxErrorPage(s *nginxSite, say say) {
	for _, l := range s.checks() {
		intercepts := l.value("proxy_intercept_errors") == "on"
		for _, d := range l.effective("error_page") {
			replaced := slices.ContainsFunc(d.Args, func(a string) bool { return a == "=" || strings.HasPrefix(a, "=2") || strings.HasPrefix(a, "=3") })
			absent := slices.ContainsFunc(d.Args, func(a string) bool { return len(a) == 3 && a[0] == '5' })
			if intercepts || replaced && absent {
				say(l.handler().Place, fmt.Sprintf("the error_page of line %d turns a refusal of the gate into a page, and the page's 200 lets everybody in", d.Line),
					"proxy_intercept_errors off; and no error_page for the check")
				break
			}
		}
	}
}

// nginxAccelRedirect: nginx obeys the header within the check; a refusal that names an open path ends as 200
// (docs/seam.md, nginx: X-Accel-Redirect obeyed; proxies.md 1.2, B13).
func nginxAccelRedirect(s *nginxSite, say say) {
	for _, l := range s.checks() {
		if !l.ignores("X-Accel-Redirect") {
			say(l.handler().Place, "an X-Accel-Redirect in a refusal makes it an allow", "proxy_ignore_headers X-Accel-Redirect;")
		}
	}
}

func (l *level) ignores(name string) bool {
	for _, d := range l.effective("proxy_ignore_headers") {
		if slices.ContainsFunc(d.Args, func(a string) bool { return strings.EqualFold(a, name) }) {
			return true
		}
	}
	return false
}

// nginxUnderscores: many backends read Remote_User as Remote-User (docs/seam.md, nginx: underscores_in_headers
// on; B2).
func nginxUnderscores(s *nginxSite, say say) {
	s.heads("underscores_in_headers", "on", func(at syntax.Place) {
		say(at, "Remote_User passes beside the gate's Remote-User, and many backends take it for that", "underscores_in_headers off;")
	})
}

// nginxInvalidHeaders: so do Remote~User and twelve more (docs/seam.md, nginx: ignore_invalid_headers off; B3).
func nginxInvalidHeaders(s *nginxSite, say say) {
	s.heads("ignore_invalid_headers", "off", func(at syntax.Place) {
		say(at, "Remote~User and twelve more pass beside the gate's Remote-User, and some backends take them for that", "ignore_invalid_headers on;")
	})
}

// heads finds a setting of how heads are read. A head is read before its server is known, so that of the
// first server on the same address counts as well.
func (s *nginxSite) heads(name, bad string, found func(at syntax.Place)) {
	if !s.protects() {
		return
	}
	for _, other := range s.heading[name] {
		if d := other.server.effective(name); d[0].Arg(0) == bad && (other == s || other.sharesAddress(s)) {
			found(d[0].Place)
			return
		}
	}
}

func (s *nginxSite) sharesAddress(other *nginxSite) bool {
	for _, a := range s.server.Named("listen") {
		for _, b := range other.server.Named("listen") {
			if a.Arg(0) == b.Arg(0) {
				return true
			}
		}
	}
	return false
}

// nginxTimeout: nginx waits a minute by default, so a gate that hangs holds every request (docs/seam.md,
// nginx: no proxy_read_timeout; B12).
func nginxTimeout(s *nginxSite, say say) {
	for _, l := range s.checks() {
		if limit, ok := nginxDuration(l.value("proxy_read_timeout")); !ok || limit > 10*time.Second {
			say(l.handler().Place, "a gate that hangs holds every request for a minute", "proxy_read_timeout 1s;")
		}
	}
}

// nginxDuration reads a time of nginx, whose unit is the second where none is written.
func nginxDuration(text string) (time.Duration, bool) {
	if _, err := strconv.Atoi(text); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// nginxContentLength: the client's length goes to the gate without a body (docs/seam.md, nginx: no
// Content-Length "" in the check; proxies.md 1.2).
func nginxContentLength(s *nginxSite, say say) {
	for _, l := range s.checks() {
		if value, set := l.header("Content-Length"); !set || value != "" {
			say(l.handler().Place, "the gate is told of a body that never comes", `proxy_set_header Content-Length "";`)
		}
	}
}

// nginxCache: the gate says no-store; where that is ignored a decision outlives its device, and where the key
// leaves the token out it is anybody's (docs/seam.md, nginx: proxy_cache by path; B14).
func nginxCache(s *nginxSite, say say) {
	for _, l := range s.checks() {
		if zone := l.value("proxy_cache"); zone != "" && zone != "off" && (l.ignores("Cache-Control") || l.ignores("Expires")) {
			say(l.handler().Place, "a decision is kept against the gate's Cache-Control, and given to whoever asks for the same", "proxy_cache off;")
		}
	}
}

// nginxUpgrade: after 101 nginx looks into nothing more (docs/seam.md, nginx: any upgrade passed on; B18).
func nginxUpgrade(s *nginxSite, say say) {
	for _, l := range s.guarded() {
		if value, _ := l.header("Upgrade"); s.reaches(value, func(name string) bool { return name == "http_upgrade" }) {
			say(l.handler().Place, "Upgrade: h2c opens a tunnel to the backend, in which a client with a token asks for any path in any name",
				"proxy_set_header Upgrade $gate_upgrade; with map $http_upgrade $gate_upgrade { default ''; ~*^websocket$ websocket; }")
		}
	}
}

// nginxMirror: copies skip the access phase and inherit no header that is set (docs/seam.md, nginx: mirror;
// proxies.md 1.2).
func nginxMirror(s *nginxSite, say say) {
	told := map[*level]bool{}
	for _, l := range s.levels {
		if l.check() == "" {
			continue
		}
		for _, d := range l.effective("mirror") {
			copies := s.locate(d.Arg(0))
			if d.Arg(0) == "off" || copies == nil || copies.handler() == nil || told[copies] {
				continue
			}
			for _, name := range s.names.all() {
				if value, set := copies.header(name); !set || value != "" {
					told[copies] = true
					say(copies.handler().Place, fmt.Sprintf("the copy of an allowed request carries the client's own %s: copies are not checked", name), copies.setting(name, "''"))
					break
				}
			}
		}
	}
}

// nginxCheckUnknown: the location that takes a misspelt name answers in the gate's place, and the backend's
// 200 is the allow. A query is a part of the name (docs/seam.md, nginx: auth_request with a name that no
// location has, and the two that follow; B26). A check of another service, in an internal location, is not
// judged.
func nginxCheckUnknown(s *nginxSite, say say) {
	told := map[*syntax.Directive]bool{}
	for _, l := range s.levels {
		name := l.check()
		if name == "" {
			continue
		}
		d, target := l.effective("auth_request")[0], s.locate(name)
		if told[d] || target != nil && (target.asks() || target.handler() != nil && target.First("internal") != nil) {
			continue
		}
		told[d] = true
		problem := fmt.Sprintf("no location asks the gate for %.60s: another one answers in its place, and its 200 lets everybody in", name)
		if target != nil && target.handler() == nil && target.answers() {
			problem = fmt.Sprintf("the location of %.60s answers by itself, and lets everybody in", name)
		} else if target == nil || target.First("return") != nil && target.handler() == nil {
			problem = fmt.Sprintf("no location asks the gate for %.60s: everybody is refused", name)
		}
		fix := "auth_request with the name of a location that has proxy_pass .../auth/nginx?policy=..."
		if strings.Contains(name, "?") {
			fix = "no query in auth_request; write it on proxy_pass: .../auth/nginx?policy=..."
		}
		say(d.Place, problem, fix)
	}
}

// nginxCheckUnused: a check that was written and is not asked is the trace of a location that lost its own
// (docs/seam.md, nginx: the policy of a location; B22).
func nginxCheckUnused(s *nginxSite, say say) {
	used := map[*level]bool{}
	for _, l := range s.levels {
		if name := l.check(); name != "" {
			used[s.locate(name)] = true
		}
	}
	for _, l := range s.checks() {
		if !used[l] {
			_, name := l.pattern()
			say(l.Place, fmt.Sprintf("no location asks %.60s: what it should protect has another policy, or none", name), fmt.Sprintf("auth_request %s; in the location that it is for, or take it out", name))
		}
	}
}

// nginxNotInternal: clients that call the check learn what the gate says of any address (docs/seam.md, nginx:
// internal).
func nginxNotInternal(s *nginxSite, say say) {
	for _, l := range s.checks() {
		if l.First("internal") == nil {
			say(l.handler().Place, "clients can call the check themselves", "internal;")
		}
	}
}

// nginxEndpoint: each endpoint reads the headers of its own proxy; those of another are the client's
// (docs/seam.md, B4, traefik: the endpoint of another proxy).
func nginxEndpoint(s *nginxSite, say say) {
	for _, l := range s.checks() {
		if found := endpoint.FindStringSubmatch(l.handler().Arg(0)); found[1] != "nginx" {
			say(l.handler().Place, fmt.Sprintf("/auth/%s reads headers that nginx does not write, so the client does", found[1]), "proxy_pass with /auth/nginx")
		}
	}
}

// nginxPolicyFromClient: the policy is the operator's, or it is no policy (docs/seam.md, B22).
func nginxPolicyFromClient(s *nginxSite, say say) {
	for _, l := range s.checks() {
		if _, query, _ := strings.Cut(l.handler().Arg(0), "?"); s.depends(query, clients, map[string]bool{}) {
			say(l.handler().Place, "the client chooses the policy", "proxy_pass .../auth/nginx?policy=NAME; with the name written out")
		}
	}
}

// nginxHTTPHost: an absolute request line with another Host has two hosts (docs/seam.md, nginx: $host; B10).
func nginxHTTPHost(s *nginxSite, say say) {
	for _, l := range s.checks() {
		value, _ := l.header("X-Original-URL")
		if s.reaches(value, func(name string) bool { return name == "http_host" }) {
			say(l.handler().Place, "$http_host is what the client wrote: the gate is told of another host than nginx serves", "proxy_set_header X-Original-URL $scheme://$host$request_uri;")
		}
	}
}

// nginxOriginal: a header that nginx does not write is the client's (docs/seam.md, B4; proxies.md 1.2).
func nginxOriginal(s *nginxSite, say say) {
	for _, l := range s.checks() {
		for _, want := range [][2]string{{"X-Original-URL", "$scheme://$host$request_uri"}, {"X-Original-Method", "$request_method"}} {
			got, _ := l.header(want[0])
			if got == "" || s.reaches(got, func(v string) bool { return clients(v) && v != "http_host" && v != "request_uri" }) {
				say(l.handler().Place, fmt.Sprintf("the gate believes the client's own %s", want[0]), fmt.Sprintf("proxy_set_header %s %s;", want[0], want[1]))
			}
		}
	}
}

// nginxClientAddress: the gate's rules about networks and countries go by this address (docs/seam.md, nginx:
// the client's address; B5).
func nginxClientAddress(s *nginxSite, say say) {
	for _, l := range s.checks() {
		got, _ := l.header("X-Forwarded-For")
		if got == "" || s.reaches(got, func(v string) bool { return strings.HasPrefix(v, "http_") }) {
			say(l.handler().Place, "the gate believes the client's own word for its address", "proxy_set_header X-Forwarded-For $remote_addr;")
		}
	}
}

// nginxNoAuthorization: nothing gets through, and nobody gets in (docs/seam.md, nginx:
// proxy_pass_request_headers off in the check).
func nginxNoAuthorization(s *nginxSite, say say) {
	for _, l := range s.checks() {
		value := ""
		named := slices.ContainsFunc(l.effective("proxy_set_header"), func(d *syntax.Directive) bool {
			value = d.Arg(1)
			return strings.EqualFold(d.Arg(0), "Authorization")
		})
		if named && value == "" || !named && l.value("proxy_pass_request_headers") == "off" {
			say(l.handler().Place, "the gate is not shown the token, so nobody gets in", "proxy_set_header Authorization $http_authorization;")
		}
	}
}

// nginxPathRefusal: nginx decodes and cleans a path to choose the location, and passes it on as it came
// (docs/seam.md, nginx: dot segments and the five that follow; B7).
func nginxPathRefusal(s *nginxSite, say say) {
	if !s.mixed() {
		return
	}
	refused, unclear := s.refusals()
	paths := together(dotSegments, dotParameters, encodedDots, encodedEscapes, encodedSlashes, []string{"/open/#/../../x"})
	if missed := refused.misses(paths); missed != "" {
		say(s.server.Place, fmt.Sprintf("%s is one location to nginx and another path to the backend%s", missed, unclear),
			`if ($request_uri ~* "^[^?]*(#|%2f|%5c|%00|%25|%3b|\\\\|/;|/(\.|%2e){1,2}(;|/|\?|$))") { return 400; } in the server`)
	}
}

var condition = regexp.MustCompile(`^\(\s*\$request_uri\s+(~\*?)\s+(.*)\)$`)

// refusals returns the expressions that the server refuses targets by, before a location is chosen.
func (s *nginxSite) refusals() (all refusal, unclear string) {
	for _, l := range s.server.below {
		found := condition.FindStringSubmatch(strings.Join(l.Args, " "))
		if l.Name != "if" || found == nil || !strings.HasPrefix(l.First("return").Arg(0), "4") {
			continue
		}
		e, err := expression(strings.TrimSpace(found[2]), found[1] == "~*", false)
		if err != nil {
			unclear = fmt.Sprintf(" (the expression of line %d cannot be judged)", l.Line)
			continue
		}
		all = append(all, e)
	}
	return all, unclear
}
