package token

import (
	"time"

	"devicegate/reason"
)

// Foresee says what Assert would come to, and whether with an assertion. The one that it makes to see so is neither
// kept nor handed out, and is not counted.
func (a *Asserter) Foresee(s Subject, audience string, now time.Time) (signed bool, why reason.Reason) {
	signer, at := a.keys.current().signer, now.Unix()
	if signer == nil {
		return false, reason.KeysUnavailable
	}
	want := assertion{subject: s, audience: audience, keyID: signer.kid, issuedAt: at}
	if raw, more := a.kept.peek(&want); raw != "" || !more {
		return raw != "", reason.OK
	}
	raw, err := a.make(signer, s, audience, at)
	if err != nil || len(raw) > a.limit {
		return false, reason.KeysUnavailable
	}
	return true, reason.OK
}

// peek is find for whoever makes none.
func (a *assertions) peek(want *assertion) (raw string, more bool) {
	s := a.shard(want.subject.Device)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(want)
}
