package reason_test

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"devicegate/reason"
)

// words is the contract: clients branch on these words, operators search for them.
var words = map[string]reason.Outcome{
	"ok": reason.Allow, "anonymous": reason.Allow, "cors_preflight": reason.Allow, "report": reason.Allow,

	"no_token": reason.Unauthenticated, "bad_authorization": reason.Unauthenticated, "token_malformed": reason.Unauthenticated,
	"token_unverified": reason.Unauthenticated, "token_expired": reason.Unauthenticated, "token_not_yet_valid": reason.Unauthenticated,
	"token_wrong_type": reason.Unauthenticated, "token_wrong_audience": reason.Unauthenticated, "token_lives_too_long": reason.Unauthenticated,
	"device_uid_missing": reason.Unauthenticated, "device_not_recognized": reason.Unauthenticated, "device_replaced": reason.Unauthenticated,
	"device_compromised": reason.Unauthenticated, "inactive_account": reason.Unauthenticated,

	"peer_not_allowed": reason.Deny, "request_incomplete": reason.Deny, "policy_unknown": reason.Deny, "role_missing": reason.Deny,
	"device_too_new": reason.Deny, "device_too_old": reason.Deny, "network_not_allowed": reason.Deny, "country_not_allowed": reason.Deny,

	"starting": reason.Unavailable, "store_unavailable": reason.Unavailable, "keys_unavailable": reason.Unavailable,
}

func TestWords(t *testing.T) {
	got := map[string]reason.Outcome{}
	for _, r := range reason.All() {
		if _, twice := got[r.String()]; twice {
			t.Errorf("the word %s stands for two reasons", r)
		}
		got[r.String()] = r.Outcome()
	}
	if diff := cmp.Diff(words, got); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}

// Every value has a word that fits a header, a metric and JSON as it is, and what is not in the list denies.
func TestTotal(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	listed := map[reason.Reason]bool{}
	for _, r := range reason.All() {
		listed[r] = true
	}
	for v := range 256 {
		r := reason.Reason(v)
		if !form.MatchString(r.String()) {
			t.Errorf("reason %d is written %q", v, r)
		}
		if !listed[r] && (r.Outcome() != reason.Deny || r.String() != "undecided") {
			t.Errorf("reason %d, which is none, is %s and comes to %v", v, r, r.Outcome())
		}
		if word := reason.Outcome(v).String(); !form.MatchString(word) || word == "allow" && reason.Outcome(v) != reason.Allow {
			t.Errorf("outcome %d is written %q", v, word)
		}
	}
	if reason.Deny != 0 || reason.Undecided != 0 {
		t.Error("the zero values do not deny")
	}
}

// Whoever is given the list may change it.
func TestAllIsTheCallers(t *testing.T) {
	reason.All()[0] = reason.Undecided
	if reason.All()[0] != reason.OK {
		t.Error("a caller changed the list")
	}
}
