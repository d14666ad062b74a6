package tokentest

import (
	"strings"
)

// keyAttacks: J4 and J5, the token names or brings the key it wants to be checked with.
func (f *Forger) keyAttacks() []Attack {
	theirs := UnknownKey(f.Algorithm)
	claims := f.claims().String()
	withKid := func(kid string) string {
		return `{"alg":"` + string(f.Algorithm) + `","kid":` + kid + `,"typ":"at+jwt"}`
	}
	list := []Attack{
		{"kid missing", f.Sign(`{"alg":"`+string(f.Algorithm)+`","typ":"at+jwt"}`, claims), unverified},
		{"signed with another key", SignToken(theirs, f.Header(), claims), unverified},
		{"kid of 1 MB", f.Sign(withKid(`"`+strings.Repeat("k", 1<<20)+`"`), claims), malformed},
		{"kid of another key", f.Sign(withKid(`"`+KeyID(theirs)+`"`), claims), unverified},
		{"kid of 5 KB", f.Sign(withKid(`"`+strings.Repeat("k", 5000)+`"`), claims), unverified},
	}
	for _, kid := range []string{`""`, `null`, `"unknown"`, `"../../dev/null"`, `"/etc/passwd"`, `"x' OR 1=1"`, `"` + f.ID + `\u0000"`, `"` + f.ID + `\r\n"`, `"` + strings.ToUpper(f.ID) + `"`, `" ` + f.ID + `"`, `"` + f.ID[1:] + `"`, `"` + f.ID + f.ID + `"`, `"w/k/00000001"`, `"*"`, `"' UNION SELECT 1 --"`, `"http://127.0.0.1:1/k"`} {
		list = append(list, Attack{"kid " + kid, f.Sign(withKid(kid), claims), unverified})
	}
	for _, kid := range []string{`{}`, `["` + f.ID + `"]`, `7`, `true`, `{"a":[]}`} {
		list = append(list, Attack{"kid " + kid, f.Sign(withKid(kid), claims), malformed})
	}
	jwk := PublicJWK(theirs)
	for name, member := range map[string]string{
		"jwk": jwk, "jku": `"http://127.0.0.1:1/jwks"`, "x5u": `"http://127.0.0.1:1/cert"`,
		"x5c": `["` + B64(jwk) + `"]`, "x5t": `"AAAA"`, "x5t#S256": `"AAAA"`,
	} {
		header := strings.TrimSuffix(f.Header(), "}") + `,"` + name + `":` + member + "}"
		list = append(list,
			Attack{name + ", signed with theirs", SignToken(theirs, header, claims), malformed},
			Attack{name + ", signed with ours", f.Sign(header, claims), malformed})
	}
	return list
}
