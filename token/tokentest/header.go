package tokentest

import (
	"strings"
)

// headerAttacks: J6 and J9, what the header may not say although our key signed it.
func (f *Forger) headerAttacks() []Attack {
	alg := string(f.Algorithm)
	claims, head := f.claims().String(), strings.TrimSuffix(f.Header(), "}")
	var list []Attack
	for _, extra := range []string{
		`"crit":["x"],"x":1`, `"crit":[]`, `"crit":["exp"]`, `"crit":["b64"]`, `"crit":["b64"],"b64":false`, `"crit":["alg","alg"]`, `"crit":null`,
		`"b64":false`, `"b64":true`, `"cty":"JWT"`, `"zip":"DEF"`, `"epk":{}`, `"x":1`, `"Alg":"` + alg + `"`, `"KID":"x"`, `"Typ":"JWT"`, `"p2c":2147483647`,
		`"alg":"none"`, `"alg":"` + alg + `"`, `"\u0061lg":"none"`, `"nonce":"x"`, `"iss":"x"`, `"ppt":"x"`, `"url":"x"`, `"ver":1`, `"enc":"A128GCM"`, `"apu":"x"`, `"p2s":"x"`, `"iv":"x"`, `"tag":"x"`, `"":""`, `"jwk":{}`, `"x5c":[]`, `"ALG":"none"`, `"key_ops":["sign"]`, `"trust":true`, `"kid":"x"`, `"typ":"JWT"`,
	} {
		list = append(list,
			Attack{"header and " + extra, f.Sign(head+","+extra+"}", claims), malformed},
			Attack{"header after " + extra, f.Sign("{"+extra+","+head[1:]+"}", claims), malformed})
	}
	for _, header := range []string{
		`{}`, `null`, `[]`, `"x"`, `7`, ``, `{`, `}`, `{"kid":"` + f.ID + `","typ":"at+jwt"}`, `{"alg":null,"kid":"` + f.ID + `","typ":"at+jwt"}`,
		`{"alg":["` + alg + `"],"kid":"` + f.ID + `","typ":"at+jwt"}`, `{"alg":1,"kid":"` + f.ID + `","typ":"at+jwt"}`,
		`{"alg":"` + alg + `","kid":"` + f.ID + `"}`, `{"alg":"` + alg + `","kid":"` + f.ID + `","typ":null}`, `{"alg":"` + alg + `","kid":"` + f.ID + `","typ":["at+jwt"]}`,
		`{"ALG":"` + alg + `","kid":"` + f.ID + `","typ":"at+jwt"}`,
	} {
		list = append(list, Attack{"header " + header, f.Sign(header, claims), malformed})
	}
	return append(list, wrapAttacks("header", f.Header(), func(h string) string { return f.Sign(h, claims) })...)
}

// wrapAttacks: bytes around, in and of a JSON object that a lenient parser would take.
func wrapAttacks(part, object string, sign func(string) string) []Attack {
	var list []Attack
	inner := strings.TrimSuffix(object, "}")
	for name, spoilt := range map[string]string{
		"leading space": " " + object, "trailing space": object + " ", "trailing newline": object + "\n", "trailing NUL": object + "\x00",
		"BOM": "\ufeff" + object, "twice": object + object, "trailing garbage": object + "x", "trailing brace": object + "}", "cut": inner,
		"comma": inner + ",}", "comment": inner + "/**/}", "single quotes": strings.ReplaceAll(object, `"`, `'`),
		"invalid UTF-8": inner + `,"a":"` + "\xff" + `"}`, "lone surrogate": inner + `,"a":"\ud800"}`, "raw NUL": inner + ",\"a\":\"\x00\"}",
		"NaN": inner + `,"a":NaN}`, "deep": inner + `,"a":` + strings.Repeat("[", 2500) + strings.Repeat("]", 2500) + "}",
		"deep, never closed": strings.Repeat(`{"a":`, 700) + "}", "one level too deep": inner + `,"a":[[[[]]]]}`,
		"depth behind an escaped quote": inner + `,"a":"\"","b":[[[[]]]]}`,
		"depth behind closers in text":  inner + `,"a":"]]]]","b":[[[[]]]]}`,
	} {
		list = append(list, Attack{part + " with " + name, sign(spoilt), malformed})
	}
	return list
}
