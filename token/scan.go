package token

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"devicegate/reason"
)

const maxNesting = 4 // our claims need 2: the object and the roles in it

// header is a token's header. Pointers tell a missing member from an empty one.
type header struct {
	Algorithm *string `json:"alg"`
	KeyID     *string `json:"kid"`
	Type      *string `json:"typ"`
}

// compact is a token that has passed the scan. Nothing in it is verified yet.
type compact struct {
	algorithm  Algorithm
	keyID, typ string
	signature  []byte
}

// scan is the gate before jwx: it accepts the one canonical spelling of a compact JWS that could be
// ours and nothing else. It looks at no key and no claim. The caller has bounded the length.
func scan(raw string) (compact, reason.Reason) {
	rawHeader, rawClaims, rawSignature, ok := split(raw)
	if !ok {
		return compact{}, reason.TokenMalformed
	}
	head, ok := decodeCanonical(rawHeader)
	if !ok || !strictObject(head) {
		return compact{}, reason.TokenMalformed
	}
	// Members beyond these three are instructions to the verifier (crit, jwk, jku, b64): none is obeyed.
	var h header
	err := json.Unmarshal(head, &h, json.RejectUnknownMembers(true))
	if err != nil || h.Algorithm == nil || h.Type == nil {
		return compact{}, reason.TokenMalformed
	}
	claims, ok := decodeCanonical(rawClaims)
	if !ok || !strictObject(claims) {
		return compact{}, reason.TokenMalformed
	}
	signature, ok := decodeCanonical(rawSignature)
	if !ok {
		return compact{}, reason.TokenMalformed
	}
	c := compact{algorithm: Algorithm(*h.Algorithm), typ: *h.Type, signature: signature}
	if !c.algorithm.Valid() {
		return compact{}, reason.TokenUnverified
	}
	if !c.algorithm.fits(len(signature)) {
		return compact{}, reason.TokenMalformed
	}
	if h.KeyID != nil {
		c.keyID = *h.KeyID // an empty kid is the kid of no key
	}
	return c, reason.OK
}

// split cuts raw at its first two dots; with fewer the signature is empty. An empty header or claims
// part is no JSON object, and a further dot is no base64url: both are refused where parts are decoded.
func split(raw string) (header, claims, signature string, ok bool) {
	header, rest, _ := strings.Cut(raw, ".")
	claims, signature, _ = strings.Cut(rest, ".")
	return header, claims, signature, signature != ""
}

// decodeCanonical decodes unpadded base64url in its one canonical spelling. Strict refuses set bits
// behind the last byte; the decoder skips CR and LF even so, hence the look before it.
func decodeCanonical(part string) ([]byte, bool) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return decoded, err == nil
}

// strictObject says whether b is exactly one JSON object: no byte before or behind it, valid UTF-8,
// no member twice at any depth, no lone surrogate, nesting of at most maxNesting.
func strictObject(b []byte) bool {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	return shallow(b) && jsontext.Value(b).IsValid()
}

// shallow says whether b opens at most maxNesting arrays and objects within each other. It is asked
// before the parser, which recurses: depth is the one cost that an attacker could choose.
func shallow(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++ // the escaped byte ends no string
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}
