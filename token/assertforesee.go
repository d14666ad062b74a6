package token

import (
	"time"

	"devicegate/reason"
)

// Foresee says what Assert would come to. The assertion that it makes to see so is neither kept nor handed out.
func (a *Asserter) Foresee(s Subject, audience string, now time.Time) reason.Reason {
	signer := a.keys.current().signer
	if signer == nil {
		return reason.KeysUnavailable
	}
	raw, err := a.make(signer, s, audience, now.Unix())
	if err != nil || len(raw) > a.limit {
		return reason.KeysUnavailable
	}
	return reason.OK
}
