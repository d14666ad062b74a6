package probe

import (
	"fmt"
	"slices"
	"strings"
)

// oddCharacters are those that a header's name may have besides letters, digits and the dash (RFC 9110, section
// 5.6.2). Many backends read Remote<odd>User as Remote-User.
const oddCharacters = "_.~!#$%&'*+^`|"

// spoofs returns the lines of every identity name.
func (r *run) spoofs(lines func(name string) []string) []string {
	var all []string
	for _, name := range r.Identity.names() {
		all = append(all, lines(name)...)
	}
	return all
}

// spelling is a way to say that one is somebody.
type spelling struct {
	sent, code string
	lines      []string
	h1         bool
}

// identitySpellings are all ways that are known of.
func (r *run) identitySpellings() []spelling {
	spell := func(how func(name string) []string) []string { return r.spoofs(how) }
	all := []spelling{
		{"identity headers", "identity-from-client", spell(func(n string) []string { return []string{n + ": evil"} }), false},
		{"identity headers in another letter case", "identity-from-client", spell(func(n string) []string {
			return []string{strings.ToLower(n) + ": evil", strings.ToUpper(n) + ": evil"}
		}), true},
		{"identity headers twice", "identity-from-client", spell(func(n string) []string { return []string{n + ": evil", n + ": evil2"} }), false},
		{"identity headers, empty and then full", "identity-from-client", spell(func(n string) []string { return []string{n + ":", n + ": evil"} }), false},
		{"identity headers after a tab", "identity-from-client", spell(func(n string) []string { return []string{n + ":\tevil"} }), true},
		{"identity headers on a second line (obs-fold)", "identity-from-client", spell(func(n string) []string { return []string{n + ":\r\n evil"} }), true},
		{"identity headers with a space before the colon", "identity-alias", spell(func(n string) []string { return []string{n + " : evil"} }), true},
	}
	for _, c := range oddCharacters {
		odd := string(c)
		all = append(all, spelling{"identity headers with " + odd + " in place of -", "identity-alias", spell(func(n string) []string { return aliases(n, odd) }), false})
	}
	return all
}

// aliases are a name with odd in place of every dash, and in place of the last alone.
func aliases(name, odd string) []string {
	lines := []string{strings.ReplaceAll(name, "-", odd) + ": evil"}
	if last := strings.LastIndexByte(name, '-'); strings.Count(name, "-") > 1 {
		lines = append(lines, name[:last]+odd+name[last+1:]+": evil")
	}
	return lines
}

// identityProbes say, with a good token, that one is somebody else.
func (r *run) identityProbes() []probe {
	var probes []probe
	for _, s := range r.identitySpellings() {
		probes = append(probes, probe{sent: "the good token and " + s.sent, request: request{lines: append(slices.Clone(s.lines), r.bearer())}, holds: asAccount, code: s.code, h1: s.h1})
	}
	named := strings.Join(r.Identity.names(), ", ")
	add := func(sent, code string, holds rule, lines ...string) {
		probes = append(probes, probe{sent: "the good token and " + sent, request: request{lines: append(lines, r.bearer())}, holds: holds, code: code, h1: true})
	}
	kept := all(asConnected, namesNone)
	add("Connection that names the identity headers", "connection-drops-identity", kept, "Connection: close, "+named)
	add("Connection that names Authorization", "identity-from-client", all(asAccountOrNobody, namesNone), "Connection: close, Authorization")
	upgrade := append(slices.Clone(handshake[2:]), "Upgrade: websocket", "Connection: Upgrade, "+named)
	add("a WebSocket handshake that names the identity headers in Connection", "connection-drops-identity", kept, upgrade...)
	add("an upgrade to HTTP/2", "identity-from-client", all(asAccount, noTunnel), toHTTP2...)
	probes = append(probes, probe{sent: "the good token and X-Forwarded-* of the client's", holds: all(asAccount, rebuilt), code: "forwarded-from-client",
		request: request{lines: append(slices.Clone(forwardedLies), r.bearer())}})
	for i := range probes {
		probes[i].holds = all(probes[i].holds, keepsToken)
	}
	return probes
}

// asConnected is asAccount, where what is missing was taken away by Connection.
func asConnected(r *run, x exchange) []violation {
	found := asAccount(r, x)
	for i := range found {
		if found[i].code == "identity-missing" {
			found[i].code = ""
		}
	}
	return found
}

// asAccountOrNobody is for a request whose token the proxy may have taken away: a policy that lets nobody in as
// nobody then does so.
func asAccountOrNobody(r *run, x exchange) []violation {
	if r.Policy.Anonymous && len(asNobody(r, x)) == 0 {
		return nil
	}
	return asAccount(r, x)
}

var forwardedLies = []string{"X-Forwarded-Method: EVIL", "X-Forwarded-Uri: /evil", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: evil",
	"X-Forwarded-Prefix: /evil", "X-Forwarded-Port: evil", "X-Forwarded-For: 203.0.113.61"}

// openProbes are requests on the open route: there the client is nobody, whatever it says.
func (r *run) openProbes() []probe {
	if r.open == "" {
		r.cannot("no open route was probed: name one with --open PATH, if the proxy has any")
		return nil
	}
	if r.backend == nil {
		return nil
	}
	probes := []probe{{sent: "the open route", request: request{target: r.open + "{mark}"}, holds: all(isOpen, asNobody), code: "identity-from-client-on-open"}}
	for _, s := range r.identitySpellings() {
		probes = append(probes, probe{sent: s.sent + ", on the open route", request: request{target: r.open + "{mark}", lines: s.lines}, holds: asNobody, code: s.code + "-on-open", h1: s.h1})
	}
	return probes
}

// isOpen: the request arrives, or nothing that is said of the open route is proved.
func isOpen(r *run, x exchange) []violation {
	if len(r.arrivals(x)) == 0 {
		if r.stopped == nil {
			r.stopped = fmt.Errorf("nothing below --open %s came to the backend of the probes: route it to the address of --listen as well for the test: the answer has status %d", r.open, x.response.status)
		}
	}
	return nil
}
