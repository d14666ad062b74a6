package tokentest

import (
	"encoding/base64"
	"strings"

	"devicegate/reason"
)

func (f *Forger) headerWithAlgorithm(alg string) string {
	return strings.Replace(f.Header(), string(f.Algorithm), alg, 1)
}

// wrongUnder is the reason for a signature of size bytes that is not good under alg.
func wrongUnder(alg string, size int) reason.Reason {
	sizes := map[string][2]int{"EdDSA": {64, 64}, "ES256": {64, 64}, "RS256": {256, 512}}
	if s, ok := sizes[alg]; ok && (size < s[0] || size > s[1]) {
		return malformed
	}
	return unverified
}

// split returns what was signed, and the signature.
func split(raw string) (string, string) {
	input := raw[:strings.LastIndex(raw, ".")]
	return input, string(must(base64.RawURLEncoding.DecodeString(raw[len(input)+1:])))
}

// algorithmAttacks: J1, the token says that it is not signed, or signed in another spelling.
func (f *Forger) algorithmAttacks() []Attack {
	var list []Attack
	claims := f.claims().String()
	original := f.Sign(f.Header(), claims)
	_, signature := split(original)
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", "", "eddsa", "EDDSA", "EdDSA ", "Ed25519", "ES256", "ES512", "RS256", "PS256", "HS256", "ES384", "ES256K", "RS384", "RS512", "es256", "rs256", "ES256 ", " RS256", "EdDSA", `EdDSA\u0000`, `ES256\u0000`} {
		if alg == string(f.Algorithm) {
			continue
		}
		want := wrongUnder(alg, len(signature))
		input := B64(f.headerWithAlgorithm(alg)) + "." + B64(claims)
		list = append(list,
			Attack{"alg " + alg + ", signed by us", f.Sign(f.headerWithAlgorithm(alg), claims), want},
			Attack{"alg " + alg + ", the original signature", input + "." + B64(signature), want},
			Attack{"alg " + alg + ", empty signature", input + ".", malformed},
			Attack{"alg " + alg + ", no signature", input, malformed},
		)
	}
	return list
}
