package tokentest

import (
	"fmt"
	"slices"
	"strings"
)

// spellingAttacks: J8, other spellings of one good token.
func (f *Forger) spellingAttacks() []Attack {
	var list []Attack
	// Lengths that leave unused bits behind the last byte of each part.
	claims := f.claims().String()
	for len(claims)%3 == 0 {
		claims = strings.Replace(claims, `"j-1"`, `"j-11"`, 1)
	}
	good := f.Sign(f.Header(), claims)
	parts := strings.Split(good, ".")
	for i, name := range []string{"header", "claims", "signature"} {
		respell := func(how, part string) {
			p := slices.Clone(parts)
			p[i] = part
			list = append(list, Attack{name + " " + how, strings.Join(p, "."), malformed})
		}
		part := parts[i]
		for _, c := range []string{" ", "\t", "\r", "\n", "\r\n", "\x00", "\ufeff", "=", "==", "+", "/", "%20", "%3D", "\u00a0"} {
			respell(fmt.Sprintf("after %q", c), c+part)
			respell(fmt.Sprintf("around %q", c), part[:len(part)/2]+c+part[len(part)/2:])
			respell(fmt.Sprintf("before %q", c), part+c)
		}
		if len(part)%4 != 0 {
			respell("with stray trailing bits", flipTrailingBit(part))
			respell("padded", part+strings.Repeat("=", 4-len(part)%4))
		}
		respell("cut to an impossible length", part[:len(part)-len(part)%4+1-4])
		respell("in the standard alphabet", strings.NewReplacer("-", "+", "_", "/").Replace(part)+"+")
	}
	return append(list,
		Attack{"percent-encoded dots", strings.ReplaceAll(good, ".", "%2E"), malformed},
		Attack{"twice", good + good, malformed},
		Attack{"quoted", `"` + good + `"`, malformed},
		Attack{"with its scheme", "Bearer " + good, malformed},
	)
}

// flipTrailingBit returns another spelling of the same bytes: the lowest bit of the last character
// stands for nothing.
func flipTrailingBit(part string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, part[len(part)-1])
	return part[:len(part)-1] + string(alphabet[last^1])
}
