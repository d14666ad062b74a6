package tokentest

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"devicegate/token"
)

// signatureAttacks: signatures that are not the one that was made.
func (f *Forger) signatureAttacks() []Attack {
	input, signature := split(f.Sign(f.Header(), f.claims().String()))
	var list []Attack
	add := func(name, changed string) {
		list = append(list, Attack{name, input + "." + B64(changed), wrongUnder(string(f.Algorithm), len(changed))})
	}
	long := signature + signature
	for _, n := range []int{1, 2, 31, 32, 48, 63, 64, 65, 96, 128, 255, 256, 257, 384, 511, 512, 513, 1024} {
		if n != len(signature) {
			add(fmt.Sprintf("signature cut or grown to %d bytes", n), strings.Repeat(long, 16)[:n])
			add(fmt.Sprintf("signature filled up to %d bytes in front", n), strings.Repeat("\x00", max(0, n-len(signature)))+signature[:min(n, len(signature))])
		}
		add(fmt.Sprintf("%d zeroes", n), strings.Repeat("\x00", n))
		add(fmt.Sprintf("%d times 0xff", n), strings.Repeat("\xff", n))
	}
	for _, at := range []int{0, 1, 15, 31, 32, 33, 47, 62, 63, len(signature) - 2, len(signature) - 1} {
		for _, bit := range []byte{0x01, 0x80} {
			flipped := []byte(signature)
			flipped[at] ^= bit
			add(fmt.Sprintf("signature with bit %x of byte %d changed", bit, at), string(flipped))
		}
	}
	switch f.Algorithm {
	case token.EdDSA:
		malleable := []byte(signature)
		addGroupOrder(malleable[32:])
		add("S plus the group order", string(malleable))
	case token.ES256:
		for name, changed := range ecdsaAttacks(signature) {
			add(name, changed)
		}
	case token.RS256:
		for name, made := range f.rsaAttacks() {
			list = append(list, Attack{name, made, unverified})
		}
	}
	return list
}

// addGroupOrder adds the order of Ed25519's group to a little-endian number: the classic way to
// make a second signature that a careless verifier takes.
func addGroupOrder(s []byte) {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	slices.Reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order)
	sum.FillBytes(s)
	slices.Reverse(s)
}
