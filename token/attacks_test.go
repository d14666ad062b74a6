package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // signatures over it are refused
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash"
	"math/big"
	"slices"
	"strings"
	"testing"

	"devicegate/reason"
	"devicegate/token"
)

// attack is a token that must be refused, and why.
type attack struct {
	name, raw string
	want      reason.Reason
}

const (
	malformed  = reason.TokenMalformed
	unverified = reason.TokenUnverified
)

// attacks returns the whole table for the algorithm of f. The same table seeds the fuzz target.
func attacks(tb testing.TB, f *fixture) []attack {
	tb.Helper()
	return slices.Concat(
		algorithmAttacks(tb, f), hmacAttacks(tb, f), foreignSignatureAttacks(tb, f), keyAttacks(tb, f), confusedKeyAttacks(f),
		headerAttacks(f), serializationAttacks(f), spellingAttacks(f), signatureAttacks(tb, f), jsonAttacks(f), purposeAttacks(f),
		claimAttacks(f),
	)
}

func TestAttacks(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		for _, a := range attacks(t, f) {
			t.Run(a.name, func(t *testing.T) {
				got, why := f.verifier.Verify(a.raw)
				if why != a.want || got != (token.Verified{}) {
					t.Errorf("got %v and %+v, want %v and nothing", why, got, a.want)
				}
			})
		}
	})
}

// TestThereAreEnoughAttacks: what is promised of the table.
func TestThereAreEnoughAttacks(t *testing.T) {
	distinct := map[string]bool{}
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		for _, a := range attacks(t, f) {
			distinct[a.raw] = true
		}
	})
	if len(distinct) < 2000 {
		t.Errorf("%d distinct tokens are tried, want 2000", len(distinct))
	}
	t.Logf("%d distinct tokens", len(distinct))
}

// TestStructureIsJudgedBeforeTheSignature: no library is given bytes that could be read in two ways.
func TestStructureIsJudgedBeforeTheSignature(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		for _, a := range jsonAttacks(f) {
			if _, why := f.verifier.Verify(broken(a.raw)); why != malformed && !strings.HasPrefix(a.name, "claims {}") && a.name != "many claims and no exp" {
				t.Errorf("%s: got %v, want %v", a.name, why, malformed)
			}
		}
	})
}

// TestAttacksBesideAWarmCache: a cached good token must not help any of its forgeries.
func TestAttacksBesideAWarmCache(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		good := f.sign(f.header(), honestClaims().String())
		for _, a := range attacks(t, f) {
			if _, why := f.verifier.Verify(good); why != reason.OK {
				t.Fatalf("the honest token after %q: %v", a.name, why)
			}
			if _, why := f.verifier.Verify(a.raw); why != a.want {
				t.Errorf("%s: got %v, want %v", a.name, why, a.want)
			}
		}
	})
}

func (f *fixture) headerWithAlgorithm(alg string) string {
	return strings.Replace(f.header(), string(f.alg), alg, 1)
}

// wrongUnder is the reason for a signature of size bytes that is not good under alg.
func wrongUnder(alg string, size int) reason.Reason {
	sizes := map[string][2]int{"EdDSA": {64, 64}, "ES256": {64, 64}, "RS256": {256, 512}}
	if s, ok := sizes[alg]; ok && (size < s[0] || size > s[1]) {
		return malformed
	}
	return unverified
}

// split returns what was signed, and the signature.
func split(tb testing.TB, raw string) (string, string) {
	tb.Helper()
	input := raw[:strings.LastIndex(raw, ".")]
	return input, string(must(base64.RawURLEncoding.DecodeString(raw[len(input)+1:]))(tb))
}

// algorithmAttacks: J1, the token says that it is not signed, or signed in another spelling.
func algorithmAttacks(tb testing.TB, f *fixture) []attack {
	var list []attack
	claims := honestClaims().String()
	original := f.sign(f.header(), claims)
	_, signature := split(tb, original)
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", "", "eddsa", "EDDSA", "EdDSA ", "Ed25519", "ES256", "ES512", "RS256", "PS256", "HS256", "ES384", "ES256K", "RS384", "RS512", "es256", "rs256", "ES256 ", " RS256", "EdDSA", `EdDSA\u0000`, `ES256\u0000`} {
		if alg == string(f.alg) {
			continue
		}
		want := wrongUnder(alg, len(signature))
		input := b64(f.headerWithAlgorithm(alg)) + "." + b64(claims)
		list = append(list,
			attack{"alg " + alg + ", signed by us", f.sign(f.headerWithAlgorithm(alg), claims), want},
			attack{"alg " + alg + ", the original signature", input + "." + b64(signature), want},
			attack{"alg " + alg + ", empty signature", input + ".", malformed},
			attack{"alg " + alg + ", no signature", input, malformed},
		)
	}
	return list
}

// hmacAttacks: J2, the public key as the secret of a MAC.
func hmacAttacks(tb testing.TB, f *fixture) []attack {
	der := must(x509.MarshalPKIXPublicKey(f.private.Public()))(tb)
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	secrets := map[string][]byte{
		"DER": der, "PEM": block, "PEM without newline": block[:len(block)-1], "JWKS": f.ring.JWKS(),
		"JWK": []byte(publicJWK(f.private)), "raw bytes": rawPublic(tb, f.private), "in base64": []byte(b64(string(rawPublic(tb, f.private)))), "empty": {}, "null": []byte("null"), "kid": []byte(f.kid),
	}
	var list []attack
	for alg, newHash := range map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New} {
		for name, secret := range secrets {
			for _, header := range []string{f.headerWithAlgorithm(alg), f.header()} {
				input := b64(header) + "." + b64(honestClaims().String())
				mac := hmac.New(newHash, secret)
				mac.Write([]byte(input))
				want := unverified
				if header == f.header() {
					want = wrongUnder(string(f.alg), mac.Size())
				}
				list = append(list, attack{alg + " with " + name + " under " + header[8:13], input + "." + b64(string(mac.Sum(nil))), want})
			}
		}
	}
	return list
}

// publicJWK and rawPublic are spellings of a public key that a MAC could be made with.
func publicJWK(key crypto.Signer) string {
	jwk, _ := privateJWK(key)
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi"} {
		delete(jwk, private)
	}
	return string(mustRaw(json.Marshal(jwk)))
}

func rawPublic(tb testing.TB, key crypto.Signer) []byte {
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		return public
	case *ecdsa.PublicKey:
		return must(public.Bytes())(tb)
	default:
		return public.(*rsa.PublicKey).N.Bytes()
	}
}

// foreignSignatureAttacks: J3, real signatures of other keys and algorithms under each other's names.
func foreignSignatureAttacks(tb testing.TB, f *fixture) []attack {
	rsaKey, ecKey := makeRSA(2048, 65539), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	var list []attack
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		input := b64(f.headerWithAlgorithm(alg)) + "." + b64(honestClaims().String())
		sum := sha256.Sum256([]byte(input))
		pss := func(key *rsa.PrivateKey) string {
			return string(must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], nil))(tb))
		}
		signatures := map[string]string{
			"ECDSA": signInput(ecKey, input), "RSA": signInput(rsaKey, input), "PSS": pss(rsaKey), "Ed25519": signInput(edKey, input),
			"our PSS": pss(testRSA().(*rsa.PrivateKey)),
		}
		for _, other := range algorithms {
			if other != f.alg || alg != string(f.alg) {
				signatures["our "+string(other)] = signInput(testKey(other), input)
			}
		}
		for name, signature := range signatures {
			list = append(list, attack{name + " signature under " + alg, input + "." + b64(signature), wrongUnder(alg, len(signature))})
		}
	}
	return list
}

// confusedKeyAttacks: J3 and J4, every combination of an algorithm, the kid of a key that we publish
// and a signature by a key that we hold, but for the one that is honest.
func confusedKeyAttacks(f *fixture) []attack {
	var list []attack
	for i, claims := range []string{honestClaims().String(), honestClaims().with("jti", `"j-2"`).String()} {
		for _, alg := range algorithms {
			for _, named := range algorithms {
				for _, signer := range algorithms {
					if alg == named && named == signer {
						continue
					}
					header := `{"alg":"` + string(alg) + `","kid":"` + kidOf(testKey(named)) + `","typ":"at+jwt"}`
					raw := signWith(testKey(signer), header, claims)
					name := fmt.Sprintf("alg %s, kid of %s, signed by %s (%d)", alg, named, signer, i)
					size := map[token.Algorithm]int{token.EdDSA: 64, token.ES256: 64, token.RS256: 256}[signer]
					list = append(list, attack{name, raw, wrongUnder(string(alg), size)})
				}
			}
		}
	}
	return list
}

// keyAttacks: J4 and J5, the token names or brings the key it wants to be checked with.
func keyAttacks(tb testing.TB, f *fixture) []attack {
	theirs := anotherKey(tb, f.alg)
	claims := honestClaims().String()
	withKid := func(kid string) string { return `{"alg":"` + string(f.alg) + `","kid":` + kid + `,"typ":"at+jwt"}` }
	list := []attack{
		{"kid missing", f.sign(`{"alg":"`+string(f.alg)+`","typ":"at+jwt"}`, claims), unverified},
		{"signed with another key", signWith(theirs, f.header(), claims), unverified},
		{"kid of 1 MB", f.sign(withKid(`"`+strings.Repeat("k", 1<<20)+`"`), claims), malformed},
		{"kid of another key", f.sign(withKid(`"`+kidOf(theirs)+`"`), claims), unverified},
		{"kid of 5 KB", f.sign(withKid(`"`+strings.Repeat("k", 5000)+`"`), claims), unverified},
	}
	for _, kid := range []string{`""`, `null`, `"unknown"`, `"../../dev/null"`, `"/etc/passwd"`, `"x' OR 1=1"`, `"` + f.kid + `\u0000"`, `"` + f.kid + `\r\n"`, `"` + strings.ToUpper(f.kid) + `"`, `" ` + f.kid + `"`, `"` + f.kid[1:] + `"`, `"` + f.kid + f.kid + `"`, `"` + firstRecord + `"`, `"*"`, `"' UNION SELECT 1 --"`, `"http://127.0.0.1:1/k"`} {
		list = append(list, attack{"kid " + kid, f.sign(withKid(kid), claims), unverified})
	}
	for _, kid := range []string{`{}`, `["` + f.kid + `"]`, `7`, `true`, `{"a":[]}`} {
		list = append(list, attack{"kid " + kid, f.sign(withKid(kid), claims), malformed})
	}
	jwk := publicJWK(theirs)
	for name, member := range map[string]string{
		"jwk": jwk, "jku": `"http://127.0.0.1:1/jwks"`, "x5u": `"http://127.0.0.1:1/cert"`,
		"x5c": `["` + b64(jwk) + `"]`, "x5t": `"AAAA"`, "x5t#S256": `"AAAA"`,
	} {
		header := strings.TrimSuffix(f.header(), "}") + `,"` + name + `":` + member + "}"
		list = append(list,
			attack{name + ", signed with theirs", signWith(theirs, header, claims), malformed},
			attack{name + ", signed with ours", f.sign(header, claims), malformed})
	}
	return list
}

// anotherKey is a key that we do not know.
func anotherKey(tb testing.TB, alg token.Algorithm) crypto.Signer {
	switch alg {
	case token.EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		return key
	case token.ES256:
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)
	default:
		return makeRSA(2048, 65539)
	}
}

// headerAttacks: J6 and J9, what the header may not say although our key signed it.
func headerAttacks(f *fixture) []attack {
	alg := string(f.alg)
	claims, head := honestClaims().String(), strings.TrimSuffix(f.header(), "}")
	var list []attack
	for _, extra := range []string{
		`"crit":["x"],"x":1`, `"crit":[]`, `"crit":["exp"]`, `"crit":["b64"]`, `"crit":["b64"],"b64":false`, `"crit":["alg","alg"]`, `"crit":null`,
		`"b64":false`, `"b64":true`, `"cty":"JWT"`, `"zip":"DEF"`, `"epk":{}`, `"x":1`, `"Alg":"` + alg + `"`, `"KID":"x"`, `"Typ":"JWT"`, `"p2c":2147483647`,
		`"alg":"none"`, `"alg":"` + alg + `"`, `"\u0061lg":"none"`, `"nonce":"x"`, `"iss":"x"`, `"ppt":"x"`, `"url":"x"`, `"ver":1`, `"enc":"A128GCM"`, `"apu":"x"`, `"p2s":"x"`, `"iv":"x"`, `"tag":"x"`, `"":""`, `"jwk":{}`, `"x5c":[]`, `"ALG":"none"`, `"key_ops":["sign"]`, `"trust":true`, `"kid":"x"`, `"typ":"JWT"`,
	} {
		list = append(list,
			attack{"header and " + extra, f.sign(head+","+extra+"}", claims), malformed},
			attack{"header after " + extra, f.sign("{"+extra+","+head[1:]+"}", claims), malformed})
	}
	for _, header := range []string{
		`{}`, `null`, `[]`, `"x"`, `7`, ``, `{`, `}`, `{"kid":"` + f.kid + `","typ":"at+jwt"}`, `{"alg":null,"kid":"` + f.kid + `","typ":"at+jwt"}`,
		`{"alg":["` + alg + `"],"kid":"` + f.kid + `","typ":"at+jwt"}`, `{"alg":1,"kid":"` + f.kid + `","typ":"at+jwt"}`,
		`{"alg":"` + alg + `","kid":"` + f.kid + `"}`, `{"alg":"` + alg + `","kid":"` + f.kid + `","typ":null}`, `{"alg":"` + alg + `","kid":"` + f.kid + `","typ":["at+jwt"]}`,
		`{"ALG":"` + alg + `","kid":"` + f.kid + `","typ":"at+jwt"}`,
	} {
		list = append(list, attack{"header " + header, f.sign(header, claims), malformed})
	}
	return append(list, wrapAttacks("header", f.header(), func(h string) string { return f.sign(h, claims) })...)
}

// wrapAttacks: bytes around, in and of a JSON object that a lenient parser would take.
func wrapAttacks(part, object string, sign func(string) string) []attack {
	var list []attack
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
		list = append(list, attack{part + " with " + name, sign(spoilt), malformed})
	}
	return list
}

// serializationAttacks: J7, JOSE that is no compact JWS of ours.
func serializationAttacks(f *fixture) []attack {
	good := f.sign(f.header(), honestClaims().String())
	p := strings.Split(good, ".")
	flat, _ := json.Marshal(map[string]string{"protected": p[0], "payload": p[1], "signature": p[2]})
	general := fmt.Sprintf(`{"payload":"%s","signatures":[{"protected":"%s","signature":"%s"}]}`, p[1], p[0], p[2])
	multi := fmt.Sprintf(`{"payload":"%s","signatures":[{"protected":"e30","signature":"AA"},{"protected":"%s","signature":"%s"}]}`, p[1], p[0], p[2])
	return []attack{
		{"JSON flattened", string(flat), malformed},
		{"JSON general", general, malformed},
		{"JSON with two signatures", multi, malformed},
		{"JWE", b64(`{"alg":"dir","enc":"A256GCM"}`) + "..AAAA.AAAA.AAAA", malformed},
		{"JWE with PBES2", b64(`{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"enc":"A128GCM","zip":"DEF"}`) + ".AAAA.AAAA.AAAA.AAAA", malformed},
		{"JWE of our parts", good + "." + p[1] + "." + p[2], malformed},
		{"a fourth part", good + "." + p[2], malformed},
		{"a fourth, empty part", good + ".", malformed},
		{"a first, empty part", "." + good, malformed},
		{"nested JWS", f.sign(f.header(), good), malformed},
		{"detached payload", p[0] + ".." + p[2], malformed},
		{"no header", "." + p[1] + "." + p[2], malformed},
		{"nothing", "", malformed}, {"a dot", ".", malformed}, {"two dots", "..", malformed}, {"a thousand dots", strings.Repeat(".", 1000), malformed},
	}
}

// spellingAttacks: J8, other spellings of one good token.
func spellingAttacks(f *fixture) []attack {
	var list []attack
	// Lengths that leave unused bits behind the last byte of each part.
	claims := honestClaims().String()
	for len(claims)%3 == 0 {
		claims = strings.Replace(claims, `"j-1"`, `"j-11"`, 1)
	}
	good := f.sign(f.header(), claims)
	parts := strings.Split(good, ".")
	for i, name := range []string{"header", "claims", "signature"} {
		respell := func(how, part string) {
			p := slices.Clone(parts)
			p[i] = part
			list = append(list, attack{name + " " + how, strings.Join(p, "."), malformed})
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
		attack{"percent-encoded dots", strings.ReplaceAll(good, ".", "%2E"), malformed},
		attack{"twice", good + good, malformed},
		attack{"quoted", `"` + good + `"`, malformed},
		attack{"with its scheme", "Bearer " + good, malformed},
	)
}

// flipTrailingBit returns another spelling of the same bytes: the lowest bit of the last character
// stands for nothing.
func flipTrailingBit(part string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, part[len(part)-1])
	return part[:len(part)-1] + string(alphabet[last^1])
}

// signatureAttacks: signatures that are not the one that was made.
func signatureAttacks(tb testing.TB, f *fixture) []attack {
	input, signature := split(tb, f.sign(f.header(), honestClaims().String()))
	var list []attack
	add := func(name, changed string) {
		list = append(list, attack{name, input + "." + b64(changed), wrongUnder(string(f.alg), len(changed))})
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
	switch f.alg {
	case token.EdDSA:
		malleable := []byte(signature)
		addGroupOrder(malleable[32:])
		add("S plus the group order", string(malleable))
	case token.ES256:
		for name, changed := range ecdsaAttacks(signature) {
			add(name, changed)
		}
	case token.RS256:
		for name, made := range rsaAttacks(tb, f) {
			list = append(list, attack{name, made, unverified})
		}
	}
	return list
}

// ecdsaAttacks: other pairs for the signature (r, s), of which (r, n-s) is as good to a usual verifier.
func ecdsaAttacks(signature string) map[string]string {
	n := elliptic.P256().Params().N
	r, s := new(big.Int).SetBytes([]byte(signature[:32])), new(big.Int).SetBytes([]byte(signature[32:]))
	zero, one := new(big.Int), big.NewInt(1)
	minus := func(a *big.Int) *big.Int { return new(big.Int).Sub(n, a) }
	out := map[string]string{
		"r, n-s": fixed(r, minus(s)), "n-r, s": fixed(minus(r), s), "n-r, n-s": fixed(minus(r), minus(s)), "s, r": fixed(s, r),
		"0, s": fixed(zero, s), "r, 0": fixed(r, zero), "n, s": fixed(n, s), "r, n": fixed(r, n), "0, 0": fixed(zero, zero), "n, n": fixed(n, n),
		"1, 1": fixed(one, one), "r, 1": fixed(r, one), "1, s": fixed(one, s), "r, n-1": fixed(r, minus(one)), "n+1, s": fixed(new(big.Int).Add(n, one), s),
	}
	if der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s}); err == nil {
		out["DER"] = string(der)
	}
	for name, a := range map[string]*big.Int{"r": r, "s": s} { // the same number, one turn on, where there is room for it
		if turned := new(big.Int).Add(a, n); turned.BitLen() <= 256 {
			out[name+"+n"] = map[bool]string{true: fixed(turned, s), false: fixed(r, turned)}[name == "r"]
		}
	}
	return out
}

// rsaAttacks: the signature plus the modulus, which is the same number to a careless verifier, and
// good signatures over something else.
func rsaAttacks(tb testing.TB, f *fixture) map[string]string {
	out := map[string]string{}
	n := f.private.Public().(*rsa.PublicKey).N
	for i := 0; out["signature plus the modulus"] == ""; i++ {
		input, signature := split(tb, f.sign(f.header(), honestClaims().with("jti", fmt.Sprintf(`"plus-%d"`, i)).String()))
		if plus := new(big.Int).Add(new(big.Int).SetBytes([]byte(signature)), n); plus.BitLen() <= n.BitLen() {
			out["signature plus the modulus"] = input + "." + b64(string(plus.Bytes()))
		}
		minus := new(big.Int).Sub(n, new(big.Int).SetBytes([]byte(signature)))
		out[fmt.Sprintf("modulus minus signature %d", i)] = input + "." + b64(string(minus.FillBytes(make([]byte, len(signature)))))
	}
	input := b64(f.header()) + "." + b64(honestClaims().String())
	key := f.private.(*rsa.PrivateKey)
	for name, h := range map[string]crypto.Hash{"SHA-1": crypto.SHA1, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512} {
		digest := h.New()
		digest.Write([]byte(input))
		out["PKCS #1 with "+name] = input + "." + b64(string(must(rsa.SignPKCS1v15(rand.Reader, key, h, digest.Sum(nil)))(tb)))
	}
	sum := sha256.Sum256([]byte(input))
	out["PKCS #1 without the name of the hash"] = input + "." + b64(string(must(rsa.SignPKCS1v15(rand.Reader, key, 0, sum[:]))(tb)))
	return out
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

// jsonAttacks: J9, claims sets that our key signed and two parsers could read differently.
func jsonAttacks(f *fixture) []attack {
	sign := func(claims string) string { return f.sign(f.header(), claims) }
	object := honestClaims().String()
	inner := strings.TrimSuffix(object, "}")
	list := wrapAttacks("claims", object, sign)
	for _, extra := range []string{`"exp":9999999999`, `"\u0065xp":9999999999`, `"device_uid":"x"`, `"a":{"b":1,"b":2}`, `"sub":"` + userID.String() + `"`} {
		list = append(list,
			attack{"claims and " + extra, sign(inner + "," + extra + "}"), malformed},
			attack{"claims after " + extra, sign("{" + extra + "," + inner[1:] + "}"), malformed})
	}
	for _, claims := range []string{`null`, `[]`, `{}`, `""`, `0`, `true`, ``, `[` + object + `]`} {
		list = append(list, attack{"claims " + claims, sign(claims), malformed})
	}
	many := make([]string, 700)
	for i := range many {
		many[i] = fmt.Sprintf(`"%d":0`, i)
	}
	return append(list, attack{"claims over the size", sign(inner + `,"a":"` + strings.Repeat("a", token.MaxSize) + `"}`), malformed},
		attack{"many claims and no exp", sign("{" + strings.Join(many, ",") + "}"), malformed})
}

// purposeAttacks: J11, tokens of our key for something else.
func purposeAttacks(f *fixture) []attack {
	var list []attack
	for _, typ := range []string{"JWT", "jwt", "", "at+JWT", "AT+JWT", "application/at+jwt", "at+jwt ", "logout+jwt", "rt+jwt"} {
		header := strings.Replace(f.header(), "at+jwt", typ, 1)
		list = append(list, attack{"typ " + typ, f.sign(header, honestClaims().String()), reason.TokenWrongType})
	}
	for _, typ := range []string{"id+jwt", "secevent+jwt", "dpop+jwt", "JWE", "JOSE", "at", "jwt+at", `at\u002bjwt\u0000`, "at+jwt;v=1"} {
		header := strings.Replace(f.header(), "at+jwt", typ, 1)
		list = append(list, attack{"typ " + typ, f.sign(header, honestClaims().String()), reason.TokenWrongType})
	}
	return append(list, attack{"an opaque refresh token", "dgr_" + strings.Repeat("A", 43), malformed})
}
