package config

import (
	"fmt"
	"strings"
)

// The longest answer that lets somebody pass with an assertion. Everything is counted in bytes, with the line ends, as
// it goes over the wire; server TestLongestAnswer makes the answer and measures it.
const (
	// maxAnswer is what proxies take: nginx has one buffer of 4 KiB for the whole head of an answer, and there it
	// stands beside what others may add on the way.
	maxAnswer = 3900

	// envelope is what an answer says beside the identity: the status, Date, Connection, Cache-Control,
	// Content-Length, and over Envoy's HTTP mode that Authorization is to be removed.
	envelope = 17 + 37 + 19 + 25 + 19 + 47 + 2
	// identity is what the three headers hold: name and roles (login.CheckName and what is checked with it) and a UUID.
	identity = 1000 + 36
	// fourLines is the colon, space and line end of each of the four.
	fourLines = 4 * 4

	// The parts of an assertion. Its header names alg, kid (43 bytes) and typ; a signature of EdDSA and ES256 has 64
	// bytes. Its claims are those of the longest host, and a name and roles that grow most in JSON: 150 quotation marks,
	// and 850 bytes of 32 roles.
	assertionHeader    = 89
	assertionSignature = 64
	assertionClaims    = 1642 // and iss
)

// AssertionBytes returns how long an assertion may be, so that the whole answer stays below what proxies take whoever
// passes.
func (h IdentityHeaders) AssertionBytes() int {
	names := len(h.User) + len(h.Roles) + len(h.Device) + len(h.Assertion)
	return maxAnswer - 1 - envelope - identity - fourLines - names
}

// issuerBytes returns how long an issuer may be in an assertion that has to fit.
func (h IdentityHeaders) issuerBytes() int {
	n := 0
	for longestAssertion(n+1) <= h.AssertionBytes() {
		n++
	}
	return n
}

// longestAssertion returns how long an assertion can be whose issuer takes so many bytes: with every algorithm but RS256.
func longestAssertion(issuer int) int {
	return base64Length(assertionHeader) + 1 + base64Length(assertionClaims+issuer) + 1 + base64Length(assertionSignature)
}

// base64Length is that of n bytes without padding (RFC 7515 section 2).
func base64Length(n int) int { return (4*n + 2) / 3 }

// checkAssertion refuses what would break the promise that the answer to a proxy has room for an assertion, whoever
// passes. A proxy that cannot take an answer refuses the request.
func (l *loader) checkAssertion() {
	h, t := l.config.IdentityHeaders, l.config.Tokens
	if h.Assertion == "" {
		return
	}
	if t.Algorithm == "RS256" {
		l.conflict("identity_headers.assertion does not go with tokens.algorithm RS256, whose long signatures and a long name do not fit into one answer to a proxy; write EdDSA or ES256",
			"identity_headers.assertion", "tokens.algorithm")
	}
	inJSON := len(t.Issuer) + strings.Count(t.Issuer, `"`) + strings.Count(t.Issuer, `\`)
	if most := h.issuerBytes(); inJSON > most {
		l.conflict(fmt.Sprintf("tokens.issuer takes %d bytes in an assertion, and the answer to a proxy has room for %d beside the names of identity_headers; shorten it, or them",
			inJSON, most),
			"identity_headers.assertion", "identity_headers.user", "identity_headers.roles", "identity_headers.device", "tokens.issuer")
	}
}
