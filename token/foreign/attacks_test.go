package foreign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha1" // signatures over it are refused
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/foreign"
)

// attack is a token that must be refused, and why.
type attack struct {
	name, raw string
	want      reason.Reason
}

const (
	malformed     = reason.TokenMalformed
	unverified    = reason.TokenUnverified
	wrongType     = reason.TokenWrongType
	wrongAudience = reason.TokenWrongAudience
	noKeys        = reason.KeysUnavailable
)

// tables are the attacks on each voice. They are the same on every gate, and take a while to sign.
var tables sync.Map

// attacks returns the whole table against one issuer.
func attacks(g *gate, v voice) []attack {
	if table, ok := tables.Load(v.String()); ok {
		return table.([]attack)
	}
	table := slices.Concat(
		algorithmAttacks(v), hmacAttacks(g, v), signerAttacks(v), kidAttacks(g, v), keyAttacks(v, "http://127.0.0.1:1/"), headerAttacks(v),
		serializationAttacks(v), spellingAttacks(v), signatureAttacks(v), jsonAttacks(v), letterCaseAttacks(v), claimAttacks(g, v),
	)
	tables.Store(v.String(), table)
	return table
}

func TestAttacks(t *testing.T) {
	eachVoice(t, func(t *testing.T, g *gate, v voice) {
		for _, a := range attacks(g, v) {
			g.want(t, a.name, a.raw, a.want)
		}
		if n := g.issuers.CacheLen(); n != 0 {
			t.Errorf("%d refused tokens are in the cache", n)
		}
	})
}

// TestThereAreEnoughAttacks: what is promised of the table.
func TestThereAreEnoughAttacks(t *testing.T) {
	g, distinct := newGate(t), map[string]bool{}
	for _, v := range voices() {
		for _, a := range attacks(g, v) {
			distinct[a.raw] = true
		}
	}
	if len(distinct) < 2000 {
		t.Errorf("%d distinct tokens are tried, want 2000", len(distinct))
	}
	t.Logf("%d distinct tokens", len(distinct))
}

// TestAttacksBesideAWarmCache: a cached good token must not help any of its forgeries.
func TestAttacksBesideAWarmCache(t *testing.T) {
	eachIssuer(t, func(t *testing.T, g *gate, v voice) {
		good := v.honest()
		for _, a := range attacks(g, v) {
			if _, why := g.verifier.Verify(good); why != reason.OK || !g.issuers.Cached(good) {
				t.Fatalf("the honest token before %q: %v", a.name, why)
			}
			g.want(t, a.name, a.raw, a.want)
		}
	})
}

// TestAttacksAgainstEveryIssuer: no issuer takes what another one's attacker made, not even where it alone has keys,
// and the order of the list changes no answer.
func TestAttacksAgainstEveryIssuer(t *testing.T) {
	g := newGate(t)
	turned := newGate(t)
	slices.Reverse(turned.configs)
	turned.open(t)
	alone := map[string]*foreign.Issuers{}
	for at, c := range g.configs {
		others := slices.Clone(g.configs)
		for i := range others {
			if i != at {
				others[i].Keys = g.config("away").Keys
			}
		}
		alone[c.Name] = g.only(others...)
	}
	for _, v := range issuersOf(voices()) {
		for _, a := range attacks(g, v) {
			if len(a.raw) > token.MaxSize { // no issuer is asked
				continue
			}
			turned.want(t, "in the other order, "+v.String()+", "+a.name, a.raw, a.want)
			for name, issuer := range alone {
				if got, why, theirs := ask(issuer, a.raw); why == reason.OK || got != (token.Verified{}) || theirs == (why == reason.Undecided) {
					t.Errorf("%s, %s: %s alone says %v, %v, %+v", v, a.name, name, why, theirs, got)
				}
			}
		}
	}
}

// TestNoConnection: J5, nothing in a token makes us ask anybody.
func TestNoConnection(t *testing.T) {
	var asked atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer site.Close()
	eachVoice(t, func(t *testing.T, g *gate, v voice) {
		for _, a := range keyAttacks(v, site.URL+"/keys") {
			g.want(t, a.name, a.raw, a.want)
		}
		g.want(t, "iss", v.signClaims(v.claims.with("iss", `"`+site.URL+`"`).with("jti", `"`+site.URL+`"`)), map[bool]reason.Reason{true: reason.OK, false: unverified}[v.name == "django"])
	})
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func (v voice) headerWithAlgorithm(alg string) string {
	return strings.Replace(v.header(), `"alg":"`+v.alg+`"`, `"alg":"`+alg+`"`, 1)
}

// algorithmAttacks: J1, the token says that it is not signed, or signed in another way.
func algorithmAttacks(v voice) []attack {
	var list []attack
	claims := v.claims.String()
	_, signature := split(v.honest())
	spellings := []string{
		"none", "None", "NONE", "nOnE", "nonE", "none ", " none", "", strings.ToLower(v.alg), v.alg + " ", " " + v.alg, v.alg + `\u0000`, `\u0000` + v.alg,
		"ED25519", "Ed25519", "Ed448", "ES256K", "HS1", "RS1", "dir", "A128KW", "PBES2-HS256+A128KW", "RSA-OAEP", "HS256,none", "*", "*.*",
	}
	for _, alg := range slices.Concat(spellings, everyAlgorithm) {
		if alg == v.alg {
			continue
		}
		header := v.headerWithAlgorithm(alg)
		input := b64(header) + "." + b64(claims)
		list = append(list,
			attack{"alg " + alg + ", signed", v.sign(header, claims), unverified},
			attack{"alg " + alg + ", the original signature", input + "." + b64(signature), unverified},
			attack{"alg " + alg + ", empty signature", input + ".", malformed},
			attack{"alg " + alg + ", no signature", input, malformed},
		)
	}
	return list
}

// hmacAttacks: J2, something public as the secret of a MAC, and what is nearly the secret.
func hmacAttacks(g *gate, v voice) []attack {
	secrets := map[string][]byte{"nothing": {}, "null": []byte("null"), "a NUL": {0}, "our JWKS": g.ring.JWKS(), "our kid": []byte(g.ring.Keys()[0].ID)}
	for _, name := range []string{"rsa", "rsa2", "p256", "ed"} {
		key := pool()[name]
		block := publicPEM(key)
		maps.Copy(secrets, map[string][]byte{
			name + " in DER": der(key), name + " in PEM": []byte(block), name + " in PEM without newline": []byte(strings.TrimSuffix(block, "\n")),
			name + " as JWK": must(json.Marshal(jwk(name, v.kid))), name + " as JWKS": []byte(jwks(jwk(name, name))), name + " in raw bytes": rawPublic(key),
			name + " in base64": []byte(b64(string(rawPublic(key)))), name + "'s kid": []byte(name),
		})
	}
	if secret, ok := v.key.([]byte); ok {
		secrets["secret with its newline"], secrets["secret in base64"] = append(secret[:len(secret):len(secret)], '\n'), []byte(b64(string(secret)))
		secrets["half the secret"], secrets["secret and NUL"] = secret[:len(secret)/2], append(secret[:len(secret):len(secret)], 1)
		secrets["secret in capitals"], secrets["another Django's"] = []byte(strings.ToUpper(string(secret))), pool()["secret2"].([]byte)
	}
	var list []attack
	for _, alg := range secretAlgorithms {
		for name, secret := range secrets {
			for _, header := range slices.Compact([]string{v.headerWithAlgorithm(alg), v.header()}) {
				input := b64(header) + "." + b64(v.claims.String())
				list = append(list, attack{alg + " with " + name + " under " + header, input + "." + b64(hmacOf(hashes[alg[2:]], secret, input)), unverified})
			}
		}
	}
	return list
}

// signerAttacks: J3 and J4, good signatures of every key that is known anywhere, under this issuer's name, kid and
// algorithm, and this issuer's under the names of the others.
func signerAttacks(v voice) []attack {
	var list []attack
	add := func(who voice, alg, kid, iss string) {
		header := `{"alg":"` + alg + `","kid":"` + kid + `","typ":"JWT"}`
		claims := v.claims.with("iss", `"`+iss+`"`)
		why := unverified
		switch {
		case iss == awayIss:
			why = awayReason(who)
		case who.name != v.name && issOf(who) == iss: // it is the twin's own, but for its audience
			why = wrongAudience
		}
		list = append(list, attack{fmt.Sprintf("signed by %s, alg %s, kid %s, iss %s", who, alg, kid, iss), who.sign(header, claims.String()), why})
	}
	for _, who := range voices() {
		if who.name != v.name {
			for _, kid := range []string{v.kid, who.kid} {
				add(who, v.alg, kid, issOf(v))
				add(who, who.alg, kid, issOf(v))
			}
		}
		if who.name == v.name && who.alg != v.alg {
			add(who, v.alg, v.kid, issOf(v))   // under another alg
			add(who, v.alg, who.kid, issOf(v)) // and its own kid
			if who.kid != v.kid {
				add(who, who.alg, v.kid, issOf(v)) // under another kid
			}
		}
	}
	for _, iss := range []string{ours, pemIss, idpIss, twinIss, namesakeIss, awayIss} {
		if iss != issOf(v) {
			add(v, v.alg, v.kid, iss)
		}
	}
	return list
}

// awayReason is what v's tokens get under the name of the issuer that has no keys: those that no key set could verify
// are refused as such.
func awayReason(v voice) reason.Reason {
	if v.oneKey() {
		return unverified
	}
	return noKeys
}

// issOf is the iss that v's tokens have; any but those of others where it has none.
func issOf(v voice) string {
	if iss := v.claims.value("iss"); iss != "" {
		return strings.Trim(iss, `"`)
	}
	return "https://django.example"
}

// kidAttacks: J4, the token names the key that it wants to be checked with.
func kidAttacks(g *gate, v voice) []attack {
	var list []attack
	withKid := func(kid string) string { return `{"alg":"` + v.alg + `","kid":` + kid + `,"typ":"JWT"}` }
	claims := v.claims.String()
	for _, kid := range []string{`{}`, `["` + v.kid + `"]`, `7`, `true`, `{"a":[]}`, `"\ud800"`, "\"\x00\"", "\"\n\"", `"` + strings.Repeat("k", token.MaxSize) + `"`, `"` + strings.Repeat("k", 1<<20) + `"`} {
		list = append(list, attack{fmt.Sprintf("kid %.40s", kid), v.sign(withKid(kid), claims), malformed})
	}
	list = append(list, attack{"kid null", v.sign(withKid("null"), claims), unverified}) // our own reading, which takes null for nothing
	if v.oneKey() {
		return list
	}
	list = append(list, attack{"kid missing", v.sign(`{"alg":"`+v.alg+`","typ":"JWT"}`, claims), unverified})
	for _, kid := range []string{
		"", "unknown", "../../dev/null", "/etc/passwd", "/dev/stdin", "x' OR 1=1", "' UNION SELECT 1 --", "*", "http://127.0.0.1:1/k", "|ls", "$(ls)", "0", "null", "true",
		v.kid + `\u0000`, v.kid + `\r\n`, `\u0000` + v.kid, strings.ToUpper(v.kid), " " + v.kid, v.kid + " ", v.kid[1:], v.kid + v.kid, strings.Repeat("k", 4000),
		g.ring.Keys()[0].ID, "rsa2", "k2", "secret", "django", `\u2028`, "＠",
	} {
		list = append(list, attack{fmt.Sprintf("kid %.40s", kid), v.sign(withKid(`"`+kid+`"`), claims), unverified})
	}
	return list
}

// keyAttacks: J5, the token brings its key, or says where it is, in every letter case.
func keyAttacks(v voice, address string) []attack {
	var list []attack
	attacker := voice{name: "attacker", alg: "EdDSA", kid: "a", key: edKey(9)}
	jwk := string(must(json.Marshal(map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(string(rawPublic(attacker.key))), "kid": "a"})))
	for name, member := range map[string]string{
		"jwk": jwk, "jku": `"` + address + `"`, "x5u": `"` + address + `"`, "x5c": `["` + b64(jwk) + `"]`,
	} {
		for _, name := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], strings.Replace(name, "k", "\u212a", 1)} {
			for _, signer := range []voice{v, attacker} {
				for _, header := range []string{v.header(), attacker.header()} {
					for _, header := range []string{strings.TrimSuffix(header, "}") + `,"` + name + `":` + member + "}", `{"` + name + `":` + member + "," + header[1:]} {
						list = append(list, attack{name + ", signed by " + signer.name, signer.sign(header, v.claims.String()), malformed})
					}
				}
			}
		}
	}
	return list
}

// headerAttacks: J6 and J9, what the header may not say although the issuer's key signed it.
func headerAttacks(v voice) []attack {
	claims, head := v.claims.String(), strings.TrimSuffix(v.header(), "}")
	var list []attack
	for _, extra := range []string{
		`"crit":["x"],"x":1`, `"crit":[]`, `"crit":["exp"]`, `"crit":["b64"]`, `"crit":["b64"],"b64":false`, `"crit":["alg","alg"]`, `"crit":null`, `"Crit":["x"]`, `"CRIT":[]`,
		`"b64":false`, `"b64":true`, `"B64":false`, `"cty":"JWT"`, `"CTY":"JWT"`, `"zip":"DEF"`, `"Zip":"DEF"`, `"enc":"A128GCM"`, `"epk":{}`, `"apu":"x"`, `"apv":"x"`,
		`"p2c":2147483647`, `"p2s":"x"`, `"P2C":1`, `"p2\u017f":"x"`, `"jwk":{}`, `"jwk":null`, `"x5c":[]`, `"jku":""`, `"jku":null`, `"\u006aku":"http://127.0.0.1:1/"`,
		`"alg":"none"`, `"alg":"` + v.alg + `"`, `"\u0061lg":"none"`, `"Alg":"` + v.alg + `"`, `"ALG":"none"`, `"KID":"x"`, `"Kid":"x"`, `"\u212aid":"x"`, `"Typ":"JWT"`, `"TYP":"x"`,
		`"typ":"JWT"`, `"x":1,"x":1`, `"x":{"y":1,"y":2}`, `"x":` + strings.Repeat("[", 8) + strings.Repeat("]", 8),
	} {
		list = append(list,
			attack{"header and " + extra, v.sign(head+","+extra+"}", claims), malformed},
			attack{"header after " + extra, v.sign("{"+extra+","+head[1:]+"}", claims), malformed})
	}
	kid := ""
	if !v.oneKey() {
		kid = `"kid":"` + v.kid + `",`
	}
	for _, header := range []string{
		`{}`, `null`, `[]`, `"x"`, `7`, `true`, ``, `{`, `}`, `[` + v.header() + `]`, `{` + kid + `"typ":"JWT"}`, `{"alg":null,` + kid + `"typ":"JWT"}`, `{"alg":["` + v.alg + `"],` + kid + `"typ":"JWT"}`,
		`{"alg":1,` + kid + `"typ":"JWT"}`, `{"alg":{},` + kid + `"typ":"JWT"}`, `{"ALG":"` + v.alg + `",` + kid + `"typ":"JWT"}`, `{"alg":"` + v.alg + `",` + kid + `"typ":["JWT"]}`,
		`{"alg":"` + v.alg + `",` + kid + `"typ":1}`, `{"alg":"` + v.alg + `",` + kid + `"typ":null}`,
	} {
		list = append(list, attack{"header " + header, v.sign(header, claims), malformed})
	}
	return append(list, wrapAttacks("header", v.header(), func(h string) string { return v.sign(h, claims) })...)
}

// wrapAttacks: bytes around, in and of a JSON object that a lenient parser would take.
func wrapAttacks(part, object string, sign func(string) string) []attack {
	var list []attack
	inner := strings.TrimSuffix(object, "}")
	for name, spoilt := range map[string]string{
		"leading space": " " + object, "trailing space": object + " ", "trailing newline": object + "\n", "trailing NUL": object + "\x00", "BOM": "\ufeff" + object,
		"twice": object + object, "in two lines": object + "\n" + object, "trailing garbage": object + "x", "trailing brace": object + "}", "cut": inner, "comma": inner + ",}",
		"comment": inner + "/**/}", "single quotes": strings.ReplaceAll(object, `"`, `'`), "a name without quotes": inner + `,a:1}`, "no comma": inner + ` "a":1}`,
		"invalid UTF-8": inner + `,"a":"` + "\xff" + `"}`, "a cut character": inner + `,"a":"` + "\xe2\x82" + `"}`, "a surrogate in UTF-8": inner + `,"a":"` + "\xed\xa0\x80" + `"}`, "an overlong character": inner + `,"a":"` + "\xc0\x80" + `"}`,
		"lone surrogate": inner + `,"a":"\ud800"}`, "lone low surrogate": inner + `,"a":"\udc00"}`, "turned surrogates": inner + `,"a":"\udc00\ud800"}`, "lone surrogate in a name": inner + `,"\ud800":1}`,
		"raw NUL": inner + ",\"a\":\"\x00\"}", "raw newline in text": inner + ",\"a\":\"\n\"}", "bad escape": inner + `,"a":"\x41"}`, "NaN": inner + `,"a":NaN}`, "Infinity": inner + `,"a":-Infinity}`,
		"a plus": inner + `,"a":+1}`, "a leading zero": inner + `,"a":01}`, "hexadecimal": inner + `,"a":0x1}`, "a bare dot": inner + `,"a":1.}`, "a name twice": inner + `,"a":1,"a":1}`, "a name twice, escaped": inner + `,"a":1,"\u0061":1}`,
		"deep": inner + `,"a":` + strings.Repeat("[", 2500) + strings.Repeat("]", 2500) + "}", "deep, never closed": strings.Repeat(`{"a":`, 700) + "}", "one level too deep": inner + `,"a":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`,
		"objects one level too deep":    inner + `,"a":` + strings.Repeat(`{"a":`, 8) + "1" + strings.Repeat("}", 8) + `}`,
		"depth behind an escaped quote": inner + `,"a":"\"","b":[[[[[[[[]]]]]]]]}`, "depth behind closers in text": inner + `,"a":"]]]]]]]]","b":[[[[[[[[]]]]]]]]}`,
		"depth behind closers": inner + `}]]]]]]]]],"b":[[[[[[[[]]]]]]]]}`,
	} {
		list = append(list, attack{part + " with " + name, sign(spoilt), malformed})
	}
	return list
}

// serializationAttacks: J7, JOSE that is no compact JWS.
func serializationAttacks(v voice) []attack {
	good := v.honest()
	p := strings.Split(good, ".")
	one := `{"protected":"` + p[0] + `","signature":"` + p[2] + `"}`
	list := []attack{
		{"JSON flattened", `{"payload":"` + p[1] + `",` + one[1:], malformed},
		{"JSON general", `{"payload":"` + p[1] + `","signatures":[` + one + `]}`, malformed},
		{"JSON with two signatures", `{"payload":"` + p[1] + `","signatures":[{"protected":"e30","signature":"AA"},` + one + `]}`, malformed},
		{"JSON with an open header", `{"payload":"` + p[1] + `","header":{"alg":"none"},` + one[1:], malformed},
		{"JWE", b64(`{"alg":"dir","enc":"A256GCM"}`) + "..AAAA.AAAA.AAAA", malformed},
		{"JWE with PBES2", b64(`{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"enc":"A128GCM","zip":"DEF"}`) + ".AAAA.AAAA.AAAA.AAAA", malformed},
		{"JWE of the parts", good + "." + p[1] + "." + p[2], malformed},
		{"nested JWS", v.sign(v.header(), good), malformed},
		{"nested JWS in quotes", v.sign(v.header(), `"`+good+`"`), malformed},
		{"detached payload", p[0] + ".." + p[2], malformed},
		{"no header", "." + p[1] + "." + p[2], malformed},
		{"parts in another order", p[1] + "." + p[0] + "." + p[2], malformed},
	}
	for _, raw := range []string{good + ".", "." + good, good + ".." + p[2], good + "." + p[2], good + good, good + "," + good, good + "~", good + "~" + p[1] + "~", `"` + good + `"`, "Bearer " + good, strings.ReplaceAll(good, ".", "%2E"), strings.ReplaceAll(good, ".", "。"), "", ".", "..", "...", strings.Repeat(".", 1000)} {
		list = append(list, attack{fmt.Sprintf("around: %.20s", raw), raw, malformed})
	}
	return list
}

// spellingAttacks: J8, other spellings of one good token.
func spellingAttacks(v voice) []attack {
	var list []attack
	good := v.honest()
	for m := v.claims; len(strings.Split(good, ".")[1])%4 == 0; { // a length that leaves unused bits
		m = m.with("jti", strings.TrimSuffix(m.value("jti"), `"`)+`x"`)
		good = v.signClaims(m)
	}
	parts := strings.Split(good, ".")
	for i, name := range []string{"header", "claims", "signature"} {
		respell := func(how, part string) {
			p := slices.Clone(parts)
			p[i] = part
			list = append(list, attack{name + " " + how, strings.Join(p, "."), malformed})
		}
		part := parts[i]
		for _, c := range []string{" ", "\t", "\r", "\n", "\r\n", "\v", "\x00", "\ufeff", "=", "==", "+", "/", "%20", "%3D", "%0A", "\u00a0", "\u200b", "ａ", "\xff"} {
			respell(fmt.Sprintf("after %q", c), c+part)
			respell(fmt.Sprintf("around %q", c), part[:len(part)/2]+c+part[len(part)/2:])
			respell(fmt.Sprintf("before %q", c), part+c)
		}
		if len(part)%4 != 0 {
			for _, bits := range strayBits(part) {
				respell("with stray trailing bits", bits)
			}
			respell("padded", part+strings.Repeat("=", 4-len(part)%4))
		}
		respell("of an impossible length", part[:len(part)/4*4-3])
		respell("in the standard alphabet", strings.NewReplacer("-", "+", "_", "/").Replace(part)+"+")
		respell("percent-encoded", "%"+fmt.Sprintf("%X", part[0])+part[1:])
	}
	return list
}

// strayBits returns the other spellings of the bytes of part: the last bits of its last character stand for
// nothing.
func strayBits(part string) (list []string) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	unused := map[int]int{2: 4, 3: 2}[len(part)%4]
	last := strings.IndexByte(alphabet, part[len(part)-1])
	for bits := 1; bits < 1<<unused; bits++ {
		list = append(list, part[:len(part)-1]+string(alphabet[last^bits]))
	}
	return list
}

// signatureAttacks: signatures that are not the one that was made.
func signatureAttacks(v voice) []attack {
	input, signature := split(v.honest())
	var list []attack
	add := func(name, changed string) {
		list = append(list, attack{name, input + "." + b64(changed), unverified})
	}
	for _, n := range []int{1, 2, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96, 97, 128, 131, 132, 133, 255, 256, 257, 384, 512, 1024} {
		if n != len(signature) {
			add(fmt.Sprintf("signature cut or grown to %d bytes", n), strings.Repeat(signature, 64)[:n])
			add(fmt.Sprintf("signature filled up to %d bytes in front", n), strings.Repeat("\x00", max(0, n-len(signature)))+signature[:min(n, len(signature))])
		}
		add(fmt.Sprintf("%d zeroes", n), strings.Repeat("\x00", n))
		add(fmt.Sprintf("%d times 0xff", n), strings.Repeat("\xff", n))
	}
	for at := range len(signature) {
		if at%7 == 0 || at == len(signature)-1 {
			changed := []byte(signature)
			changed[at] ^= 1 << (at % 8)
			add(fmt.Sprintf("signature with a bit of byte %d changed", at), string(changed))
		}
	}
	switch key := v.key.(type) {
	case ed25519.PrivateKey:
		add("S plus the group order", plusGroupOrder(signature))
	case *ecdsa.PrivateKey:
		for name, changed := range ecdsaAttacks(key, signature) {
			add(name, changed)
		}
	case *rsa.PrivateKey:
		for name, changed := range rsaAttacks(key, input, signature) {
			add(name, changed)
		}
	}
	return list
}

// ecdsaAttacks: other pairs for the signature (r, s). (r, n-s) is not among them: it is accepted, see twins.
func ecdsaAttacks(key *ecdsa.PrivateKey, signature string) map[string]string {
	n := key.Params().N
	r, s := numbers(signature)
	zero, one := new(big.Int), big.NewInt(1)
	minus := func(a *big.Int) *big.Int { return new(big.Int).Sub(n, a) }
	pair := func(r, s *big.Int) string { return fixed(key, r, s) }
	return map[string]string{
		"n-r, s": pair(minus(r), s), "n-r, n-s": pair(minus(r), minus(s)), "s, r": pair(s, r), "0, s": pair(zero, s), "r, 0": pair(r, zero), "n, s": pair(n, s), "r, n": pair(r, n),
		"0, 0": pair(zero, zero), "n, n": pair(n, n), "1, 1": pair(one, one), "r, 1": pair(r, one), "1, s": pair(one, s), "r, n-1": pair(r, minus(one)), "n+1, s": pair(new(big.Int).Add(n, one), s),
		"DER": string(must(asn1.Marshal(struct{ R, S *big.Int }{r, s}))),
	}
}

// rsaAttacks: other numbers for the signature, and good signatures over something else.
func rsaAttacks(key *rsa.PrivateKey, input, signature string) map[string]string {
	number := new(big.Int).SetBytes([]byte(signature))
	out := map[string]string{
		"modulus minus signature": string(new(big.Int).Sub(key.N, number).FillBytes(make([]byte, len(signature)))),
		"the modulus":             string(key.N.Bytes()), "one": string(big.NewInt(1).FillBytes(make([]byte, len(signature)))),
	}
	if plus := new(big.Int).Add(number, key.N); plus.BitLen() <= 8*len(signature) {
		out["signature plus the modulus"] = string(plus.Bytes())
	}
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA384, crypto.SHA512} {
		digest := h.New()
		digest.Write([]byte(input))
		out["PKCS #1 with "+h.String()] = string(must(rsa.SignPKCS1v15(nil, key, h, digest.Sum(nil))))
	}
	digest := crypto.SHA256.New()
	digest.Write([]byte(input))
	out["PKCS #1 without the name of the hash"] = string(must(rsa.SignPKCS1v15(nil, key, 0, digest.Sum(nil))))
	return out
}

// plusGroupOrder is the classic way to a second signature of Ed25519 that a careless verifier takes.
func plusGroupOrder(signature string) string {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	changed := []byte(signature)
	s := changed[32:]
	slices.Reverse(s)
	new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(s)
	slices.Reverse(s)
	return string(changed)
}
