package authz_test

import (
	"regexp"
	"strings"
	"testing"

	"devicegate/authz"
	"devicegate/authz/authztest"
	"devicegate/reason"
)

// spaces are rows that only an adapter which trims nothing can see (gRPC).
var spaces = []authztest.Authorization{
	{Name: "a space in front", Values: []string{" Bearer x"}, Want: reason.NoToken},
	{Name: "a space behind", Values: []string{"Bearer x "}, Want: reason.BadAuthorization},
	{Name: "a tab behind", Values: []string{"Bearer x\t"}, Want: reason.BadAuthorization},
	{Name: "nothing behind the space", Values: []string{"Bearer "}, Want: reason.BadAuthorization},
	{Name: "only spaces behind", Values: []string{"Bearer   "}, Want: reason.BadAuthorization},
	{Name: "a line feed", Values: []string{"Bearer x\nBearer y"}, Want: reason.BadAuthorization},
	{Name: "a carriage return in place of the space", Values: []string{"Bearer\rx"}, Want: reason.BadAuthorization},
	{Name: "a NUL", Values: []string{"Bearer x\x00"}, Want: reason.BadAuthorization},
	{Name: "a byte that is no UTF-8", Values: []string{"Bearer x\x80"}, Want: reason.BadAuthorization},
	{Name: "blank", Values: []string{" "}, Want: reason.NoToken},
}

func TestBearer(t *testing.T) {
	const raw = "h.c.s"
	for _, row := range append(spaces, authztest.Authorizations...) {
		want := row.Want
		if want == reason.TokenMalformed { // of the right form, and the rest is the token's matter
			want = reason.OK
		}
		token, why := authz.Bearer(row.With(raw))
		if why != want || (why == reason.OK) != (token != "") {
			t.Errorf("%s: %q, %v, want %v", row.Name, token, why, want)
		}
		if row.Want == reason.OK && token != raw {
			t.Errorf("%s: the token is %q, want %q", row.Name, token, raw)
		}
	}
}

// FuzzBearer holds the code to the contract's sentence, written as a regular expression.
func FuzzBearer(f *testing.F) {
	for _, row := range append(spaces, authztest.Authorizations...) {
		f.Add(strings.Join(row.With("h.c.s"), "\n"), len(row.Values))
	}
	form := regexp.MustCompile(`^(?i:bearer) ([A-Za-z0-9._~+/=-]+)$`)
	scheme := regexp.MustCompile("^(?i:bearer)([^!#$%&'*+.^_`|~0-9A-Za-z-]|$)")
	f.Fuzz(func(t *testing.T, joined string, n int) {
		values := strings.SplitN(joined, "\n", max(n, 1))
		token, why := authz.Bearer(values)
		want, wantToken := reason.NoToken, ""
		switch m := form.FindStringSubmatch(values[0]); {
		case len(values) > 1 || strings.Contains(values[0], ","):
			want = reason.BadAuthorization
		case m != nil:
			want, wantToken = reason.OK, m[1]
		case scheme.MatchString(values[0]):
			want = reason.BadAuthorization
		}
		if why != want || token != wantToken {
			t.Errorf("%q: %q, %v, want %q, %v", values, token, why, wantToken, want)
		}
	})
}
