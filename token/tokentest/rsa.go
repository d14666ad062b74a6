package tokentest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // signatures over it are refused
	"crypto/sha256"
	"fmt"
	"math/big"
)

// rsaAttacks: the signature plus the modulus, which is the same number to a careless verifier, and
// good signatures over something else.
func (f *Forger) rsaAttacks() map[string]string {
	out := map[string]string{}
	n := f.Private.Public().(*rsa.PublicKey).N
	for i := 0; out["signature plus the modulus"] == ""; i++ {
		input, signature := split(f.Sign(f.Header(), f.claims().With("jti", fmt.Sprintf(`"plus-%d"`, i)).String()))
		if plus := new(big.Int).Add(new(big.Int).SetBytes([]byte(signature)), n); plus.BitLen() <= n.BitLen() {
			out["signature plus the modulus"] = input + "." + B64(string(plus.Bytes()))
		}
		minus := new(big.Int).Sub(n, new(big.Int).SetBytes([]byte(signature)))
		out[fmt.Sprintf("modulus minus signature %d", i)] = input + "." + B64(string(minus.FillBytes(make([]byte, len(signature)))))
	}
	input := B64(f.Header()) + "." + B64(f.claims().String())
	key := f.Private.(*rsa.PrivateKey)
	for name, h := range map[string]crypto.Hash{"SHA-1": crypto.SHA1, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512} {
		digest := h.New()
		digest.Write([]byte(input))
		out["PKCS #1 with "+name] = input + "." + B64(string(must(rsa.SignPKCS1v15(rand.Reader, key, h, digest.Sum(nil)))))
	}
	sum := sha256.Sum256([]byte(input))
	out["PKCS #1 without the name of the hash"] = input + "." + B64(string(must(rsa.SignPKCS1v15(rand.Reader, key, 0, sum[:]))))
	return out
}
