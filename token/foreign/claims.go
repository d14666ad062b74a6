package foreign

import (
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// claims are the members of an object that is well formed: each name once, valid UTF-8.
type claims map[string]jsontext.Value

// read are the claims that are read whatever the configuration says.
var read = []string{"iss", "aud", "exp", "nbf", "iat", "jti", "sub", "token_type", "typ"}

// spellingsOf returns the names that are read, in lower case.
func spellingsOf(c Claims) map[string]bool {
	names := map[string]bool{}
	for _, name := range append(read, c.UserID, c.Username, c.Roles, c.DeviceUID) {
		names[strings.ToLower(name)] = true
	}
	return names
}

// respelled reports whether a claim that is read is there in another letter case: some readers would take the
// one and some the other.
func (i *issuer) respelled(c claims) bool {
	for name := range c {
		lower := strings.ToLower(name)
		if i.spellings[lower] && !i.reads(name) {
			return true
		}
	}
	return false
}

// reads reports whether name is read as it is spelled.
func (i *issuer) reads(name string) bool {
	switch name {
	case i.Claims.UserID, i.Claims.Username, i.Claims.Roles, i.Claims.DeviceUID:
		return true
	}
	for _, r := range read {
		if name == r {
			return true
		}
	}
	return false
}

// at returns the claim of a configured name: the member of that name or, where there is none, what the dots in
// it lead to. nil where there is nothing.
func (c claims) at(name string) jsontext.Value {
	if value, ok := c[name]; ok {
		return value
	}
	first, rest, dotted := strings.Cut(name, ".")
	inner, ok := c[first]
	if !dotted || !ok || inner.Kind() != '{' {
		return nil
	}
	var object claims
	if json.Unmarshal(inner, &object) != nil {
		return nil
	}
	return object.at(rest)
}

// textOf reads a string. A member that is missing is no error, and one that is null is not a string.
func textOf(v jsontext.Value) (text string, present, ok bool) {
	if v == nil {
		return "", false, true
	}
	if v.Kind() != '"' {
		return "", true, false
	}
	err := json.Unmarshal(v, &text)
	return text, true, err == nil
}

// textsOf reads a string or an array of strings.
func textsOf(v jsontext.Value) (texts []string, ok bool) {
	if v == nil {
		return nil, true
	}
	if text, _, ok := textOf(v); ok {
		return []string{text}, true
	}
	if v.Kind() != '[' {
		return nil, false
	}
	var list []jsontext.Value
	if json.Unmarshal(v, &list) != nil {
		return nil, false
	}
	for _, element := range list {
		text, _, ok := textOf(element)
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}

// exact is the largest number up to which every reader of JSON agrees about integers.
const exact = 1 << 53

// timeOf reads a time in unix seconds, which may have a fraction (SimpleJWT takes such): it is cut off, so that
// a token is dead a moment earlier rather than later. present tells a missing claim from a bad one.
func timeOf(v jsontext.Value) (seconds int64, present, ok bool) {
	if v == nil {
		return 0, false, true
	}
	whole, fraction, dotted := strings.Cut(string(v), ".")
	if dotted && !digits(fraction) || !digits(whole) {
		return 0, true, false // also every sign, exponent, string and null
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	return n, true, err == nil && n > 0 && n <= exact
}

// startOf reads when a token begins: as timeOf, but a moment later rather than earlier.
func startOf(v jsontext.Value) (seconds int64, present, ok bool) {
	seconds, present, ok = timeOf(v)
	if f, err := strconv.ParseFloat(string(v), 64); ok && present && err == nil {
		seconds = int64(math.Ceil(f))
	}
	return seconds, present, ok
}

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// ParseUserID reads a user id as JSON: a string, or a whole number as SimpleJWT wrote it up to 5.5.0. Both are the
// same id. v must be well formed.
func ParseUserID(v []byte) (id string, ok bool) { return idOf(jsontext.Value(v)) }

func idOf(v jsontext.Value) (string, bool) {
	if text, _, ok := textOf(v); ok {
		return text, text != ""
	}
	number := string(v)
	n, err := strconv.ParseUint(number, 10, 64)
	return number, err == nil && n <= exact && strconv.FormatUint(n, 10) == number
}
