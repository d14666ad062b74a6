package foreign

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"devicegate/token/compact"
)

// maxNesting is deeper than that of our own tokens: identity providers put roles into objects of objects.
const maxNesting = 8

// scanned is a token whose structure is right. Nothing in it is verified yet.
type scanned struct {
	raw      string
	alg, kid string
	hasKid   bool
	typ      string // in lower case; "" where there is none
	claims   claims
}

// scan reads a token, or says that it is none.
func scan(raw string) (scanned, bool) {
	rawHeader, rawClaims, rawSignature, ok := compact.Split(raw)
	if !ok {
		return scanned{}, false
	}
	head, ok1 := members(rawHeader)
	body, ok2 := members(rawClaims)
	_, ok3 := compact.Decode(rawSignature)
	if !ok1 || !ok2 || !ok3 {
		return scanned{}, false
	}
	s := scanned{raw: raw, claims: body}
	return s, s.readHeader(head)
}

// members returns the members of the object that a part of a token is.
func members(part string) (claims, bool) { return compact.Members(part, maxNesting) }

// instructions are header members that tell a verifier to do something: to take a key from the token or from
// an address in it, to read the payload in another way, to understand what it does not. None is obeyed, and
// who would obey it elsewhere must not see another token than we do.
var instructions = map[string]bool{
	"crit": true, "b64": true, "jwk": true, "jku": true, "x5u": true, "x5c": true,
	"cty": true, "zip": true, "enc": true, "epk": true, "apu": true, "apv": true, "p2s": true, "p2c": true,
}

func (s *scanned) readHeader(head map[string]jsontext.Value) bool {
	for name := range head {
		lower := folded(name)
		read := lower == "alg" || lower == "kid" || lower == "typ"
		if instructions[lower] || read && name != lower {
			return false
		}
	}
	var ok1, ok2, ok3, present bool
	s.alg, present, ok1 = textOf(head["alg"])
	s.kid, s.hasKid, ok2 = textOf(head["kid"])
	s.typ, _, ok3 = textOf(head["typ"])
	s.typ = strings.ToLower(s.typ)
	return ok1 && ok2 && ok3 && present
}
