package token

import (
	"github.com/go-json-experiment/json"

	"devicegate/reason"
	"devicegate/token/compact"
)

const maxNesting = 4 // our claims need 2: the object and the roles in it

// header is a token's header. Pointers tell a missing member from an empty one.
type header struct {
	Algorithm *string `json:"alg"`
	KeyID     *string `json:"kid"`
	Type      *string `json:"typ"`
}

// scanned is a token that has passed the scan. Nothing in it is verified yet.
type scanned struct {
	algorithm  Algorithm
	keyID, typ string
	signature  []byte
}

// scan is the gate before jwx: it accepts the one canonical spelling of a compact JWS that could be
// ours and nothing else. It looks at no key and no claim. The caller has bounded the length.
func scan(raw string) (scanned, Finding) {
	rawHeader, rawClaims, rawSignature, ok := compact.Split(raw)
	if !ok {
		return scanned{}, refuse(reason.TokenMalformed, "it is not three parts with a dot between them")
	}
	head, ok := compact.Decode(rawHeader)
	if !ok || !compact.Object(head, maxNesting) {
		return scanned{}, refuse(reason.TokenMalformed, "the header is not one JSON object in base64url")
	}
	// Members beyond these three are instructions to the verifier (crit, jwk, jku, b64): none is obeyed.
	var h header
	err := json.Unmarshal(head, &h, json.RejectUnknownMembers(true))
	if err != nil || h.Algorithm == nil || h.Type == nil {
		return scanned{}, refuse(reason.TokenMalformed, "the header lacks alg or typ, or has something beside alg, kid and typ")
	}
	claims, ok := compact.Decode(rawClaims)
	if !ok || !compact.Object(claims, maxNesting) {
		return scanned{}, refuse(reason.TokenMalformed, "the claims are not one flat JSON object in base64url")
	}
	signature, ok := compact.Decode(rawSignature)
	if !ok {
		return scanned{}, refuse(reason.TokenMalformed, "the signature is not base64url: was the end of the token cut off?")
	}
	c := scanned{algorithm: Algorithm(*h.Algorithm), typ: *h.Type, signature: signature}
	if !c.algorithm.Valid() {
		return scanned{}, refuse(reason.TokenUnverified, "alg is none that this gate signs with")
	}
	if !c.algorithm.fits(len(signature)) {
		return scanned{}, refuse(reason.TokenMalformed, "the signature has not the length of one in alg: was the end of the token cut off?")
	}
	if h.KeyID != nil {
		c.keyID = *h.KeyID // an empty kid is the kid of no key
	}
	return c, good
}
