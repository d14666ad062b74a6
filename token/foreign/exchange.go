package foreign

import (
	"crypto/sha256"

	"devicegate/reason"
	"devicegate/token"
)

// Refresh verifies a refresh token of an issuer whose refresh tokens are exchanged for ours. id stands for the
// token however its signature is spelled. It is nothing but verified here: that it counts once is the caller's.
// Every reason but OK refuses; what is no refresh token of such an issuer is refused as one of nobody.
func (s *Issuers) Refresh(raw string) (verified token.Verified, id [sha256.Size]byte, why reason.Reason) {
	if len(raw) > token.MaxSize {
		return verified, id, reason.TokenMalformed
	}
	verified, by, _, why := s.verify(raw, refresh, s.now().Unix())
	switch {
	case by == nil:
		return token.Verified{}, id, reason.TokenUnverified
	case why != reason.OK:
		return token.Verified{}, id, why
	case !by.Exchange:
		return token.Verified{}, id, reason.TokenWrongType
	}
	t, _ := scan(raw)
	jti, _, _ := textOf(t.claims["jti"])
	if jti == "" {
		return token.Verified{}, id, reason.TokenMalformed // of a key set, which need not have one elsewhere
	}
	return verified, sha256.Sum256([]byte(by.Name + "\x00" + jti)), reason.OK
}
