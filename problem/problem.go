// Package problem writes refusals as problem+json (RFC 9457) with the members detail and code, the
// latter for clients that look for the words of the Django packages. A problem never repeats input, so
// it can carry neither a credential nor markup of an attacker.
package problem

import (
	"encoding/json"
	"fmt"
	"net/http"

	"devicegate/reason"
)

// ContentType is the media type of a problem.
const ContentType = "application/problem+json"

// Problem is the body of a refusal.
type Problem struct {
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Code   string  `json:"code"`
	Errors []Fault `json:"errors,omitempty"`
}

// Fault is one thing wrong with a body. Pointer is a JSON pointer (RFC 6901) to it.
type Fault struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// New returns a problem; the title is the status' own.
func New(status int, code, detail string) Problem {
	return Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

// OfReason returns the problem that tells why with status.
func OfReason(status int, why reason.Reason) Problem { return New(status, why.String(), Detail(why)) }

// JSON returns the body, ended by a line feed for those who read it on a terminal.
func (p Problem) JSON() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("a problem of plain values cannot fail to encode: %v", err))
	}
	return append(b, '\n')
}

// details are the sentences people read. Those of the device_ and account reasons are the ones that
// clients of django-trusted-devices know.
var details = map[reason.Reason]string{
	reason.NoToken:             "Authentication credentials were not provided.",
	reason.BadAuthorization:    "The Authorization header must be sent once, as: Bearer, one space, and the token.",
	reason.TokenMalformed:      "The token is not an access token of this service.",
	reason.TokenUnverified:     "The token was not issued by this service, or has been changed.",
	reason.TokenExpired:        "The token has expired. Refresh it, or sign in again.",
	reason.TokenNotYetValid:    "The token is not valid yet. Check the clocks.",
	reason.TokenWrongType:      "The token is not an access token.",
	reason.TokenWrongAudience:  "The token is meant for another service.",
	reason.TokenLivesTooLong:   "The token lives longer than its issuer may give.",
	reason.DeviceUIDMissing:    "Device UID not found in token.",
	reason.DeviceNotRecognized: "This session device is no longer valid.",
	reason.DeviceReplaced:      "This device was signed out because the account signed in on another one.",
	reason.DeviceCompromised:   "This device was signed out because its session was used from two places. Please sign in again.",
	reason.InactiveAccount:     "User account is inactive.",
	reason.PeerNotAllowed:      "This address may not ask the gate. The operator lists those that may in checks.allowed_peers.",
	reason.RequestIncomplete:   "The proxy did not pass on what the gate reads. See the example configuration for this proxy.",
	reason.PolicyUnknown:       "The proxy names a policy that the gate's configuration does not have.",
	reason.RoleMissing:         "The account lacks the role that this needs.",
	reason.DeviceTooNew:        "The device signed in too recently for this.",
	reason.DeviceTooOld:        "The device signed in too long ago for this. Sign in again as a new device.",
	reason.NetworkNotAllowed:   "This may not be reached from your network.",
	reason.CountryNotAllowed:   "This may not be reached from your country, or from where it is not known.",
	reason.Starting:            "The gate is starting. Try again in a moment.",
	reason.StoreUnavailable:    "The gate cannot reach its store. Try again in a moment.",
	reason.KeysUnavailable:     "The keys of the token's issuer cannot be had. Try again in a moment.",
}

// Detail returns the sentence for a reason.
func Detail(why reason.Reason) string {
	if d, ok := details[why]; ok {
		return d
	}
	return "The request was refused."
}
