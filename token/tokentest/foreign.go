package tokentest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"

	"devicegate/token"
)

// foreignSignatureAttacks: J3, real signatures of other keys and algorithms under each other's names.
func (f *Forger) foreignSignatureAttacks() []Attack {
	rsaKey := UnknownKey(token.RS256).(*rsa.PrivateKey)
	var list []Attack
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		input := B64(f.headerWithAlgorithm(alg)) + "." + B64(f.claims().String())
		sum := sha256.Sum256([]byte(input))
		pss := func(key *rsa.PrivateKey) string {
			return string(must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], nil)))
		}
		signatures := map[string]string{
			"ECDSA": Sign(UnknownKey(token.ES256), input), "RSA": Sign(rsaKey, input), "PSS": pss(rsaKey), "Ed25519": Sign(UnknownKey(token.EdDSA), input),
			"our PSS": pss(f.own(token.RS256).Private.(*rsa.PrivateKey)),
		}
		for _, other := range Algorithms {
			if other != f.Algorithm || alg != string(f.Algorithm) {
				signatures["our "+string(other)] = Sign(f.own(other).Private, input)
			}
		}
		for name, signature := range signatures {
			list = append(list, Attack{name + " signature under " + alg, input + "." + B64(signature), wrongUnder(alg, len(signature))})
		}
	}
	return list
}

// confusedKeyAttacks: J3 and J4, every combination of an algorithm, the kid of a key that we publish
// and a signature by a key that we hold, but for the one that is honest.
func (f *Forger) confusedKeyAttacks() []Attack {
	var list []Attack
	for i, claims := range []string{f.claims().String(), f.claims().With("jti", `"j-2"`).String()} {
		for _, alg := range Algorithms {
			for _, named := range Algorithms {
				for _, signer := range Algorithms {
					if alg == named && named == signer {
						continue
					}
					header := `{"alg":"` + string(alg) + `","kid":"` + f.own(named).ID + `","typ":"at+jwt"}`
					raw := SignToken(f.own(signer).Private, header, claims)
					name := fmt.Sprintf("alg %s, kid of %s, signed by %s (%d)", alg, named, signer, i)
					size := map[token.Algorithm]int{token.EdDSA: 64, token.ES256: 64, token.RS256: 256}[signer]
					list = append(list, Attack{name, raw, wrongUnder(string(alg), size)})
				}
			}
		}
	}
	return list
}
