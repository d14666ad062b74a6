package tokentest

import (
	"crypto"
	"maps"
	"slices"

	"devicegate/reason"
	"devicegate/token"
)

// Attack is a token that must be refused, and why.
type Attack struct {
	Name, Raw string
	Want      reason.Reason
}

const (
	malformed  = reason.TokenMalformed
	unverified = reason.TokenUnverified
)

// Key is a private key of a gate, as its tokens name it.
type Key struct {
	Private   crypto.Signer
	Algorithm token.Algorithm
	ID        string // kid
}

// KeyOf returns the fixed key of an algorithm under the kid that a gate gives it.
func KeyOf(alg token.Algorithm) Key {
	private := PrivateKey(alg)
	return Key{Private: private, Algorithm: alg, ID: KeyID(private)}
}

// Forger holds what a gate's tokens are made with. Its fields are not to be changed after the first use,
// and it is used by one goroutine.
type Forger struct {
	Key                // that signs for the gate
	Published []Key    // one of each algorithm that the gate believes, Key among them
	JWKS      []byte   // as the gate publishes them
	Honest    Honest   // what a good token says
	Lures     []string // URLs and paths to watch, which tokens name as the place of their key

	signed map[string]bool
}

// Attacks returns the whole table.
func (f *Forger) Attacks() []Attack {
	return slices.Concat(
		f.algorithmAttacks(), f.macAttacks(), f.foreignSignatureAttacks(), f.keyAttacks(), f.lureAttacks(), f.confusedKeyAttacks(),
		f.headerAttacks(), f.serializationAttacks(), f.spellingAttacks(), f.signatureAttacks(), f.JSON(), f.purposeAttacks(),
		f.claimAttacks(),
	)
}

// Header returns the header of an honest token as JSON.
func (f *Forger) Header() string {
	return `{"alg":"` + string(f.Algorithm) + `","kid":"` + f.ID + `","typ":"at+jwt"}`
}

// Good returns an honest token.
func (f *Forger) Good() string { return f.Sign(f.Header(), f.claims().String()) }

// Sign signs any header and claims with the gate's key: only its holder could make these.
func (f *Forger) Sign(header, claims string) string {
	raw := SignToken(f.Private, header, claims)
	if f.signed == nil {
		f.signed = map[string]bool{}
	}
	f.signed[raw] = true
	return raw
}

// Signed returns every token that Sign has made. The caller owns the map.
func (f *Forger) Signed() map[string]bool { return maps.Clone(f.signed) }

func (f *Forger) claims() Members { return f.Honest.Claims() }

// own returns the private key of an algorithm that the gate believes.
func (f *Forger) own(alg token.Algorithm) Key {
	at := slices.IndexFunc(f.Published, func(k Key) bool { return k.Algorithm == alg })
	return f.Published[at]
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
