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
func (i *issuer) judge(s *scanned, want purpose, now int64) (token.Verified, token.Finding) {
	v, f := i.facts(s)
	if f.Reason == reason.OK {
		f = i.purpose(s, want)
	}
	if f.Reason == reason.OK {
		f.Reason = i.audience(s.claims)
	}
	if f.Reason == reason.OK {
		f.Reason = i.live(&v, want, now)
	}
	if f.Reason == reason.OK {
		f = i.device(s.claims, &v)
	}
	if f.Reason == reason.OK {
		f = i.identity(s.claims, &v)
	}
	f.Signed = true
	if f.Reason != reason.OK {
		return token.Verified{}, f
	}
	return v, f
}

var good = token.Finding{Reason: reason.OK}

func refuse(why reason.Reason, cause string) token.Finding {
	return token.Finding{Reason: why, Cause: cause}
}

func malformed(cause string) token.Finding { return refuse(reason.TokenMalformed, cause) }

// facts reads the times and whose the token is.
func (i *issuer) facts(s *scanned) (v token.Verified, f token.Finding) {
	c := s.claims
	if i.reading.respelled(c) {
		return v, malformed("a claim that is read is there in another letter case")
	}
	var hasExp, ok1, ok2, ok3 bool
	v.Expires, hasExp, ok1 = timeOf(c["exp"])
	v.NotBefore, _, ok2 = startOf(c["nbf"])
	v.IssuedAt, _, ok3 = timeOf(c["iat"])
	_, hasID, ok4 := textOf(c["jti"])
	_, _, ok5 := textOf(c["sub"]) // SimpleJWT's library refuses one that is no string
	id, ok6 := idOf(c.at(i.Claims.UserID))
	switch {
	case !hasExp:
		return v, malformed("it has no exp")
	case !ok1 || !ok2 || !ok3:
		return v, malformed("exp, nbf or iat is not a time")
	case !ok4 || !ok5:
		return v, malformed("jti or sub is not text")
	case i.oneKey() && !hasID:
		return v, malformed("it has no jti")
	case !ok6:
		return v, malformed("the claim of the user (claims.user_id) is missing, or neither text nor a whole number")
	case v.Expires <= v.IssuedAt || v.Expires <= v.NotBefore:
		return v, malformed("it ends before it begins")
	}
	owner := Owner(i.Name, id)
	v.User, v.Generation = UserID(owner), firstGeneration
	v.Foreign = &identity.Foreign{Issuer: i.Name, Owner: owner, Register: i.Register, Lifetime: i.MaxLifetime}
	return v, good
}

func wrongType(cause string) token.Finding { return refuse(reason.TokenWrongType, cause) }

// purpose refuses a token that was made for something else (RFC 8725 sections 3.11 and 3.12).
func (i *issuer) purpose(s *scanned, want purpose) token.Finding {
	// A token that is bound to a key (RFC 7800; DPoP, mutual TLS) is good only with a proof of it, which nobody asks
	// for here: taken as a bearer token it would be worth stealing again.
	if s.claims["cnf"] != nil {
		return wrongType("it is bound to a key of the client (cnf), of which no proof can be asked for here")
	}
	says, present, ok := textOf(s.claims["token_type"])
	if i.oneKey() {
		if !ok || says != string(want) {
			return wrongType("token_type does not say " + string(want))
		}
		return good
	}
	if !ok || present && says != string(want) && (want != access || says != "Bearer") {
		return wrongType("token_type says that it is for something else")
	}
	if want == refresh {
		if !present {
			return wrongType("it has no token_type") // nothing else would tell it from an access token
		}
		return good
	}
	return s.accessOfProvider()
}

// accessOfProvider refuses what an identity provider signs beside access tokens.
func (s *scanned) accessOfProvider() token.Finding {
	if !slices.Contains([]string{"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"}, s.typ) {
		return wrongType("typ of the header is not that of an access token")
	}
	// Keycloak says it in a claim: ID, Refresh, Offline, Logout, and Bearer for access tokens.
	if says, present, ok := textOf(s.claims["typ"]); !ok || present && says != "Bearer" {
		return wrongType("the claim typ says that it is not an access token (Bearer)")
	}
	for _, member := range []string{"at_hash", "c_hash", "s_hash", "events"} { // of ID tokens and logout tokens
		if s.claims[member] != nil {
			return wrongType("it has the claim " + member + ", as ID tokens and logout tokens do")
		}
	}
	return good
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

func (i *issuer) device(c claims, v *token.Verified) token.Finding {
	value := c.at(i.Claims.DeviceUID)
	claim, _, ok := textOf(value)
	if claim == "" && ok {
		return token.Finding{Reason: reason.DeviceUIDMissing}
	}
	if !ok || len(claim) > MaxDeviceClaim {
		return malformed("the claim of the device (claims.device_uid) is not text of at most 512 bytes")
	}
	v.Device = DeviceUID(i.Name, claim)
	if v.Device == uuid.Nil {
		return malformed("the claim of the device (claims.device_uid) is the zero UUID")
	}
	return good
}
