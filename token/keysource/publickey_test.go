package keysource_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"devicegate/token/keysource"
)

func certificate(name string, from, to time.Time) string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}, NotBefore: from, NotAfter: to}
	return pemOf("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, pool()[name].Public(), pool()[name])))
}

func TestPublicKeyForms(t *testing.T) {
	now := time.Now()
	rsaPublic := pool()["rsa"].Public().(*rsa.PublicKey)
	for name, tt := range map[string]struct{ content, alg, warning string }{
		"PKIX RSA": {publicPEM("rsa"), "PS512", ""}, "PKCS #1": {pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(rsaPublic)), "RS256", ""},
		"PKIX P-384": {publicPEM("p384"), "ES384", ""}, "PKIX Ed25519": {publicPEM("ed"), "EdDSA", ""},
		"certificate":       {certificate("p256", now.Add(-time.Hour), now.Add(time.Hour)), "ES256", ""},
		"old certificate":   {certificate("rsa", now.Add(-2*time.Hour), now.Add(-time.Hour)), "RS256", "ended on"},
		"early certificate": {certificate("ed", now.Add(time.Hour), now.Add(2*time.Hour)), "EdDSA", "begins on"},
		"text around":       {"the key:\n" + publicPEM("ed") + "\nthe end", "EdDSA", ""},
	} {
		s := pemSource(t, tt.content, tt.alg)
		if !good(s, tt.alg, signerOf(tt.alg)) {
			t.Errorf("%s: a token is refused", name)
		}
		if got := strings.Join(s.Warnings(), "\n"); !strings.Contains(got, tt.warning) || tt.warning == "" && got != "" {
			t.Errorf("%s: warnings %q", name, got)
		}
	}
}

func TestBadPublicKeys(t *testing.T) {
	pkix := func(key crypto.PublicKey) string {
		return pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key)))
	}
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	private := pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(pool()["ed"])))
	for name, tt := range map[string][2]string{
		"empty": {"", "no PEM"}, "text": {"hello", "no PEM"}, "JWK": {string(must(json.Marshal(jwk("rsa", "a")))), "jwks_file"},
		"private": {private, "private key"}, "both": {publicPEM("ed") + private, "private key"}, "PKCS #1 private": {pemOf("RSA PRIVATE KEY", []byte{1}), "private key"},
		"encrypted": {pemOf("ENCRYPTED PRIVATE KEY", []byte{1}), "private key"}, "OpenSSH": {pemOf("OPENSSH PRIVATE KEY", []byte{1}), "private key"},
		"two": {publicPEM("ed") + publicPEM("rsa"), "2 PEM blocks"}, "one and a cut one": {publicPEM("ed") + publicPEM("rsa")[:90], "2 PEM blocks"},
		"cut": {publicPEM("rsa")[:100], "no PEM"}, "other block": {pemOf("CERTIFICATE REQUEST", []byte{1}), `"CERTIFICATE REQUEST"`},
		"not DER": {pemOf("PUBLIC KEY", []byte("hello")), "malformed"}, "1024 bits": {pkix(small.Public()), "1024 bits"},
		"P-224": {pkix(p224.Public()), "another curve"}, "X25519": {pkix(x25519.Public()), "none of RSA"},
		"for other algorithms": {publicPEM("p256"), "none of the issuer's algorithms (RS256, EdDSA)"}, "large": {publicPEM("ed") + strings.Repeat("x", 16<<10), "over 16384"},
	} {
		_, err := keysource.Open(keysource.Options{Name: "django", Algorithms: []string{"RS256", "EdDSA"}, PublicKeyFile: fileOf(t, tt[0])})
		if err == nil || !strings.Contains(err.Error(), tt[1]) {
			t.Errorf("%s: %v, want %q", name, err, tt[1])
		}
	}
}
