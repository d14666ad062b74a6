// Package foreign accepts the access tokens of other issuers: Django SimpleJWT, Keycloak and its kind.
//
// What it guarantees:
//
//   - It fails closed. Verify has no error result: every token but a good one gets a reason that refuses, and
//     an issuer whose keys cannot be had refuses all of its tokens (keys_unavailable).
//   - A token is judged by one issuer's rules as a whole: its keys, its algorithms, its audience, its claims.
//     Nothing of one issuer helps a token with another, though both have the same iss or the same kid.
//   - iss chooses who judges, and is not believed before the signature is verified. A token with our own iss
//     is never a foreign one. An issuer without an iss is asked only about tokens whose iss is nobody's.
//   - The same strict reading stands before jwx as for our own tokens (package compact). Of the header alg, kid
//     and typ are read; members that tell a verifier what to do (crit, jwk, jku, x5c, x5u, b64, cty, zip) and
//     other letter cases of those that are read refuse the token. Others mean nothing, as RFC 7515 section 4 says.
//   - The role "admin" never comes out of a token, and a name that a local user has, in any spelling, is
//     refused by the check.
//   - A hit in the cache is as strict as a miss: times and keys are looked at again.
//
// # One order, one reason
//
// The first that fails names the reason, as for our own tokens:
//
//  1. token_malformed: as in package token, but for the header's other members and a nesting of up to 8.
//  2. token_unverified: alg is not in the issuer's list.
//  3. keys_unavailable: the issuer has no keys, and with keys it could be one's.
//  4. token_unverified: kid names none of its keys (an issuer with one key reads no kid), or the signature is
//     wrong.
//  5. token_malformed: a claim that is read up to here (exp, nbf, iat, jti, sub, the user's id) is missing or of
//     the wrong type, a time is not a positive number, the token ends before it begins, or any claim that is read
//     is there in another letter case.
//  6. token_wrong_type: see below.
//  7. token_wrong_audience: aud, one or several, does not name the audience that is demanded.
//  8. token_expired, token_not_yet_valid, token_lives_too_long.
//  9. device_uid_missing.
//  10. token_malformed: the device claim, the name or the roles cannot be used.
//  11. token_unverified: the name is made to look like a user of an issuer, "issuer:user_id".
//
// An issuer with one key is of SimpleJWT's kind: token_type must be "access", jti must be there, and typ decides
// nothing. One with a key set is an identity provider: typ, where it is there, must be that of a JWT or an access
// token (RFC 9068); a claim token_type or typ, where it is there, must not say another type; and members
// that only an ID token or a logout token has refuse it (RFC 8725 section 3.11). A token of any issuer that is bound to
// a key (cnf; DPoP, mutual TLS) is no bearer token, and refused.
package foreign
