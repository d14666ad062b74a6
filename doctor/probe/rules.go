package probe

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"devicegate/safetext"
)

// rule says what of an exchange must not be. Nothing: it holds.
type rule func(r *run, x exchange) []violation

// violation is what was seen instead. Its code is that of the probe where it is "".
type violation struct{ code, saw string }

// all is every one of the rules.
func all(rules ...rule) rule {
	return func(r *run, x exchange) (found []violation) {
		for _, holds := range rules {
			found = append(found, holds(r, x)...)
		}
		return found
	}
}

// refused: the backend is not reached, and nobody answers in its place.
func refused(r *run, x exchange) []violation {
	for _, a := range r.arrivals(x) {
		if r.open == "" || !below(a.target(), r.open) {
			return []violation{{saw: "the backend got " + shown(a.line)}}
		}
	}
	if !x.always || !r.letThrough(x) {
		return nil
	}
	v := violation{saw: fmt.Sprintf("status %d", x.response.status)}
	if r.backend != nil {
		v.code = "answered-unchecked"
	}
	return []violation{v}
}

// letThrough reports whether an answer looks from outside as if nobody had refused.
func (r *run) letThrough(x exchange) bool {
	switch status := x.response.status; {
	case x.response.header.Get("X-Auth-Reason") != "" && status >= 400, status == http.StatusUnauthorized, status == http.StatusForbidden:
		return false
	case status/100 == 2 || status == http.StatusSwitchingProtocols:
		return true
	default: // where the application answers 404 to whom the gate lets pass, 404 says that the application was asked
		return r.backend == nil && status != 0 && status == r.passed && status != http.StatusBadRequest
	}
}

// below reports whether a target lies below the open path in whatever way a backend reads it: nothing in it
// leads up, hides something, or is cut off by some.
func below(target, open string) bool {
	rest, is := strings.CutPrefix(target, open)
	rest, _, _ = strings.Cut(rest, "?")
	return is && !strings.Contains(rest, "..") && !strings.ContainsAny(rest, `%;\#`)
}

// asAccount: what arrives names the account and its device, each name once, and nothing else that a backend may
// read as one of them.
func asAccount(r *run, x exchange) []violation {
	if r.Policy.Report {
		return asNobody(r, x)
	}
	return r.identified(x, map[string]string{
		r.Identity.User: r.account.Name, r.Identity.Roles: x.roles, r.Identity.Device: r.account.Device, r.Identity.Assertion: anyValue,
	})
}

// anyValue stands for a value that only the gate can make.
const anyValue = "*"

// asNobody: what arrives names nobody.
func asNobody(r *run, x exchange) []violation { return r.identified(x, nil) }

// identified compares the identity headers of everything that arrived, copies included.
func (r *run) identified(x exchange, want map[string]string) []violation {
	for _, a := range r.arrivals(x) {
		for _, name := range r.Identity.names() {
			if v := compare(name, want[name], a); v.saw != "" {
				return []violation{v}
			}
		}
	}
	return nil
}

// compare looks for name in all spellings among the headers that arrived. An empty value is none.
func compare(name, want string, a arrival) violation {
	var lines []string
	right := 0
	for _, h := range a.headers {
		n, value, _ := strings.Cut(h, ":")
		value = strings.TrimSpace(value)
		if fold(n) != fold(name) || want == "" && value == "" {
			continue
		}
		lines = append(lines, shown(h))
		if same(value, want) {
			right++
		}
	}
	switch {
	case want == "" && len(lines) == 0, right == 1 && len(lines) == 1:
		return violation{}
	case len(lines) == 0:
		return violation{"identity-missing", "the backend got no " + name}
	}
	return violation{saw: "the backend got " + strings.Join(lines, " and ")}
}

// same compares values; roles may come in any order.
func same(value, want string) bool {
	if want == anyValue {
		return strings.Count(value, ".") == 2
	}
	got, wanted := strings.Split(value, ","), strings.Split(want, ",")
	slices.Sort(got)
	slices.Sort(wanted)
	return slices.Equal(got, wanted)
}

// fold reads a header's name as CGI (RFC 3875, section 4.1.18) and the like do: letter case does not count, and
// everything that is no letter or digit is one character.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(strings.TrimSpace(name)))
}

// namesNone: Connection names no identity header, or the next hop would take it away (RFC 9110, section 7.6.1).
func namesNone(r *run, x exchange) []violation {
	for _, a := range r.arrivals(x) {
		for option := range strings.SplitSeq(a.value("Connection"), ",") {
			if !slices.ContainsFunc(r.Identity.names(), func(name string) bool { return fold(name) == fold(option) }) {
				continue
			}
			if r.kind == "envoy" && a.value("Upgrade") != "" { // and has no setting that would change it
				r.cannot("Envoy passes Connection of a WebSocket handshake on as the client wrote it, so that another proxy behind it would take the identity headers away: whether there is one was not looked at")
				return nil
			}
			return []violation{{"connection-names-identity", "the backend got Connection: " + shown(a.value("Connection"))}}
		}
	}
	return nil
}

// noTunnel: the backend is not asked to leave HTTP/1.1 for something that nobody looks into.
func noTunnel(r *run, x exchange) []violation {
	for _, a := range r.arrivals(x) {
		if strings.Contains(strings.ToLower(a.value("Upgrade")), "h2c") {
			return []violation{{"upgrade-h2c", "the backend got Upgrade: " + shown(a.value("Upgrade"))}}
		}
	}
	return nil
}

// keepsToken: the backend gets no token where the policy says so.
func keepsToken(r *run, x exchange) []violation {
	for _, a := range r.arrivals(x) {
		if r.Policy.RemovesToken && strings.Contains(a.value("Authorization"), r.account.Token) {
			return []violation{{"token-reaches-backend", "the backend got the access token"}}
		}
	}
	return nil
}

// rebuilt: of what the proxy writes about a request, nothing is the client's word.
func rebuilt(r *run, x exchange) []violation {
	var lies []string
	for _, a := range r.arrivals(x) {
		for _, name := range written[r.kind] {
			if strings.Contains(strings.ToLower(a.value(name)), "evil") {
				lies = append(lies, name)
			}
		}
		hops := strings.Split(a.value("X-Forwarded-For"), ",")
		if slices.Contains(liedAddresses, strings.TrimSpace(hops[len(hops)-1])) {
			lies = append(lies, "X-Forwarded-For")
		}
	}
	if len(lies) == 0 {
		return nil
	}
	return []violation{{saw: "the backend got the client's " + strings.Join(lies, ", ")}}
}

// written are the headers of the family that the gate reads from each kind, and what belongs to it: what the
// backend is sent in them, the gate was sent too. Of nginx and Envoy the gate reads none of these.
var written = map[string][]string{
	"":        {"X-Forwarded-Proto"},
	"nginx":   {"X-Forwarded-Proto", "X-Forwarded-Host"},
	"envoy":   {"X-Forwarded-Proto"},
	"traefik": {"X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-Port"},
	"caddy":   {"X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-Port"},
	"haproxy": {"X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-Port"},
}

// tellsNobody: no answer shows the client whom the gate takes it for.
func (r *run) tellsNobody(x exchange) []violation {
	for name, values := range x.response.header {
		text := strings.Join(values, ",")
		if fold(name) == fold(r.Identity.Assertion) && text != "" { // whoever has it is believed by backends for a minute
			return []violation{{"identity-shown", "the client got " + shown(name) + " with a value"}}
		}
		if slices.ContainsFunc(r.Identity.names(), func(n string) bool { return fold(n) == fold(name) }) &&
			(strings.Contains(text, r.account.Name) || strings.Contains(text, r.account.Device)) {
			return []violation{{"identity-shown", "the client got " + shown(name+": "+text)}}
		}
	}
	return nil
}

// tokens are what stands for somebody: JWTs, by the way in which every one of them begins.
var tokens = regexp.MustCompile(`eyJ[A-Za-z0-9_.-]*`)

// shown is text of others, fit for a finding. A token in it is left out.
func shown(text string) string {
	return fmt.Sprintf("%q", safetext.Bound(tokens.ReplaceAllString(text, "(a token)"), 120))
}
