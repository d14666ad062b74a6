package keysource_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"devicegate/token/keysource"
)

func number(bits int, odd bool) string {
	n := new(big.Int).SetBit(new(big.Int), bits-1, 1)
	if odd {
		n.SetBit(n, 0, 1)
	}
	return b64(n.Bytes())
}

// TestKeysNotUsed: each entry stands beside a good key, which must work, and must not work itself.
func TestKeysNotUsed(t *testing.T) {
	rsaJWK, ec, ed := jwk("rsa", "bad"), jwk("p256", "bad"), jwk("ed2", "bad")
	for name, tt := range map[string]struct {
		entry any
		why   string
	}{
		"no kid": {ed.with("kid", nil), "no kid"}, "empty kid": {ed.with("kid", ""), "no kid"}, "number as kid": {ed.with("kid", 7), "wrong type"},
		"use enc": {ed.with("use", "enc"), "use"}, "use empty": {ed.with("use", ""), "use"}, "use SIG": {ed.with("use", "SIG"), "use"},
		"key_ops sign": {ed.with("key_ops", []string{"sign"}), "key_ops"}, "key_ops empty": {ed.with("key_ops", []string{}), "key_ops"}, "key_ops text": {ed.with("key_ops", "verify"), "wrong type"},
		"oct": {members{"kty": "oct", "kid": "bad", "k": b64([]byte(goodSecret))}, "shared secret"}, "oct for HS256": {members{"kty": "oct", "kid": "bad", "alg": "HS256", "k": b64([]byte(goodSecret))}, "shared secret"},
		"X25519": {ed.with("crv", "X25519"), "X25519"}, "Ed448": {ed.with("crv", "Ed448"), "Ed448"}, "secp256k1": {ec.with("crv", "secp256k1"), "secp256k1"}, "P-256K": {ec.with("crv", "P-256K"), "P-256K"},
		"no kty": {ed.with("kty", nil), "kty"}, "kty of lower case": {rsaJWK.with("kty", "rsa"), "kty"}, "kty a number": {ed.with("kty", 1), "wrong type"},
		"alg of another kind": {ed.with("alg", "RS256"), "alg"}, "alg none": {ed.with("alg", "none"), "alg"}, "alg HS256": {rsaJWK.with("alg", "HS256"), "alg"}, "alg empty": {ed.with("alg", ""), "alg"}, "RSA-OAEP": {rsaJWK.with("alg", "RSA-OAEP"), "alg"},
		"2047 bits": {rsaJWK.with("n", number(2047, true)), "2047 bits"}, "8193 bits": {rsaJWK.with("n", number(8193, true)), "8193 bits"}, "even modulus": {rsaJWK.with("n", number(2048, false)), "even"},
		"exponent 1": {rsaJWK.with("e", "AQ"), "exponent"}, "exponent 3": {rsaJWK.with("e", "Aw"), "exponent"}, "even exponent": {rsaJWK.with("e", b64([]byte{1, 0, 2})), "exponent"},
		"exponent of 2^31+1": {rsaJWK.with("e", b64([]byte{0x80, 0, 0, 1})), "exponent"}, "exponent of 2^64+65537": {rsaJWK.with("e", b64([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})), "exponent"},
		"no n": {rsaJWK.with("n", nil), "its n"}, "empty e": {rsaJWK.with("e", ""), "its e"}, "padding": {rsaJWK.with("e", "AQAB=="), "its e"}, "line break": {rsaJWK.with("e", "AQ\nAB"), "its e"}, "n of zeros": {rsaJWK.with("n", b64(make([]byte, 256))), "0 bits"},
		"off the curve": {ec.with("x", b64(make([]byte, 32))), "no point"}, "short x": {ec.with("x", b64(make([]byte, 31))), "31"}, "P-384 of 32 bytes": {ec.with("crv", "P-384"), "instead of 48"},
		"x for y": {ec.with("y", ec["x"]), "no point"}, "no y": {ec.with("y", nil), "its y"}, "Ed25519 of 31 bytes": {ed.with("x", b64(make([]byte, 31))), "31 bytes"}, "Ed25519 of 33 bytes": {ed.with("x", b64(make([]byte, 33))), "33 bytes"}, "Ed25519 without x": {ed.with("x", nil), "its x"},
		"a number": {7, "no object"}, "null": {nil, "no object"}, "an array": {[]any{}, "no object"}, "text": {"key", "no object"}, "an empty object": {members{}, "no kid"},
	} {
		t.Run(name, func(t *testing.T) {
			content := must(json.Marshal(map[string]any{"keys": []any{tt.entry, jwk("ed", "good")}}))
			if got := must(keysource.Parse(content, publicAlgorithms)); !slices.Equal(got, []string{"good"}) {
				t.Errorf("used: %q", got)
			}
			alone := must(json.Marshal(map[string]any{"keys": []any{tt.entry}}))
			if _, err := keysource.Parse(alone, publicAlgorithms); err == nil || !strings.Contains(err.Error(), "none of its 1 keys can be used") || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("alone: %v, want %q", err, tt.why)
			}
		})
	}
}

// What is usual, or allowed by a "SHOULD ignore", costs no key.
func TestKeysUsed(t *testing.T) {
	ed, rsaJWK := jwk("ed", "k"), jwk("rsa", "k")
	for name, entry := range map[string]members{
		"no use": ed.with("use", nil), "key_ops": ed.with("key_ops", []string{"sign", "verify"}), "null": ed.with("use", json.RawMessage("null")).with("alg", json.RawMessage("null")),
		"unknown members": ed.with("x5c", []string{"MIIB"}).with("x5t#S256", "x").with("nbf", 1), "x5u and jku": ed.with("x5u", "http://127.0.0.1:1/").with("jku", "http://127.0.0.1:1/"),
		"zero in front of n": rsaJWK.with("n", b64(append([]byte{0}, must(decodeB64(rsaJWK["n"].(string)))...))), "8192 bits": rsaJWK.with("n", number(8192, true)), "largest exponent": rsaJWK.with("e", b64([]byte{0x7f, 0xff, 0xff, 0xff})),
		"odd kid": ed.with("kid", "../../k \u202e"), "P-521": jwk("p521", "k"), "alg": rsaJWK.with("alg", "PS384"), "another kty's member": ed.with("n", "x"),
	} {
		if got, err := keysource.Parse([]byte(" \r\n"+jwks(entry)+"\n"), publicAlgorithms); err != nil || len(got) != 1 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// badDocuments are those that change nothing, and a word of what is said about them.
func badDocuments() map[string][2]string {
	ed := string(must(json.Marshal(jwk("ed", "k"))))
	var many []members
	for i := range 101 {
		many = append(many, jwk("ed", fmt.Sprint(i)))
	}
	return map[string][2]string{
		"empty": {"", "not one JSON object"}, "HTML": {"<!DOCTYPE html><html><body>Sign in</body></html>", "not one JSON object"}, "null": {"null", "not one JSON object"}, "array": {"[" + ed + "]", "not one JSON object"},
		"no keys": {"{}", "no JWK set"}, "a JWK": {ed, "no JWK set"}, "empty set": {jwks(), "none of its 0 keys"}, "keys null": {`{"keys":null}`, "no JWK set"}, "keys an object": {`{"keys":` + ed + `}`, "no JWK set"}, "keys a number": {`{"keys":1}`, "no JWK set"}, "Keys": {`{"Keys":[` + ed + `]}`, "no JWK set"},
		"cut": {jwks(jwk("ed", "k"))[:60], "not one JSON object"}, "more behind": {jwks(jwk("ed", "k")) + "{}", "not one JSON object"}, "NUL behind": {jwks(jwk("ed", "k")) + "\x00", "not one JSON object"}, "BOM": {"\ufeff" + jwks(jwk("ed", "k")), "not one JSON object"},
		"keys twice": {`{"keys":[` + ed + `],"keys":[]}`, "not one JSON object"}, "kid twice": {`{"keys":[` + strings.Replace(ed, "{", `{"kid":"a",`, 1) + `]}`, "not one JSON object"},
		"not UTF-8": {`{"a":"` + "\xff" + `","keys":[` + ed + `]}`, "not one JSON object"}, "lone surrogate": {`{"a":"\ud800","keys":[` + ed + `]}`, "not one JSON object"},
		"deep": {`{"a":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `,"keys":[` + ed + `]}`, "not one JSON object"}, "very deep": {strings.Repeat(`{"keys":[`, 50000), "not one JSON object"},
		"101 keys": {jwks(many...), "101 keys"}, "large": {jwks(jwk("ed", "k")) + strings.Repeat(" ", 512<<10), "over 524288"},
	}
}

func TestBadDocuments(t *testing.T) {
	for name, tt := range badDocuments() {
		if _, err := keysource.Parse([]byte(tt[0]), publicAlgorithms); err == nil || !strings.Contains(err.Error(), tt[1]) || len(err.Error()) > 2000 {
			t.Errorf("%s: %v, want %q", name, err, tt[1])
		}
	}
}

// TestOneKidTwice: the same key twice is one key, and different keys with one kid are none.
func TestOneKidTwice(t *testing.T) {
	ed, other := jwk("ed", "k"), jwk("ed2", "k")
	for name, tt := range map[string]struct {
		keys []members
		want int
	}{
		"the same": {[]members{ed, ed}, 2}, "different": {[]members{ed, other}, 1}, "two against one": {[]members{ed, other, ed}, 1}, "three": {[]members{ed, ed, other}, 1},
		"other kind": {[]members{ed, jwk("p256", "k")}, 1}, "same key, other alg": {[]members{jwk("rsa", "k").with("alg", "RS256"), jwk("rsa", "k").with("alg", "PS256")}, 1},
		"the other is for encryption": {[]members{ed, other.with("use", "enc")}, 2},
	} {
		got := must(keysource.Parse([]byte(jwks(append(tt.keys, jwk("ed3", "good"))...)), publicAlgorithms))
		if len(got) != tt.want {
			t.Errorf("%s: used %q", name, got)
		}
	}
}

// TestPublishedPrivateKey: the public half serves, and somebody is told.
func TestPublishedPrivateKey(t *testing.T) {
	for name, tt := range map[string]struct {
		value any
		told  bool
	}{
		"private": {"c2VjcmV0", true}, "of the wrong type": {7, true}, "null": {json.RawMessage("null"), false}, "empty": {"", false},
	} {
		var heard log
		s := mustOpen(t, keysource.Options{Algorithms: []string{"EdDSA"}, JWKSFile: fileOf(t, jwks(jwk("ed", "ed").with("d", tt.value))), Log: heard.add})
		if !good(s, "EdDSA", "ed") {
			t.Errorf("%s: the public half does not serve", name)
		}
		if told := heard.count(`tell the issuer to replace it: kid "ed"`) == 1; told != tt.told || strings.Contains(heard.String(), "c2VjcmV0") {
			t.Errorf("%s: said %s", name, &heard)
		}
	}
}

// TestJWKSFile: a file may hold a single JWK.
func TestJWKSFile(t *testing.T) {
	for name, content := range map[string]string{"set": jwks(jwk("ed", "ed")), "one": string(must(json.Marshal(jwk("ed", "ed")))) + "\n"} {
		if s := jwksSource(t, content, "EdDSA"); !good(s, "EdDSA", "ed") {
			t.Errorf("%s: refused", name)
		}
	}
	for name, content := range map[string]string{"private alone is fine, oct is not": `{"kty":"oct","kid":"a","k":"AAAA"}`, "neither": `{"a":1}`, "no kid": string(must(json.Marshal(jwk("ed", "ed").with("kid", nil))))} {
		if _, err := keysource.Open(keysource.Options{Name: "django", Algorithms: []string{"EdDSA"}, JWKSFile: fileOf(t, content)}); err == nil || !strings.Contains(err.Error(), "jwks_file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzJWKS: whatever a server sends, what is used is bounded and verifies nothing that it should not.
func FuzzJWKS(f *testing.F) {
	f.Add([]byte(oneOfEach()))
	for _, seed := range badDocuments() {
		if len(seed[0]) < 10_000 {
			f.Add([]byte(seed[0]))
		}
	}
	for _, m := range []members{jwk("rsa", "k"), jwk("p521", "k"), jwk("ed", "k").with("d", "x"), {"kty": "oct", "kid": "k", "k": "AAAA"}} {
		f.Add([]byte(jwks(m, jwk("ed", "k"))))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		kids, err := keysource.Parse(content, publicAlgorithms)
		if (err == nil) != (len(kids) > 0) || len(kids) > 100 || slices.Contains(kids, "") {
			t.Errorf("%q, %v", kids, err)
		}
		if err == nil && !json.Valid(content) {
			t.Errorf("accepted what is no JSON: %q", content)
		}
		if err != nil && len(err.Error()) > 4000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}
