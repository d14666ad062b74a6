package tokentest

import (
	"fmt"
	"strings"

	"devicegate/token"
)

// JSON returns the attacks of J9: claims sets that our key signed and two parsers could read differently.
func (f *Forger) JSON() []Attack {
	sign := func(claims string) string { return f.Sign(f.Header(), claims) }
	object := f.claims().String()
	inner := strings.TrimSuffix(object, "}")
	list := wrapAttacks("claims", object, sign)
	for _, extra := range []string{`"exp":9999999999`, `"\u0065xp":9999999999`, `"device_uid":"x"`, `"a":{"b":1,"b":2}`, `"sub":"` + f.Honest.User.String() + `"`} {
		list = append(list,
			Attack{"claims and " + extra, sign(inner + "," + extra + "}"), malformed},
			Attack{"claims after " + extra, sign("{" + extra + "," + inner[1:] + "}"), malformed})
	}
	for _, claims := range []string{`null`, `[]`, `{}`, `""`, `0`, `true`, ``, `[` + object + `]`} {
		list = append(list, Attack{"claims " + claims, sign(claims), malformed})
	}
	many := make([]string, 700)
	for i := range many {
		many[i] = fmt.Sprintf(`"%d":0`, i)
	}
	return append(list, Attack{"claims over the size", sign(inner + `,"a":"` + strings.Repeat("a", token.MaxSize) + `"}`), malformed},
		Attack{"many claims and no exp", sign("{" + strings.Join(many, ",") + "}"), malformed})
}
