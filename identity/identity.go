// Package identity holds what a token of another issuer says about its user. It is a package of its own so that
// the verifier, which reads it, and the device index, which compares it, need not know each other.
package identity

import (
	"time"

	"github.com/google/uuid"
)

// Foreign is what another issuer's token says about its user. Nobody but the token knows his name and roles
// here, so they are what it says. It is shared by checks and not to be changed.
type Foreign struct {
	Issuer string   // the configured name of the issuer
	Owner  string   // "issuer:user_id": whom devices belong to
	Name   string   // the username claim, or Owner where the token has none
	Roles  []string // ours, through the issuer's map; never "admin"; nil for none
	// Keys are those of Name and of Owner: a token is refused while a local user has one of them.
	Keys [2]NameKey
	// Register is how many live devices of the user may be registered by showing their tokens; 0 for none.
	Register int
	// Lifetime is how long a token of the issuer lives at most.
	Lifetime time.Duration
}

// NameKey stands for a user name in its normalised form: equal for all spellings that a person would take for
// the same name, different for any others (128 bits of SHA-256).
type NameKey [16]byte

// userNamespace is that of the ids that are made from owners (RFC 9562 section 5.5). It never changes: the users in
// every store are named by it.
var userNamespace = uuid.MustParse("c1a7d3b2-0f64-4f0e-8f5b-2b9e6a7d4c90")

// UserID returns the id that a user of an issuer has here, by his Owner.
func UserID(owner string) uuid.UUID { return uuid.NewSHA1(userNamespace, []byte(owner)) }
