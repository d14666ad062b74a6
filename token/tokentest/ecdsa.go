package tokentest

import (
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"
)

// ecdsaAttacks: other pairs for the signature (r, s), of which (r, n-s) is as good to a usual verifier.
func ecdsaAttacks(signature string) map[string]string {
	n := elliptic.P256().Params().N
	r, s := new(big.Int).SetBytes([]byte(signature[:32])), new(big.Int).SetBytes([]byte(signature[32:]))
	zero, one := new(big.Int), big.NewInt(1)
	minus := func(a *big.Int) *big.Int { return new(big.Int).Sub(n, a) }
	out := map[string]string{
		"r, n-s": Fixed(r, minus(s)), "n-r, s": Fixed(minus(r), s), "n-r, n-s": Fixed(minus(r), minus(s)), "s, r": Fixed(s, r),
		"0, s": Fixed(zero, s), "r, 0": Fixed(r, zero), "n, s": Fixed(n, s), "r, n": Fixed(r, n), "0, 0": Fixed(zero, zero), "n, n": Fixed(n, n),
		"1, 1": Fixed(one, one), "r, 1": Fixed(r, one), "1, s": Fixed(one, s), "r, n-1": Fixed(r, minus(one)), "n+1, s": Fixed(new(big.Int).Add(n, one), s),
	}
	if der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s}); err == nil {
		out["DER"] = string(der)
	}
	for name, a := range map[string]*big.Int{"r": r, "s": s} { // the same number, one turn on, where there is room for it
		if turned := new(big.Int).Add(a, n); turned.BitLen() <= 256 {
			out[name+"+n"] = map[bool]string{true: Fixed(turned, s), false: Fixed(r, turned)}[name == "r"]
		}
	}
	return out
}
