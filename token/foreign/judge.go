package foreign

import (
	"slices"

	"github.com/google/uuid"

	"devicegate/identity"
	"devicegate/reason"
	"devicegate/token"
)

// purpose is what a token is presented for, in SimpleJWT's words.
type purpose string

const (
	access  purpose = "access"
	refresh purpose = "refresh"
)

// firstGeneration is what a foreign token says of its device: theirs know no second sign-in on one.
const firstGeneration = 1

// judge decides about a token whose signature is the issuer's.
func (i *issuer) judge(s *scanned, want purpose, now int64) (token.Verified, reason.Reason) {
	v, why := i.facts(s)
	if why == reason.OK {
		why = i.purpose(s, want)
	}
	if why == reason.OK {
		why = i.audience(s.claims)
	}
	if why == reason.OK {
		why = i.live(&v, want, now)
	}
	if why == reason.OK {
		why = i.device(s.claims, &v)
	}
	if why == reason.OK {
		why = i.identity(s.claims, &v)
	}
	if why != reason.OK {
		return token.Verified{}, why
	}
	return v, reason.OK
}

// facts reads the times and whose the token is.
func (i *issuer) facts(s *scanned) (v token.Verified, why reason.Reason) {
	c := s.claims
	if i.reading.respelled(c) {
		return v, reason.TokenMalformed
	}
	var hasExp, ok1, ok2, ok3 bool
	v.Expires, hasExp, ok1 = timeOf(c["exp"])
	v.NotBefore, _, ok2 = startOf(c["nbf"])
	v.IssuedAt, _, ok3 = timeOf(c["iat"])
	_, hasID, ok4 := textOf(c["jti"])
	_, _, ok5 := textOf(c["sub"]) // SimpleJWT's library refuses one that is no string
	id, ok6 := idOf(c.at(i.Claims.UserID))
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !hasExp || i.oneKey() && !hasID {
		return v, reason.TokenMalformed
	}
	if v.Expires <= v.IssuedAt || v.Expires <= v.NotBefore {
		return v, reason.TokenMalformed // it ends before it begins
	}
	owner := Owner(i.Name, id)
	v.User, v.Generation = UserID(owner), firstGeneration
	v.Foreign = &identity.Foreign{Issuer: i.Name, Owner: owner, Register: i.Register, Lifetime: i.MaxLifetime}
	return v, reason.OK
}

// purpose refuses a token that was made for something else (RFC 8725 sections 3.11 and 3.12).
func (i *issuer) purpose(s *scanned, want purpose) reason.Reason {
	// A token that is bound to a key (RFC 7800; DPoP, mutual TLS) is good only with a proof of it, which nobody asks
	// for here: taken as a bearer token it would be worth stealing again.
	if s.claims["cnf"] != nil {
		return reason.TokenWrongType
	}
	says, present, ok := textOf(s.claims["token_type"])
	if i.oneKey() {
		if !ok || says != string(want) {
			return reason.TokenWrongType
		}
		return reason.OK
	}
	if !ok || present && says != string(want) && (want != access || says != "Bearer") {
		return reason.TokenWrongType
	}
	if want == refresh {
		if !present {
			return reason.TokenWrongType // nothing else would tell it from an access token
		}
		return reason.OK
	}
	return s.accessOfProvider()
}

// accessOfProvider refuses what an identity provider signs beside access tokens.
func (s *scanned) accessOfProvider() reason.Reason {
	if !slices.Contains([]string{"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"}, s.typ) {
		return reason.TokenWrongType
	}
	// Keycloak says it in a claim: ID, Refresh, Offline, Logout, and Bearer for access tokens.
	if says, present, ok := textOf(s.claims["typ"]); !ok || present && says != "Bearer" {
		return reason.TokenWrongType
	}
	for _, member := range []string{"at_hash", "c_hash", "s_hash", "events"} { // of ID tokens and logout tokens
		if s.claims[member] != nil {
			return reason.TokenWrongType
		}
	}
	return reason.OK
}

func (i *issuer) audience(c claims) reason.Reason {
	if i.Audience == "" {
		return reason.OK
	}
	audiences, ok := textsOf(c["aud"])
	if !ok || !slices.Contains(audiences, i.Audience) {
		return reason.TokenWrongAudience
	}
	return reason.OK
}

// live compares the times with the clock. It is asked again at every hit of the cache.
func (i *issuer) live(v *token.Verified, want purpose, now int64) reason.Reason {
	if now >= v.Expires {
		return reason.TokenExpired
	}
	if v.NotBefore > now+i.leeway || v.IssuedAt > now+i.leeway {
		return reason.TokenNotYetValid
	}
	from := v.IssuedAt
	if from == 0 {
		from = now
	}
	if want == access && v.Expires-from > i.lifetime {
		return reason.TokenLivesTooLong
	}
	return reason.OK
}

func (i *issuer) device(c claims, v *token.Verified) reason.Reason {
	value := c.at(i.Claims.DeviceUID)
	claim, _, ok := textOf(value)
	if claim == "" && ok {
		return reason.DeviceUIDMissing
	}
	if !ok || len(claim) > MaxDeviceClaim {
		return reason.TokenMalformed
	}
	v.Device = DeviceUID(i.Name, claim)
	if v.Device == uuid.Nil {
		return reason.TokenMalformed
	}
	return reason.OK
}
