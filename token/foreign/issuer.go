package foreign

import (
	"slices"
	"time"

	"devicegate/token/keysource"
)

// Config is what the operator says about one issuer. The configuration has checked it.
type Config struct {
	Name     string // users are "name:user_id"
	Issuer   string // iss, compared exactly; "" is not compared
	Audience string // one of aud, compared exactly; "" accepts any, which the operator has said in so many words
	// MaxLifetime bounds exp - iat, or exp - now where the token has no iat. Whole seconds, as Leeway, which is
	// for nbf and iat alone: exp is exact.
	MaxLifetime, Leeway time.Duration
	Claims              Claims
	Roles               map[string]string // theirs to ours; what is not named is dropped
	Register            int               // devices of one user that are registered on first sight; 0: none is
	Exchange            bool              // a refresh token is taken once for a pair of ours
	Keys                *keysource.Source
}

// Claims are the names of the claims that are read. A name with dots that is no member itself leads into
// objects ("realm_access.roles"). Username and Roles may be empty: then there is none.
type Claims struct{ UserID, Username, Roles, DeviceUID string }

// issuer is one issuer at work.
type issuer struct {
	Config
	lifetime, leeway int64    // seconds
	reading          *reading // which claims are read
	names            names
}

func newIssuer(c Config, n names) *issuer {
	i := &issuer{Config: c, lifetime: int64(c.MaxLifetime / time.Second), leeway: int64(c.Leeway / time.Second), names: n}
	i.reading = readingOf(append(slices.Clone(read), c.Claims.UserID, c.Claims.Username, c.Claims.Roles, c.Claims.DeviceUID)...)
	return i
}

// oneKey reports whether the issuer is of SimpleJWT's kind: its tokens name no key, and say in token_type what
// they are for.
func (i *issuer) oneKey() bool { return i.Keys.OneKey() }
