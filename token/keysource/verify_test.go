package keysource_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"devicegate/token/keysource"
)

func jwksSource(tb testing.TB, content string, algorithms ...string) *keysource.Source {
	tb.Helper()
	return mustOpen(tb, keysource.Options{Algorithms: algorithms, JWKSFile: fileOf(tb, content)})
}

func secretSource(tb testing.TB, content string, algorithms ...string) *keysource.Source {
	tb.Helper()
	return mustOpen(tb, keysource.Options{Algorithms: algorithms, SecretFile: fileOf(tb, content)})
}

func pemSource(tb testing.TB, content string, algorithms ...string) *keysource.Source {
	tb.Helper()
	return mustOpen(tb, keysource.Options{Algorithms: algorithms, PublicKeyFile: fileOf(tb, content)})
}

// Every algorithm verifies with its own key, and no other algorithm's token with the same key does, whatever the
// caller is told about it.
func TestEveryAlgorithm(t *testing.T) {
	set := jwksSource(t, oneOfEach(), publicAlgorithms...)
	shared := secretSource(t, goodSecret, secretAlgorithms...)
	for _, alg := range publicAlgorithms {
		name := signerOf(alg)
		raw := token(alg, name, pool()[name])
		single := pemSource(t, publicPEM(name), alg)
		for _, said := range everyAlgorithm {
			want := said == alg
			if ok, known := set.Set().Verify(raw, said, name, true); ok != want || !known {
				t.Errorf("JWK set: a token in %s, said to be in %s: %t, %t", alg, said, ok, known)
			}
			if ok, _ := single.Set().Verify(raw, said, "", false); ok != want {
				t.Errorf("public key: a token in %s, said to be in %s: %t", alg, said, ok)
			}
			if ok, _ := shared.Set().Verify(raw, said, "", false); ok {
				t.Errorf("secret: a token in %s, said to be in %s, is good", alg, said)
			}
		}
	}
	for _, alg := range secretAlgorithms {
		raw := token(alg, "any", []byte(goodSecret))
		for _, said := range everyAlgorithm {
			if ok, _ := shared.Set().Verify(raw, said, "any", true); ok != (said == alg) {
				t.Errorf("secret: a token in %s, said to be in %s: %t", alg, said, ok)
			}
		}
	}
}

// An algorithm outside of the list is for no key, and a kid cannot be worth looking for.
func TestAlgorithmOutsideTheList(t *testing.T) {
	s := jwksSource(t, oneOfEach(), "RS256", "ES256")
	for _, alg := range []string{"RS512", "PS256", "EdDSA", "ES384"} {
		name := signerOf(alg)
		if ok, _ := s.Set().Verify(token(alg, name, pool()[name]), alg, name, true); ok {
			t.Errorf("%s is good", alg)
		}
	}
	for _, alg := range []string{"", "none", "None", "rs256", "ES256K", "HS256", "RS1"} {
		if ok, known := s.Set().Verify(token("RS256", "x", pool()["rsa"]), alg, "x", true); ok || !known {
			t.Errorf("%q: %t, %t", alg, ok, known)
		}
	}
}

// TestPublicKeyAsSecret: HMAC with every spelling of the public key, which everybody has.
func TestPublicKeyAsSecret(t *testing.T) {
	for _, name := range []string{"rsa", "p256", "ed"} {
		public := pool()[name].Public()
		der, pem := must(x509.MarshalPKIXPublicKey(public)), publicPEM(name)
		spellings := [][]byte{der, []byte(pem), []byte(strings.TrimSpace(pem)), []byte(pem + "\n"), must(json.Marshal(jwk(name, name))), {}, []byte(name), []byte("null")}
		if raw, ok := public.(ed25519.PublicKey); ok {
			spellings = append(spellings, raw)
		}
		if point, ok := public.(*ecdsa.PublicKey); ok {
			spellings = append(spellings, must(point.Bytes()))
		}
		set, single := jwksSource(t, oneOfEach(), publicAlgorithms...), pemSource(t, pem, keyAlgorithms[name]...)
		for i, spelling := range spellings {
			for _, alg := range secretAlgorithms {
				raw := token(alg, name, spelling)
				for _, said := range everyAlgorithm {
					ok1, _ := set.Set().Verify(raw, said, name, true)
					ok2, _ := single.Set().Verify(raw, said, name, true)
					if ok1 || ok2 {
						t.Errorf("%s, spelling %d, %s said to be in %s is good", name, i, alg, said)
					}
				}
			}
		}
	}
}

var keyAlgorithms = map[string][]string{"rsa": publicAlgorithms[:6], "p256": {"ES256"}, "ed": {"EdDSA"}}

// TestKid: in a JWK set kid names one key, and that key alone is tried.
func TestKid(t *testing.T) {
	s := jwksSource(t, oneOfEach(), publicAlgorithms...)
	raw := token("RS256", "rsa", pool()["rsa"])
	for name, tt := range map[string]struct {
		kid       string
		has       bool
		ok, known bool
	}{
		"right":             {"rsa", true, true, true},
		"missing":           {"", false, false, true},
		"missing, but said": {"rsa", false, false, true},
		"empty":             {"", true, false, true},
		"of another key":    {"rsa2", true, false, true},
		"of another kind":   {"p256", true, false, true},
		"unknown":           {"x", true, false, false},
		"other case":        {"RSA", true, false, false},
		"path":              {"../../dev/null", true, false, false},
		"SQL":               {"x' OR 1=1", true, false, false},
		"NUL":               {"rsa\x00", true, false, false},
		"line break":        {"rsa\r\n", true, false, false},
		"1 MB":              {strings.Repeat("x", 1<<20), true, false, false},
	} {
		if ok, known := s.Set().Verify(raw, "RS256", tt.kid, tt.has); ok != tt.ok || known != tt.known {
			t.Errorf("%s: %t, %t, want %t, %t", name, ok, known, tt.ok, tt.known)
		}
	}
	for _, kid := range []string{"", "rsa", "x", "../../dev/null"} { // one key: nothing of this matters
		if ok, known := pemSource(t, publicPEM("rsa"), "RS256").Set().Verify(raw, "RS256", kid, kid != ""); !ok || !known {
			t.Errorf("one key, kid %q: %t, %t", kid, ok, known)
		}
	}
}

// A JWK's alg narrows it.
func TestJWKAlgorithm(t *testing.T) {
	s := jwksSource(t, jwks(jwk("rsa", "rsa").with("alg", "PS256"), jwk("ed", "ed")), publicAlgorithms...)
	if good(s, "RS256", "rsa") || good(s, "PS384", "rsa") || !good(s, "PS256", "rsa") || !good(s, "EdDSA", "ed") {
		t.Error("alg of the JWK was not obeyed")
	}
}

// TestSignature: changed, cut, lengthened and respelled signatures. A high s of ECDSA is accepted.
func TestSignature(t *testing.T) {
	s := jwksSource(t, oneOfEach(), publicAlgorithms...)
	shared := secretSource(t, goodSecret, secretAlgorithms...)
	for _, alg := range everyAlgorithm {
		set, name, key := s.Set(), signerOf(alg), any(pool()[signerOf(alg)])
		if alg[:2] == "HS" {
			set, key = shared.Set(), any([]byte(goodSecret))
		}
		input := signingInput(alg, name)
		valid := signature(alg, key, []byte(input))
		flipped := append([]byte{}, valid...)
		flipped[len(flipped)/2] ^= 1
		for what, sig := range map[string][]byte{
			"none": {}, "flipped": flipped, "zero": make([]byte, len(valid)), "cut": valid[:len(valid)-1], "cut in front": valid[1:],
			"longer": append(append([]byte{}, valid...), 0), "longer in front": append([]byte{0}, valid...), "twice": append(append([]byte{}, valid...), valid...),
		} {
			if ok, _ := set.Verify(input+"."+b64(sig), alg, name, true); ok {
				t.Errorf("%s: a signature that is %s is good", alg, what)
			}
		}
		other := signingInput(alg, name+"x")
		if ok, _ := set.Verify(other+"."+b64(valid), alg, name, true); ok {
			t.Errorf("%s: the signature of another header is good", alg)
		}
		for what, raw := range respelled(input, b64(valid)) {
			if ok, _ := set.Verify(raw, alg, name, true); ok {
				t.Errorf("%s: %s is good", alg, what)
			}
		}
	}
}

// respelled is a good token in spellings that jwx takes for the same.
func respelled(input, sig string) map[string]string {
	header, payload, _ := strings.Cut(input, ".")
	return map[string]string{
		"a line break": input + "." + sig[:9] + "\n" + sig[9:], "padding": input + "." + sig + strings.Repeat("=", (4-len(sig)%4)%4) + "\r",
		// JSON serialization; what is behind the last dot is as long as a signature
		"JSON": `{"payload":"` + payload + `","protected":"` + header + `","signature":"` + sig + `","x":".` + strings.Repeat("x", len(sig)-2) + `"}`,
	}
}

func TestHighS(t *testing.T) {
	s := jwksSource(t, oneOfEach(), "ES256")
	input := signingInput("ES256", "p256")
	sig := signature("ES256", pool()["p256"], []byte(input))
	r, low := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	other := new(big.Int).Sub(elliptic.P256().Params().N, low)
	if ok, _ := s.Set().Verify(input+"."+b64(append(append([]byte{}, sig[:32]...), other.FillBytes(make([]byte, 32))...)), "ES256", "p256", true); !ok {
		t.Error("the other s is refused")
	}
	der := must(asn1.Marshal(struct{ R, S *big.Int }{r, low}))
	if ok, _ := s.Set().Verify(input+"."+b64(der), "ES256", "p256", true); ok {
		t.Error("DER is good")
	}
}

// Two sources share nothing, and a zero set has nothing.
func TestSourcesAreApart(t *testing.T) {
	a, b := jwksSource(t, jwks(jwk("ed", "k")), "EdDSA"), jwksSource(t, jwks(jwk("ed2", "k")), "EdDSA")
	raw := token("EdDSA", "k", pool()["ed"])
	ok1, _ := a.Set().Verify(raw, "EdDSA", "k", true)
	ok2, _ := b.Set().Verify(raw, "EdDSA", "k", true)
	if !ok1 || ok2 {
		t.Errorf("own %t, other %t", ok1, ok2)
	}
	var zero keysource.Set
	if ok, _ := zero.Verify(raw, "EdDSA", "k", true); ok || !zero.Empty() {
		t.Error("the zero set has keys")
	}
}

func TestOneKey(t *testing.T) {
	for name, tt := range map[string]struct {
		s    *keysource.Source
		want bool
	}{
		"secret": {secretSource(t, goodSecret, "HS256"), true}, "PEM": {pemSource(t, publicPEM("ed"), "EdDSA"), true},
		"JWK set": {jwksSource(t, jwks(jwk("ed", "ed")), "EdDSA"), false},
		"URL":     {mustOpen(t, keysource.Options{Algorithms: []string{"EdDSA"}, JWKSURL: "https://id.example/keys"}), false},
	} {
		if tt.s.OneKey() != tt.want {
			t.Errorf("%s: %t", name, tt.s.OneKey())
		}
		tt.s.Unknown() // must do nothing where nothing can be asked
	}
}
