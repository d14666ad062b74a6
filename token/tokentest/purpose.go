package tokentest

import (
	"strings"

	"devicegate/reason"
)

// purposeAttacks: J11, tokens of our key for something else.
func (f *Forger) purposeAttacks() []Attack {
	var list []Attack
	for _, typ := range []string{"JWT", "jwt", "", "at+JWT", "AT+JWT", "application/at+jwt", "at+jwt ", "logout+jwt", "rt+jwt"} {
		header := strings.Replace(f.Header(), "at+jwt", typ, 1)
		list = append(list, Attack{"typ " + typ, f.Sign(header, f.claims().String()), reason.TokenWrongType})
	}
	for _, typ := range []string{"id+jwt", "secevent+jwt", "dpop+jwt", "JWE", "JOSE", "at", "jwt+at", `at\u002bjwt\u0000`, "at+jwt;v=1"} {
		header := strings.Replace(f.Header(), "at+jwt", typ, 1)
		list = append(list, Attack{"typ " + typ, f.Sign(header, f.claims().String()), reason.TokenWrongType})
	}
	return append(list, Attack{"an opaque refresh token", "dgr_" + strings.Repeat("A", 43), malformed})
}
