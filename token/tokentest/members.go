package tokentest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Honest is what a good token says. Times are unix seconds and seconds, by a clock that stands still:
// what is refused at an edge is refused a second beside it.
type Honest struct {
	Issuer, Audience string
	User, Device     uuid.UUID
	Username         string
	Now              int64
	Lifetime, Leeway int64
}

// Claims returns the claims of a token issued now.
func (h Honest) Claims() Members {
	quoted := func(s string) string { return string(must(json.Marshal(s))) }
	return Members{
		{"iss", quoted(h.Issuer)}, {"sub", quoted(h.User.String())}, {"aud", quoted(h.Audience)},
		{"exp", fmt.Sprint(h.Now + h.Lifetime)}, {"iat", fmt.Sprint(h.Now)}, {"nbf", fmt.Sprint(h.Now)}, {"jti", `"j-1"`},
		{"device_uid", quoted(h.Device.String())}, {"roles", `["staff"]`}, {"username", quoted(h.Username)},
		{"token_type", `"access"`}, {"user_id", quoted(h.User.String())},
	}
}

// Members is an ordered JSON object of raw values, so that tests can say every wrong thing.
type Members [][2]string

// With returns m with one value changed, or added at the end.
func (m Members) With(name, value string) Members {
	m = slices.Clone(m)
	for i := range m {
		if m[i][0] == name {
			m[i][1] = value
			return m
		}
	}
	return append(m, [2]string{name, value})
}

// Without returns m without one member.
func (m Members) Without(name string) Members {
	return slices.DeleteFunc(slices.Clone(m), func(p [2]string) bool { return p[0] == name })
}

// value returns the raw value of a member, empty where there is none.
func (m Members) value(name string) string {
	for _, p := range m {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
}

// String returns m as JSON.
func (m Members) String() string {
	parts := make([]string, len(m))
	for i, p := range m {
		parts[i] = `"` + p[0] + `":` + p[1]
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// B64 is the unpadded base64url of JOSE.
func B64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
