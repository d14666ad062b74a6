package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
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

// attacks returns the whole table. The same table seeds the fuzz target.
func attacks(tb testing.TB, f *fixture) []attack {
	tb.Helper()
	return slices.Concat(
		algorithmAttacks(f), hmacAttacks(tb, f), foreignSignatureAttacks(tb, f), keyAttacks(tb, f),
		headerAttacks(f), serializationAttacks(f), spellingAttacks(f), signatureAttacks(tb, f), jsonAttacks(f), purposeAttacks(f),
	)
}

func TestAttacks(t *testing.T) {
	f := newFixture(t, defaultConfig())
	for _, a := range attacks(t, f) {
		t.Run(a.name, func(t *testing.T) {
			got, why := f.verifier.Verify(a.raw)
			if why != a.want || got != (token.Verified{}) {
				t.Errorf("got %v and %+v, want %v and nothing", why, got, a.want)
			}
		})
	}
}

// TestStructureIsJudgedBeforeTheSignature: no library is given bytes that could be read in two ways.
func TestStructureIsJudgedBeforeTheSignature(t *testing.T) {
	f := newFixture(t, defaultConfig())
	for _, a := range jsonAttacks(f) {
		if _, why := f.verifier.Verify(broken(a.raw)); why != malformed && !strings.HasPrefix(a.name, "claims {}") && a.name != "many claims and no exp" {
			t.Errorf("%s: got %v, want %v", a.name, why, malformed)
		}
	}
}

// TestAttacksBesideAWarmCache: a cached good token must not help any of its forgeries.
func TestAttacksBesideAWarmCache(t *testing.T) {
	f := newFixture(t, defaultConfig())
	good := f.sign(f.header(), honestClaims().String())
	for _, a := range attacks(t, f) {
		if _, why := f.verifier.Verify(good); why != reason.OK {
			t.Fatalf("the honest token after %q: %v", a.name, why)
		}
		if _, why := f.verifier.Verify(a.raw); why != a.want {
			t.Errorf("%s: got %v, want %v", a.name, why, a.want)
		}
	}
}

func (f *fixture) headerWithAlgorithm(alg string) string {
	return strings.Replace(f.header(), "EdDSA", alg, 1)
}

// algorithmAttacks: J1, the token says that it is not signed, or signed in another spelling.
func algorithmAttacks(f *fixture) []attack {
	var list []attack
	claims := honestClaims().String()
	original := f.sign(f.header(), claims)
	signature := original[strings.LastIndex(original, ".")+1:]
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", "", "eddsa", "EDDSA", "EdDSA ", "Ed25519", "ES256", "ES512", "RS256", "PS256", "HS256", `EdDSA\u0000`} {
		input := b64(f.headerWithAlgorithm(alg)) + "." + b64(claims)
		list = append(list,
			attack{"alg " + alg + ", signed by us", f.sign(f.headerWithAlgorithm(alg), claims), unverified},
			attack{"alg " + alg + ", the original signature", input + "." + signature, unverified},
			attack{"alg " + alg + ", empty signature", input + ".", malformed},
			attack{"alg " + alg + ", no signature", input, malformed},
		)
	}
	return list
}

// hmacAttacks: J2, the public key as the secret of a MAC.
func hmacAttacks(tb testing.TB, f *fixture) []attack {
	public := f.private.Public().(ed25519.PublicKey)
	der := must(x509.MarshalPKIXPublicKey(public))(tb)
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	secrets := map[string][]byte{
		"DER": der, "PEM": block, "PEM without newline": block[:len(block)-1], "JWKS": f.ring.JWKS(),
		"JWK":       []byte(fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, b64(string(public)))),
		"raw bytes": public, "x": []byte(b64(string(public))), "empty": {}, "null": []byte("null"), "kid": []byte(f.kid),
	}
	var list []attack
	for alg, newHash := range map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New} {
		for name, secret := range secrets {
			for _, header := range []string{f.headerWithAlgorithm(alg), f.header()} {
				input := b64(header) + "." + b64(honestClaims().String())
				mac := hmac.New(newHash, secret)
				mac.Write([]byte(input))
				want := unverified
				if header == f.header() && mac.Size() != ed25519.SignatureSize {
					want = malformed
				}
				list = append(list, attack{alg + " with " + name + " under " + header[8:13], input + "." + b64(string(mac.Sum(nil))), want})
			}
		}
	}
	return list
}

// foreignSignatureAttacks: J3, real signatures of other algorithms under each other's names.
func foreignSignatureAttacks(tb testing.TB, f *fixture) []attack {
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))(tb)
	ecKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)
	var list []attack
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		input := b64(f.headerWithAlgorithm(alg)) + "." + b64(honestClaims().String())
		sum := sha256.Sum256([]byte(input))
		r, s, err := ecdsa.Sign(rand.Reader, ecKey, sum[:])
		if err != nil {
			tb.Fatal(err)
		}
		fixed := string(r.FillBytes(make([]byte, 32))) + string(s.FillBytes(make([]byte, 32)))
		pkcs := string(must(rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:]))(tb))
		pss := string(must(rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA256, sum[:], nil))(tb))
		wantRSA := unverified
		if alg == "EdDSA" {
			wantRSA = malformed // 256 bytes are no Ed25519 signature
		}
		list = append(list,
			attack{"ECDSA signature under " + alg, input + "." + b64(fixed), unverified},
			attack{"RSA signature under " + alg, input + "." + b64(pkcs), wantRSA},
			attack{"PSS signature under " + alg, input + "." + b64(pss), wantRSA},
		)
	}
	return list
}

// keyAttacks: J4 and J5, the token names or brings the key it wants to be checked with.
func keyAttacks(tb testing.TB, f *fixture) []attack {
	public, theirs, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	claims := honestClaims().String()
	withKid := func(kid string) string { return `{"alg":"EdDSA","kid":` + kid + `,"typ":"at+jwt"}` }
	list := []attack{
		{"kid missing", f.sign(`{"alg":"EdDSA","typ":"at+jwt"}`, claims), unverified},
		{"signed with another key", signWith(theirs, f.header(), claims), unverified},
		{"kid of 1 MB", f.sign(withKid(`"`+strings.Repeat("k", 1<<20)+`"`), claims), malformed},
		{"kid of 5 KB", f.sign(withKid(`"`+strings.Repeat("k", 5000)+`"`), claims), unverified},
	}
	for _, kid := range []string{`""`, `null`, `"unknown"`, `"../../dev/null"`, `"/etc/passwd"`, `"x' OR 1=1"`, `"` + f.kid + `\u0000"`, `"` + f.kid + `\r\n"`, `"` + strings.ToUpper(f.kid) + `"`} {
		list = append(list, attack{"kid " + kid, f.sign(withKid(kid), claims), unverified})
	}
	for _, kid := range []string{`{}`, `["` + f.kid + `"]`, `7`, `true`, `{"a":[]}`} {
		list = append(list, attack{"kid " + kid, f.sign(withKid(kid), claims), malformed})
	}
	jwk := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"%s"}`, b64(string(public)))
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

// headerAttacks: J6 and J9, what the header may not say although our key signed it.
func headerAttacks(f *fixture) []attack {
	claims, head := honestClaims().String(), strings.TrimSuffix(f.header(), "}")
	var list []attack
	for _, extra := range []string{
		`"crit":["x"],"x":1`, `"crit":[]`, `"crit":["exp"]`, `"crit":["b64"]`, `"crit":["b64"],"b64":false`, `"crit":["alg","alg"]`, `"crit":null`,
		`"b64":false`, `"b64":true`, `"cty":"JWT"`, `"zip":"DEF"`, `"epk":{}`, `"x":1`, `"Alg":"EdDSA"`, `"KID":"x"`, `"Typ":"JWT"`, `"p2c":2147483647`,
		`"alg":"none"`, `"alg":"EdDSA"`, `"\u0061lg":"none"`, `"kid":"x"`, `"typ":"JWT"`,
	} {
		list = append(list,
			attack{"header and " + extra, f.sign(head+","+extra+"}", claims), malformed},
			attack{"header after " + extra, f.sign("{"+extra+","+head[1:]+"}", claims), malformed})
	}
	for _, header := range []string{
		`{}`, `null`, `[]`, `"x"`, `7`, ``, `{`, `}`, `{"kid":"` + f.kid + `","typ":"at+jwt"}`, `{"alg":null,"kid":"` + f.kid + `","typ":"at+jwt"}`,
		`{"alg":["EdDSA"],"kid":"` + f.kid + `","typ":"at+jwt"}`, `{"alg":1,"kid":"` + f.kid + `","typ":"at+jwt"}`,
		`{"alg":"EdDSA","kid":"` + f.kid + `"}`, `{"alg":"EdDSA","kid":"` + f.kid + `","typ":null}`, `{"alg":"EdDSA","kid":"` + f.kid + `","typ":["at+jwt"]}`,
		`{"ALG":"EdDSA","kid":"` + f.kid + `","typ":"at+jwt"}`,
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
	good := f.sign(f.header(), honestClaims().String())
	input := good[:strings.LastIndex(good, ".")]
	signature := must(base64.RawURLEncoding.DecodeString(good[len(input)+1:]))(tb)
	malleable := slices.Clone(signature)
	addGroupOrder(malleable[32:])
	list := []attack{{"S plus the group order", input + "." + b64(string(malleable)), unverified}}
	for n, want := range map[int]reason.Reason{1: malformed, 32: malformed, 63: malformed, 65: malformed, 128: malformed} {
		list = append(list, attack{fmt.Sprintf("signature of %d bytes", n), input + "." + b64(string(append(slices.Clone(signature), signature...)[:n])), want})
	}
	for _, at := range []int{0, 31, 32, 63} {
		flipped := slices.Clone(signature)
		flipped[at] ^= 1
		list = append(list, attack{fmt.Sprintf("signature with byte %d changed", at), input + "." + b64(string(flipped)), unverified})
	}
	zero := strings.Repeat("\x00", 64)
	return append(list, attack{"zero signature", input + "." + b64(zero), unverified})
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
	return append(list, attack{"an opaque refresh token", "dgr_" + strings.Repeat("A", 43), malformed})
}
