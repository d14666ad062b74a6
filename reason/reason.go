// Package reason is the closed list of words that say why a check was answered as it was, or why
// a device ended. The same word stands in the X-Auth-Reason header, the log line, the metric, the
// JSON error and the records, so that one grep finds one fact everywhere.
//
// It fails closed: the zero Reason belongs to the outcome Deny.
package reason

// Outcome is what a check comes to. The zero Outcome is Deny.
type Outcome uint8

// The four outcomes. How each is written for each proxy is the table in package authz.
const (
	Deny            Outcome = iota // the request is refused whoever asks: 403
	Unauthenticated                // no live credential: 401, a sign-in may help
	Unavailable                    // the gate cannot know: 503, refused all the same
	Allow                          // the request may pass
)

var outcomeWords = [...]string{Deny: "deny", Unauthenticated: "unauthenticated", Unavailable: "unavailable", Allow: "allow"}

// String returns the outcome's word in logs and metrics.
func (o Outcome) String() string {
	if int(o) < len(outcomeWords) {
		return outcomeWords[o]
	}
	return outcomeWords[Deny]
}

// Reason is one word of the closed list. The zero value, Undecided, denies; no finished decision
// carries it.
type Reason uint8

// The reasons of checks, in the groups of their outcomes.
const (
	Undecided Reason = iota

	OK // allow
	Anonymous
	CORSPreflight
	Report // refused or not: the policy only reports

	NoToken // unauthenticated
	BadAuthorization
	TokenMalformed
	TokenUnverified
	TokenExpired
	TokenNotYetValid
	TokenWrongType
	TokenWrongAudience
	TokenLivesTooLong
	DeviceUIDMissing
	DeviceNotRecognized
	DeviceReplaced
	DeviceCompromised
	InactiveAccount

	PeerNotAllowed // deny
	RequestIncomplete
	PolicyUnknown
	RoleMissing
	DeviceTooNew
	DeviceTooOld
	NetworkNotAllowed
	CountryNotAllowed

	Starting // unavailable
	StoreUnavailable
	KeysUnavailable

	count // not a reason: the length of the list
)

var table = [count]struct {
	word    string
	outcome Outcome
}{
	Undecided:           {"undecided", Deny},
	OK:                  {"ok", Allow},
	Anonymous:           {"anonymous", Allow},
	CORSPreflight:       {"cors_preflight", Allow},
	Report:              {"report", Allow},
	NoToken:             {"no_token", Unauthenticated},
	BadAuthorization:    {"bad_authorization", Unauthenticated},
	TokenMalformed:      {"token_malformed", Unauthenticated},
	TokenUnverified:     {"token_unverified", Unauthenticated},
	TokenExpired:        {"token_expired", Unauthenticated},
	TokenNotYetValid:    {"token_not_yet_valid", Unauthenticated},
	TokenWrongType:      {"token_wrong_type", Unauthenticated},
	TokenWrongAudience:  {"token_wrong_audience", Unauthenticated},
	TokenLivesTooLong:   {"token_lives_too_long", Unauthenticated},
	DeviceUIDMissing:    {"device_uid_missing", Unauthenticated},
	DeviceNotRecognized: {"device_not_recognized", Unauthenticated},
	DeviceReplaced:      {"device_replaced", Unauthenticated},
	DeviceCompromised:   {"device_compromised", Unauthenticated},
	InactiveAccount:     {"inactive_account", Unauthenticated},
	PeerNotAllowed:      {"peer_not_allowed", Deny},
	RequestIncomplete:   {"request_incomplete", Deny},
	PolicyUnknown:       {"policy_unknown", Deny},
	RoleMissing:         {"role_missing", Deny},
	DeviceTooNew:        {"device_too_new", Deny},
	DeviceTooOld:        {"device_too_old", Deny},
	NetworkNotAllowed:   {"network_not_allowed", Deny},
	CountryNotAllowed:   {"country_not_allowed", Deny},
	Starting:            {"starting", Unavailable},
	StoreUnavailable:    {"store_unavailable", Unavailable},
	KeysUnavailable:     {"keys_unavailable", Unavailable},
}

// All returns every reason a decision can carry, in the order of the list. The caller owns the
// slice.
func All() []Reason {
	all := make([]Reason, 0, count-1)
	for r := Undecided + 1; r < count; r++ {
		all = append(all, r)
	}
	return all
}

// String returns the reason's word.
func (r Reason) String() string {
	if r < count {
		return table[r].word
	}
	return table[Undecided].word
}

// Outcome returns the outcome that the reason stands for. A value outside the list denies.
func (r Reason) Outcome() Outcome {
	if r < count {
		return table[r].outcome
	}
	return Deny
}
