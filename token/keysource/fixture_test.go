package keysource_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"devicegate/token/keysource"
)

const goodSecret = "correct horse battery staple, and a little more: 0123456789abcdef"

var (
	publicAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	secretAlgorithms = []string{"HS256", "HS384", "HS512"}
	everyAlgorithm   = append(append([]string{}, publicAlgorithms...), secretAlgorithms...)

	hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}
)

// pool is the issuers' private keys. Making RSA keys takes a while, so it is made once.
var pool = sync.OnceValue(func() map[string]crypto.Signer {
	return map[string]crypto.Signer{
		"rsa": must(rsa.GenerateKey(rand.Reader, 2048)), "rsa2": must(rsa.GenerateKey(rand.Reader, 2048)),
		"p256": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), "p384": must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"p521": must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)), "p256b": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"ed": ed25519Key(1), "ed2": ed25519Key(2), "ed3": ed25519Key(3),
	}
})

func ed25519Key(seed byte) crypto.Signer {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// signerOf names the key of the pool that signs in alg.
func signerOf(alg string) string {
	switch alg {
	case "ES256":
		return "p256"
	case "ES384":
		return "p384"
	case "ES512":
		return "p521"
	case "EdDSA":
		return "ed"
	default:
		return "rsa"
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token returns a compact JWS in alg, made with the standard library alone. Key is a signer or HMAC's bytes.
func token(alg, kid string, key any) string {
	input := signingInput(alg, kid)
	return input + "." + b64(signature(alg, key, []byte(input)))
}

func signingInput(alg, kid string) string {
	header := must(json.Marshal(map[string]string{"alg": alg, "kid": kid, "typ": "JWT"}))
	return b64(header) + "." + b64([]byte(`{"user_id":7}`))
}

func signature(alg string, key any, input []byte) []byte {
	if alg == "EdDSA" {
		return ed25519.Sign(key.(ed25519.PrivateKey), input)
	}
	hash := hashes[alg[2:]]
	h := hash.New()
	h.Write(input)
	digest := h.Sum(nil)
	switch alg[:2] {
	case "HS":
		mac := hmac.New(hash.New, key.([]byte))
		mac.Write(input)
		return mac.Sum(nil)
	case "RS":
		return must(rsa.SignPKCS1v15(nil, key.(*rsa.PrivateKey), hash, digest))
	case "PS":
		return must(rsa.SignPSS(rand.Reader, key.(*rsa.PrivateKey), hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
	default:
		private := key.(*ecdsa.PrivateKey)
		r, s, err := ecdsa.Sign(rand.Reader, private, digest)
		if err != nil {
			panic(err)
		}
		size := (private.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
}

// members is a JWK that a test can change.
type members map[string]any

// jwk returns the public JWK of a key of the pool.
func jwk(name, kid string) members {
	m := members{"kid": kid, "use": "sig"}
	switch public := pool()[name].Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point := must(public.Bytes())[1:]
		m["kty"], m["crv"], m["x"], m["y"] = "EC", public.Curve.Params().Name, b64(point[:len(point)/2]), b64(point[len(point)/2:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(public)
	}
	return m
}

// with returns m with one member changed, or without it where value is nil.
func (m members) with(name string, value any) members {
	changed := members{}
	for n, v := range m {
		changed[n] = v
	}
	changed[name] = value
	if value == nil {
		delete(changed, name)
	}
	return changed
}

func jwks(keys ...members) string {
	return string(must(json.Marshal(map[string]any{"keys": append([]members{}, keys...)})))
}

// oneOfEach is a JWK set with a key of every kind; kids are the names in the pool.
func oneOfEach() string {
	var keys []members
	for _, name := range []string{"rsa", "rsa2", "p256", "p384", "p521", "ed"} {
		keys = append(keys, jwk(name, name))
	}
	return jwks(keys...)
}

func publicPEM(name string) string {
	return pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(pool()[name].Public())))
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func write(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}

func fileOf(tb testing.TB, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "keys")
	write(tb, path, content)
	return path
}

func mustOpen(tb testing.TB, o keysource.Options) *keysource.Source {
	tb.Helper()
	o.Name = "django"
	s, err := keysource.Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// log remembers what was said.
type log struct {
	mu    sync.Mutex
	lines []string
	heard chan string // nil, or told each line
}

func (l *log) add(what string, err error) {
	line := what
	if err != nil {
		line = fmt.Sprintf("%s: WARNING %v", what, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	if l.heard != nil {
		l.heard <- line
	}
}

// count returns how many lines hold part.
func (l *log) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// later is the clock of file tests: every file is old enough for its time to count.
func later() time.Time { return time.Now().Add(time.Hour) }

// good says whether a token by the pool's key of that name, which is also its kid, is good now.
func good(s *keysource.Source, alg, name string) bool {
	ok, _ := s.Set().Verify(token(alg, name, pool()[name]), alg, name, true)
	return ok
}

func decodeB64(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
