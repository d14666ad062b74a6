package foreign

import (
	"crypto/sha256"

	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/keysource"
)

// Refresh verifies a refresh token of an issuer whose refresh tokens are exchanged for ours. id stands for the
// token however its signature is spelled. It is nothing but verified here: that it counts once is the caller's.
// Every reason but OK refuses; what is no refresh token of such an issuer is refused as one of nobody.
func (s *Issuers) Refresh(raw string) (verified token.Verified, id [sha256.Size]byte, why reason.Reason) {
	if len(raw) > token.MaxSize {
		return verified, id, reason.TokenMalformed
	}
	j, theirs := s.verify(raw, refresh, s.now().Unix(), (*keysource.Source).Unknown)
	switch {
	case !theirs:
		return token.Verified{}, id, reason.TokenUnverified
	case j.Reason != reason.OK:
		return token.Verified{}, id, j.Reason
	case !j.by.Exchange:
		return token.Verified{}, id, reason.TokenWrongType
	}
	t, _ := scan(raw)
	jti, _, _ := textOf(t.claims["jti"])
	if jti == "" {
		return token.Verified{}, id, reason.TokenMalformed // of a key set, which need not have one elsewhere
	}
	return j.verified, sha256.Sum256([]byte(j.by.Name + "\x00" + jti)), reason.OK
}
