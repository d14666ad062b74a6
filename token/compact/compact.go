// Package compact reads the compact form of a signed token (RFC 7515 section 3.1) so strictly that each
// token has exactly one spelling. It stands before every library that is given a token: those skip line
// breaks, take padding, stray trailing bits and members twice, and so see the same token in many texts. It
// fails closed: what could be read in two ways is refused, and nothing here knows a key or trusts a claim.
package compact

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Split cuts raw at its first two dots; with fewer the signature is empty, and ok false. An empty header or
// claims part is no JSON object, and a further dot is no base64url: both are refused where parts are decoded.
func Split(raw string) (header, claims, signature string, ok bool) {
	header, rest, _ := strings.Cut(raw, ".")
	claims, signature, _ = strings.Cut(rest, ".")
	return header, claims, signature, signature != ""
}

// Decode decodes unpadded base64url in its one canonical spelling. Strict refuses set bits behind the last
// byte; the decoder skips CR and LF even so, hence the look before it.
func Decode(part string) ([]byte, bool) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return decoded, err == nil
}

// Object says whether b is exactly one JSON object: no byte before or behind it, valid UTF-8, no member
// twice at any depth, no lone surrogate, arrays and objects nested at most depth deep, itself included.
func Object(b []byte, depth int) bool {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	return shallow(b, depth) && jsontext.Value(b).IsValid()
}

// Members returns the members of the object that a part of a token is, under the conditions of Decode and Object.
func Members(part string, depth int) (map[string]jsontext.Value, bool) {
	object, ok := Decode(part)
	if !ok || !Object(object, depth) {
		return nil, false
	}
	var members map[string]jsontext.Value
	err := json.Unmarshal(object, &members)
	return members, err == nil
}

// shallow says whether b opens at most limit arrays and objects within each other. It is asked before the
// parser, which recurses: depth is the one cost that an attacker could choose.
func shallow(b []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++ // the escaped byte ends no string
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}
