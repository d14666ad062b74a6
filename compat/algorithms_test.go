package compat_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

// TestDjangoAlgorithms: one gate takes the tokens of many projects, each of which signs in its own way, and
// gives each user the name of his own issuer.
func TestDjangoAlgorithms(t *testing.T) {
	needDjango(t, newest)
	secretKey := newSecretKey()
	rsaKey := fatal(rsa.GenerateKey(rand.Reader, 2048))
	p256, p384 := fatal(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), fatal(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521 := fatal(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	projects := []struct {
		algorithm string
		key       crypto.Signer // nil: a secret
		settings  map[string]any
		demands   string // of the issuer's entry
	}{
		{algorithm: "HS384"},
		{algorithm: "HS512"},
		{algorithm: "RS256", key: rsaKey, demands: "issuer: https://shop.example, audience: shop",
			settings: map[string]any{"ISSUER": "https://shop.example", "AUDIENCE": "shop"}},
		{algorithm: "PS256", key: rsaKey}, // the key of another issuer, but not its algorithm
		{algorithm: "ES256", key: p256, demands: "audience: stock", settings: map[string]any{"AUDIENCE": []string{"shop", "stock"}}},
		{algorithm: "ES384", key: p384},
		{algorithm: "ES512", key: p521},
		{algorithm: "EdDSA", key: edKey},
	}
	var issuers strings.Builder
	for i := range projects {
		p := &projects[i]
		if p.settings == nil {
			p.settings = map[string]any{}
		}
		if p.demands == "" {
			p.demands = "accept_any_audience: true"
		}
		p.settings["ALGORITHM"] = p.algorithm
		file := "secret_file: " + keyFile(t, secretKey)
		if p.key != nil {
			private, public := pemOf(p.key)
			p.settings["SIGNING_KEY"], p.settings["VERIFYING_KEY"] = private, public
			file = "public_key_file: " + keyFile(t, public)
		}
		fmt.Fprintf(&issuers, "- {name: %s, algorithms: [%s], %s, %s, unknown_device: register, refresh: exchange}\n",
			strings.ToLower(p.algorithm), p.algorithm, file, p.demands)
	}
	g := startGate(t, issuers.String())
	for _, p := range projects {
		t.Run(p.algorithm, func(t *testing.T) {
			t.Parallel()
			d, g := startProject(t, t.TempDir(), newest, secretKey, p.settings), g.in(t)
			user, s := strings.ToLower(p.algorithm)+":1", d.signIn(t, "", "alice")
			if header := part(t, s.Access, 0); header != `{"alg":"`+p.algorithm+`","typ":"JWT"}` {
				t.Errorf("the header is %s", header)
			}
			g.letsIn(s.Access, user, s.UID)
			g.letsIn(d.fresh(t, s).Access, user, s.UID)
			for _, forged := range tampered(t, s.Access) {
				g.shutsOut(forged, "token_unverified")
			}
			g.shutsOut(s.Refresh, "token_wrong_type")
			ours := sessionOf(g.want(200, "", refreshing(s)))
			g.letsIn(ours.Access, user, s.UID)
			g.want(401, "token_not_valid", refreshing(s))
		})
	}
}

// pemOf returns a key as SIGNING_KEY and VERIFYING_KEY want it.
func pemOf(key crypto.Signer) (private, public string) {
	block := func(kind string, der []byte) string {
		return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return block("PRIVATE KEY", fatal(x509.MarshalPKCS8PrivateKey(key))), block("PUBLIC KEY", fatal(x509.MarshalPKIXPublicKey(key.Public())))
}

// fatal is for what cannot fail.
func fatal[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
