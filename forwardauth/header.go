package forwardauth

import (
	"net"
	"net/http"
	"strings"

	"devicegate/authz"
)

// isUnix reports whether the request came over a unix socket. Only net/http's own word counts: a peer
// whose address cannot be read is nobody's friend.
func isUnix(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && addr.Network() == "unix"
}

// once returns the value of a header that must be there exactly once and not be empty. name is in
// canonical form.
func once(h http.Header, name string) (value string, ok bool) {
	values := h[name]
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

// policyOf reads the policy from the query of a check address that the operator wrote. Only nothing, or
// one policy and nothing else, can be read; anything more may have been the client's (Caddy's uri
// without a question mark hands the client's query on).
func policyOf(target string) string {
	_, query, _ := strings.Cut(target, "?")
	if query == "" {
		return authz.DefaultPolicy
	}
	name, ok := strings.CutPrefix(query, "policy=")
	if !ok || strings.ContainsAny(name, "&;=%+?#") {
		return ""
	}
	return name
}

// forwarded is the rule of every proxy that sends the X-Forwarded- family. No other family is read:
// what a proxy does not manage is the client's.
func forwarded(r *http.Request, target string, req *authz.Request) {
	method, hasMethod := once(r.Header, "X-Forwarded-Method")
	_, hasProto := once(r.Header, "X-Forwarded-Proto")
	host, hasHost := once(r.Header, "X-Forwarded-Host")
	uri, hasURI := once(r.Header, "X-Forwarded-Uri")
	req.Complete = hasMethod && hasProto && hasHost && hasURI
	req.Method, req.Host, req.Path = method, host, uri
	req.Policy = policyOf(target)
}
