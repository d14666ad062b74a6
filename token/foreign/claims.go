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

// reading is which members of an object are read.
type reading struct {
	names, folded map[string]bool
	inner         map[string]*reading // of the objects that names with dots lead into
}

// readingOf returns what is read where names are read, each as at follows it.
func readingOf(names ...string) *reading {
	r := &reading{names: map[string]bool{}, folded: map[string]bool{}, inner: map[string]*reading{}}
	rests := map[string][]string{}
	for _, name := range names {
		first, rest, dotted := strings.Cut(name, ".")
		for _, n := range []string{name, first} {
			r.names[n], r.folded[folded(n)] = true, true
		}
		if dotted {
			rests[first] = append(rests[first], rest)
		}
	}
	for first, rest := range rests {
		r.inner[first] = readingOf(rest...)
	}
	return r
}

// respelled reports whether a member that is read is there in another letter case: some readers would take the
// one and some the other.
func (r *reading) respelled(c claims) bool {
	for name, value := range c {
		if r.folded[folded(name)] && !r.names[name] {
			return true
		}
		inner := r.inner[name]
		var object claims
		if inner != nil && value.Kind() == '{' && json.Unmarshal(value, &object) == nil && inner.respelled(object) {
			return true
		}
	}
	return false
}

// folded is equal for all letter cases of a name, also for the long s and the sign of Kelvin, which lower case alone
// does not make an s and a k.
func folded(name string) string { return strings.ToLower(strings.ToUpper(name)) }

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
