package tokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"hash"
)

// macAttacks: J2, the public key as the secret of a MAC.
func (f *Forger) macAttacks() []Attack {
	der := must(x509.MarshalPKIXPublicKey(f.Private.Public()))
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	secrets := map[string][]byte{
		"DER": der, "PEM": block, "PEM without newline": block[:len(block)-1], "JWKS": f.JWKS,
		"JWK": []byte(PublicJWK(f.Private)), "raw bytes": rawPublic(f.Private), "in base64": []byte(B64(string(rawPublic(f.Private)))), "empty": {}, "null": []byte("null"), "kid": []byte(f.ID),
	}
	var list []Attack
	for alg, newHash := range map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New} {
		for name, secret := range secrets {
			for _, header := range []string{f.headerWithAlgorithm(alg), f.Header()} {
				input := B64(header) + "." + B64(f.claims().String())
				mac := hmac.New(newHash, secret)
				mac.Write([]byte(input))
				want := unverified
				if header == f.Header() {
					want = wrongUnder(string(f.Algorithm), mac.Size())
				}
				list = append(list, Attack{alg + " with " + name + " under " + header[8:13], input + "." + B64(string(mac.Sum(nil))), want})
			}
		}
	}
	return list
}

// PublicJWK returns a public key in a spelling that a MAC could be made with.
func PublicJWK(key crypto.Signer) string {
	jwk, _ := PrivateJWK(key)
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi"} {
		delete(jwk, private)
	}
	return string(must(json.Marshal(jwk)))
}

// rawPublic returns a public key as bare bytes, another spelling for a MAC.
func rawPublic(key crypto.Signer) []byte {
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		return public
	case *ecdsa.PublicKey:
		return must(public.Bytes())
	default:
		return public.(*rsa.PublicKey).N.Bytes()
	}
}
