package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var haproxyRules = []rule[*haproxySite]{
	{"haproxy-identity-not-removed", "a frontend that does not delete each identity header before it asks", haproxyIdentity},
	{"haproxy-header-names", "no `option http-restrict-req-hdr-names delete`: Remote_User, Remote~User and twelve more pass", haproxyHeaderNames},
	{"haproxy-forwarded", "a header of the X-Forwarded family that is left to the client", haproxyForwarded},
	{"haproxy-connection", "the client's Connection is kept: a proxy behind takes the gate's headers away", haproxyConnection},
	{"haproxy-upgrade", "any Upgrade is passed on: h2c is a tunnel in which nothing is checked", haproxyUpgrade},
	{"haproxy-no-final-deny", "no deny behind the question that lets only an allow through: an error lets everybody in", haproxyFinal},
	{"haproxy-path-refusal", "open and protected paths side by side without a refusal of paths that backends read differently", haproxyPathRefusal},
	{"haproxy-normalize-order", "normalize-uri that decodes after it has cleaned: `/open/%2e%2e/x` becomes an open `/open/../x`", haproxyNormalize},
	{"haproxy-open-acl", "an open path that is compared without letter case, or decoded: more is open than is written", haproxyOpen},
	{"haproxy-strict-acl", "a strict path that is compared as it came: `/st%61ff` and `//staff` have another policy", haproxyStrict},
	{"haproxy-check-endpoint", "a question at the endpoint of another proxy", haproxyEndpoint},
	{"haproxy-policy-from-client", "a policy that is taken from what the client sends", haproxyPolicy},
	{"haproxy-allow-before-check", "an allow in front of the final deny: it ends the rules, and nobody is asked", haproxyAllow},
	{"haproxy-open-by-client", "what is exempt from the question is chosen by a header, a cookie, the query or the method", haproxyOpenByClient},
	{"haproxy-verdict", "the variable of the final deny is set by a rule, and not by the script alone", haproxyVerdict},
	{"haproxy-identity-from-client", "an identity header that a rule sets to anything but the gate's word, in the backend too", haproxyIdentityFromClient},
	{"haproxy-backend-unchecked", "a frontend that asks nobody and leads to servers that are behind the gate elsewhere, with the client's identity headers", haproxyBackend},
	{"haproxy-open-prefix-off", "an open path whose prefix is taken off on the way to protected servers: `/open/staff` is `/staff` there", haproxyPrefixOff},
	{"haproxy-lua-missing", "the script that asks is in no file", haproxyLuaMissing},
	{"haproxy-lua-identity", "a script that does not make each identity header the gate's", haproxyLuaIdentity},
	{"haproxy-lua-status", "a script that allows on another status than 200", haproxyLuaStatus},
	{"haproxy-lua-timeout", "a script that waits for the gate without a limit", haproxyLuaTimeout},
}

// haproxyIdentity: docs/seam.md, B1; the example's lines identity removed on open routes, identity removed by
// the script too.
func haproxyIdentity(s *haproxySite, say say) {
	for _, name := range s.names.all() {
		if _, all := s.deletes(name); !all {
			say(s.front.Place, fmt.Sprintf("the client's own %s reaches the backend on open paths", name), "http-request del-header "+name+" before the question")
		}
	}
}

// haproxyHeaderNames: odd header names on open and protected routes; docs/seam.md, B2, B3; proxies.md 1.5.
func haproxyHeaderNames(s *haproxySite, say say) {
	if word := s.option("http-restrict-req-hdr-names"); word == "delete" || word == "reject" {
		return
	}
	for _, name := range s.names.all() {
		for _, alias := range aliases(name) {
			if _, all := s.deletes(alias); !all && alias != name {
				say(s.front.Place, fmt.Sprintf("the client's %s reaches the backend, which may take it for %s", alias, name), "option http-restrict-req-hdr-names delete")
				return
			}
		}
	}
}

// haproxyForwarded: HAProxy writes none of them by itself (docs/seam.md, B5; the client's address,
// X-Forwarded-Host and the two that follow; proxies.md 1.5).
func haproxyForwarded(s *haproxySite, say say) {
	for _, h := range [][2]string{
		{"X-Forwarded-For", "%[src]"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "%[req.fhdr(host)]"}, {"X-Forwarded-Method", "%[method]"}, {"X-Forwarded-Uri", "%[pathq]"},
	} {
		value, set := s.sets(h[0])
		if !set || strings.Contains(strings.ToLower(value), "hdr(x-") {
			say(s.front.Place, fmt.Sprintf("gate and backend are told the client's own %s", h[0]), fmt.Sprintf("http-request set-header %s %s", h[0], h[1]))
		}
	}
	for _, r := range s.rules {
		if r.action == "set-src" && !slices.Contains(r.condition, "src") {
			say(r.Place, "clients choose the address that the gate, its rules and its history see", "http-request set-src ... if { src ADDRESS-OF-THE-PROXY-IN-FRONT }")
		}
	}
	for _, name := range []string{"X-Forwarded-Prefix", "X-Forwarded-Port"} {
		_, all := s.deletes(name)
		if _, set := s.sets(name); !set && !all {
			say(s.front.Place, fmt.Sprintf("the backend is told the client's own %s", name), "http-request del-header "+name)
		}
	}
}

// written says whether a header is written anew on some requests.
func (s *haproxySite) written(name string) bool {
	return slices.ContainsFunc(s.before(), func(r haproxyRule) bool {
		return r.action == "set-header" && len(r.args) == 2 && strings.EqualFold(r.args[0], name) && !strings.Contains(r.args[1], "hdr(")
	})
}

// haproxyConnection: HAProxy passes Connection on as it came (docs/seam.md, B6; proxies.md 1.5).
func haproxyConnection(s *haproxySite, say say) {
	const fix = "http-request del-header Connection unless websocket, and http-request set-header Connection Upgrade if websocket"
	some, all := s.deletes("Connection")
	switch {
	case !some:
		say(s.front.Place, "Connection: Remote-User has the next hop take the gate's header away", fix)
	case !all && !s.written("Connection"):
		say(s.front.Place, "where the condition leaves it, Connection: Upgrade, Remote-User has the next hop take the gate's header away", fix)
	}
}

// haproxyUpgrade: docs/seam.md, B18.
func haproxyUpgrade(s *haproxySite, say say) {
	connection, _ := s.deletes("Connection")
	if upgrade, _ := s.deletes("Upgrade"); !upgrade && !connection {
		say(s.front.Place, "Upgrade: h2c opens a tunnel to the backend, in which a client with a token asks for any path in any name",
			"acl websocket req.fhdr(upgrade) -m str -i websocket and http-request del-header Upgrade unless websocket")
	}
}

// haproxyFinal: an action that fails lets the next rule go on (the last deny, three lines; docs/seam.md, B12).
func haproxyFinal(s *haproxySite, say say) {
	if _, found := s.final(); !found {
		say(s.asked[len(s.asked)-1].Place, "a gate that is down or broken, or a script that fails, lets everybody in", "http-request deny deny_status 503 unless { var(txn.devicegate) -m str allow } behind it")
	}
}

// haproxyPathRefusal: dot segments and the five that follow, a broken escape; docs/seam.md, B7.
func haproxyPathRefusal(s *haproxySite, say say) {
	if !s.mixed() {
		return
	}
	paths := together(dotSegments, dotParameters, encodedDots, encodedEscapes, encodedSlashes, []string{"/st%61ff/x%zz"})
	if missed := s.refused().misses(paths); missed != "" {
		say(s.front.Place, fmt.Sprintf("%s is one path to HAProxy and another to the backend", missed),
			`http-request deny deny_status 400 if { path -m reg -i '(#|%2f|%5c|%00|%25|%3b|\\|/;|/(\.|%2e){1,2}(;|/|$)|%([^0-9a-f]|.[^0-9a-f]|.?$))' } before all else`)
	}
}

// haproxyNormalize: what is decoded last has not been cleaned (dot segments refused, and not cleaned in the
// wrong order; proxies.md 1.5; B7).
func haproxyNormalize(s *haproxySite, say say) {
	cleaned := false
	for _, r := range s.rules {
		if r.action != "normalize-uri" || len(r.args) == 0 {
			continue
		}
		cleaned = cleaned || strings.HasPrefix(r.args[0], "path-strip-dot")
		if cleaned && r.args[0] == "percent-decode-unreserved" {
			say(r.Place, "/open/%2e%2e/x is decoded after dot segments were cleaned, and is open", "percent-decode-unreserved before all other normalize-uri, or deny such paths")
		}
	}
}

// haproxyOpen: the open route as it is written; docs/seam.md, B7.
func haproxyOpen(s *haproxySite, say say) {
	for _, name := range s.open() {
		for _, d := range s.acls(name) {
			if strings.HasPrefix(d.Arg(1), "path") && (slices.Contains(d.Args[2:], "-i") || strings.Contains(d.Arg(1), ",")) {
				say(d.Place, fmt.Sprintf("%.40s, which is open, takes paths that are others to the backend", name), fmt.Sprintf("acl %s path_beg /..., without -i and without a converter", name))
			}
		}
	}
}

// haproxyStrict: the strict route, decoded, with doubled slashes; docs/seam.md, B7.
func haproxyStrict(s *haproxySite, say say) {
	if !s.mixed() {
		return
	}
	refused := s.refused()
	for _, test := range s.strict() {
		decoded := strings.Contains(test.words[0], "url_dec") || refused.misses([]string{"/st%61ff"}) == ""
		last := test.words[len(test.words)-1]
		slashes := strings.HasPrefix(last, "^/+") || strings.HasPrefix(last, "^/*/") || refused.misses([]string{"//staff"}) == ""
		if !decoded || !slashes {
			say(test.Place, "a strict path is compared as it came: /st%61ff and //staff are none here, and are to the backend", "path,url_dec -m reg -i ^/+staff")
		}
	}
}

// haproxyEndpoint: docs/seam.md, B4.
func haproxyEndpoint(s *haproxySite, say say) {
	for _, r := range s.asked {
		if found := endpoint.FindStringSubmatch(r.asks()); found[1] != "haproxy" {
			say(r.Place, fmt.Sprintf("/auth/%s reads headers that this configuration does not write, so the client does", found[1]), ".../auth/haproxy?policy=NAME")
		}
	}
}

// haproxyPolicy: docs/seam.md, B22.
func haproxyPolicy(s *haproxySite, say say) {
	for _, r := range s.asked {
		if strings.Contains(r.asks(), "%[") {
			say(r.Place, "the policy is made of what a request holds", ".../auth/haproxy?policy=NAME, with the name written out")
		}
	}
}

// haproxyLuaMissing: what is not read is not proved.
func haproxyLuaMissing(s *haproxySite, say say) {
	if len(s.scripts) == 0 {
		say(s.asked[0].Place, fmt.Sprintf("the script with the action %.40s is in none of the files, and is not judged", s.asked[0].action), "the file of lua-load as one of the files")
	}
}

var luaFunction = regexp.MustCompile(`\bfunction\s+([A-Za-z_][A-Za-z0-9_]*)\s*\(`)

// haproxyLuaIdentity: identity set by the script; docs/seam.md, B1. The function that sets headers of the request
// has to be there, to be called, and to know each name.
func haproxyLuaIdentity(s *haproxySite, say say) {
	for _, lua := range s.scripts {
		for _, name := range s.names.all() {
			if !strings.Contains(strings.ToLower(lua.text), `"`+strings.ToLower(name)+`"`) {
				say(lua.Place, fmt.Sprintf("the script does not make %s the gate's", name), fmt.Sprintf("%q in the list of identity headers", strings.ToLower(name)))
			}
		}
		if name, called := lua.sets(); !called {
			say(lua.Place, "the script does not make the identity headers the gate's when it allows", fmt.Sprintf("%s(txn, answer.headers) before it says allow", name))
		}
	}
}

// sets returns the function around the setting of a request header, and whether anybody calls it.
func (l script) sets() (name string, called bool) {
	at := strings.Index(l.text, "req_set_header")
	if at < 0 {
		return "identify", false
	}
	found := luaFunction.FindAllStringSubmatch(l.text[:at], -1)
	if len(found) == 0 {
		return "identify", true // in the action itself
	}
	name = found[len(found)-1][1]
	return name, len(regexp.MustCompile(`\b`+name+`\s*\(`).FindAllString(l.text, -1)) > 1
}

var luaAllows = regexp.MustCompile(`status\s*==\s*200\b`)

// haproxyLuaStatus: status 200 alone allows; docs/seam.md, B12.
func haproxyLuaStatus(s *haproxySite, say say) {
	for _, lua := range s.scripts {
		if !luaAllows.MatchString(lua.text) || luaEither.MatchString(lua.text) {
			say(lua.Place, "an answer that is no allow lets everybody in: the script does not compare the status with 200, or not with that alone", "if answer.status == 200 then")
		}
	}
}

var luaTimeout = regexp.MustCompile(`httpclient\(\)\s*:\s*\w+\s*\(\s*\{[^}]*\btimeout\s*=`)

// haproxyLuaTimeout: the time limit; docs/seam.md, B12.
func haproxyLuaTimeout(s *haproxySite, say say) {
	for _, lua := range s.scripts {
		if !luaTimeout.MatchString(lua.text) {
			say(lua.Place, "a gate that hangs is waited for", "timeout = 500 in what httpclient():get is given")
		}
	}
}
