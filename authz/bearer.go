package authz

import (
	"strings"

	"devicegate/reason"
)

// Bearer returns the token of the Authorization values of one request, or why there is none (RFC 6750
// section 2.1). Two values, or a comma in one, are refused whatever the scheme: Envoy joins what a client
// sent twice, and proxy, gate and backend could each take another one of them.
func Bearer(values []string) (token string, why reason.Reason) {
	if len(values) == 0 {
		return "", reason.NoToken
	}
	if len(values) > 1 || strings.ContainsRune(values[0], ',') {
		return "", reason.BadAuthorization
	}
	scheme, rest := splitScheme(values[0])
	if !strings.EqualFold(scheme, "bearer") {
		return "", reason.NoToken
	}
	token, found := strings.CutPrefix(rest, " ")
	if !found || token == "" || !onlyTokenBytes(token) {
		return "", reason.BadAuthorization
	}
	return token, reason.OK
}

// splitScheme cuts a value after its scheme, which is a token of RFC 9110 section 5.6.2.
func splitScheme(value string) (scheme, rest string) {
	for i := 0; i < len(value); i++ {
		if !isTchar(value[i]) {
			return value[:i], value[i:]
		}
	}
	return value, ""
}

func isTchar(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func onlyTokenBytes(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenBytes[s[i]] {
			return false
		}
	}
	return true
}

// tokenBytes marks what b64token of RFC 6750 is made of. A table, because every byte of every token passes
// here at every check.
var tokenBytes = func() (marked [256]bool) {
	for c := range marked {
		marked[c] = isAlphanumeric(byte(c)) || strings.IndexByte("-._~+/=", byte(c)) >= 0
	}
	return marked
}()
