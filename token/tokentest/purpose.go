package tokentest

import (
	"fmt"
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
	assertion := strings.Replace(f.Header(), "at+jwt", "assertion+jwt", 1)
	list = append(list,
		Attack{"an assertion for the audience of the gate", f.Sign(assertion, f.assertion().String()), malformed},
		Attack{"an assertion with all claims of an access token", f.Sign(assertion, f.claims().String()), reason.TokenWrongType},
		Attack{"an assertion under the type of an access token", f.Sign(f.Header(), f.assertion().String()), malformed})
	return append(list, Attack{"an opaque refresh token", "dgr_" + strings.Repeat("A", 43), malformed})
}

// assertion returns the claims of an assertion for a host of the same name as the gate's audience.
func (f *Forger) assertion() Members {
	return f.claims().Without("jti").Without("nbf").Without("token_type").Without("user_id").With("exp", fmt.Sprint(f.Honest.Now+60))
}
