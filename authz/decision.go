package authz

import (
	"github.com/google/uuid"

	"devicegate/reason"
)

// Decision is the answer to one check. The zero Decision denies.
type Decision struct {
	Reason reason.Reason
	// Identity is empty unless the outcome is Allow.
	Identity Identity
	// Would is what the policy would have come to where it only reports; else zero.
	Would reason.Reason
	// User and Device name who asked as far as that was proved, for the log; zero where unknown.
	User   string
	Device uuid.UUID
}

// Outcome returns what the decision comes to.
func (d Decision) Outcome() reason.Outcome { return d.Reason.Outcome() }

// Challenge returns the value of WWW-Authenticate for the decision (RFC 6750 section 3), empty for none.
func (d Decision) Challenge() string {
	const realm = `Bearer realm="devicegate"`
	switch {
	case d.Reason == reason.RoleMissing:
		return realm + `, error="insufficient_scope"`
	case d.Outcome() != reason.Unauthenticated:
		return ""
	case d.Reason == reason.NoToken:
		return realm
	default:
		return realm + `, error="invalid_token", error_description="` + d.Reason.String() + `"`
	}
}
