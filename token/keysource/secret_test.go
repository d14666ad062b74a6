package keysource_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"devicegate/token/keysource"
)

// What is signed with is exactly the file, without one line break.
func TestSecretBytes(t *testing.T) {
	base64ed := base64.StdEncoding.EncodeToString([]byte(goodSecret))
	for name, tt := range map[string]struct{ content, secret string }{
		"plain": {goodSecret, goodSecret}, "newline": {goodSecret + "\n", goodSecret}, "CRLF": {goodSecret + "\r\n", goodSecret},
		"two newlines": {goodSecret + "\n\n", goodSecret + "\n"}, "CR": {goodSecret + "\r", goodSecret + "\r"},
		"spaces": {" " + goodSecret + " ", " " + goodSecret + " "}, "base64": {base64ed, base64ed},
		"UTF-8": {"pässwörter sind auch nur zeichen 字", "pässwörter sind auch nur zeichen 字"},
		"NUL":   {goodSecret + "\x00\xff", goodSecret + "\x00\xff"},
	} {
		s := secretSource(t, tt.content, "HS256")
		for _, key := range []string{goodSecret, goodSecret + "\n", tt.content, tt.secret} {
			if ok, _ := s.Set().Verify(token("HS256", "", []byte(key)), "HS256", "", false); ok != (key == tt.secret) {
				t.Errorf("%s: signed with %q: %t", name, key, ok)
			}
		}
	}
}

// badSecrets is what no secret may be, and a word of what is said about it.
func badSecrets() map[string][2]string {
	rsaKey, ed := pool()["rsa"].Public(), pool()["ed"].Public()
	der := must(x509.MarshalPKIXPublicKey(rsaKey))
	return map[string][2]string{
		"empty": {"", "0 bytes"}, "newline alone": {"\n", "0 bytes"}, "31 bytes": {goodSecret[:31], "31 bytes"}, "31 and newline": {goodSecret[:31] + "\n", "31 bytes"},
		"one byte": {strings.Repeat("a", 64), "different"}, "zeros": {strings.Repeat("\x00", 64), "different"}, "7 different": {strings.Repeat("abcdefg", 10), "different"},
		"PEM": {publicPEM("rsa"), "of another kind"}, "PEM later": {"key:\n" + publicPEM("ed"), "of another kind"}, "private PEM": {pemOf("PRIVATE KEY", der), "of another kind"},
		"DER": {string(der), "of another kind"}, "DER of Ed25519": {string(must(x509.MarshalPKIXPublicKey(ed))), "of another kind"},
		"base64 of DER": {base64.StdEncoding.EncodeToString(der) + "\n", "of another kind"},
		"JWK":           {string(must(json.Marshal(jwk("rsa", "a")))), "of another kind"}, "JWK set": {"\n " + oneOfEach(), "of another kind"},
		"ssh":      {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ someone@example", "of another kind"},
		"too long": {strings.Repeat(goodSecret, 300), "over 16384 bytes"},
	}
}

func TestBadSecrets(t *testing.T) {
	for name, tt := range badSecrets() {
		_, err := keysource.Open(keysource.Options{Name: "django", Algorithms: []string{"HS256"}, SecretFile: fileOf(t, tt[0])})
		if err == nil || !strings.Contains(err.Error(), tt[1]) || !strings.Contains(err.Error(), `"django"`) || !strings.Contains(err.Error(), "secret_file") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && len(tt[0]) > 8 && strings.Contains(err.Error(), strings.TrimSpace(tt[0])[:8]) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}

func TestSecretWarnings(t *testing.T) {
	for name, tt := range map[string]struct {
		content string
		mode    os.FileMode
		alg     string
		want    string
	}{
		"good": {goodSecret, 0o600, "HS512", ""}, "group": {goodSecret, 0o640, "HS256", ""}, "everybody": {goodSecret, 0o644, "HS256", "everybody"},
		"short for 384": {goodSecret[:47], 0o600, "HS384", "HS384 asks for at least 48"}, "short for 512": {goodSecret[:63], 0o600, "HS512", "HS512 asks"}, "enough for 256": {goodSecret[:32], 0o600, "HS256", ""},
		"Django's": {"django-insecure-" + goodSecret, 0o600, "HS256", "development"}, "space": {goodSecret + "\n\n", 0o600, "HS256", "white space"},
	} {
		path := filepath.Join(t.TempDir(), "secret")
		write(t, path, tt.content)
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, keysource.Options{Algorithms: []string{tt.alg}, SecretFile: path})
		got := strings.Join(s.Warnings(), "\n")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || strings.Contains(got, goodSecret[:8]) {
			t.Errorf("%s: warnings %q, want %q", name, got, tt.want)
		}
	}
}

// FuzzSecret: what is accepted as a secret verifies HMAC of exactly these bytes, and is no public key.
func FuzzSecret(f *testing.F) {
	for _, seed := range badSecrets() {
		f.Add([]byte(seed[0]))
	}
	f.Add([]byte(goodSecret + "\r\n"))
	path := filepath.Join(f.TempDir(), "secret")
	f.Fuzz(func(t *testing.T, content []byte) {
		write(t, path, string(content))
		s, err := keysource.Open(keysource.Options{Algorithms: []string{"HS256"}, SecretFile: path})
		if err != nil {
			return
		}
		if _, err := x509.ParsePKIXPublicKey(content); err == nil || bytes.Contains(content, []byte("-----BEGIN")) || len(content) < 32 {
			t.Errorf("accepted: %q", content)
		}
		kept := bytes.TrimSuffix(content, []byte("\n"))
		if len(kept) < len(content) {
			kept = bytes.TrimSuffix(kept, []byte("\r"))
		}
		if ok, _ := s.Set().Verify(token("HS256", "", kept), "HS256", "", false); !ok {
			t.Errorf("a token by %q is refused", kept)
		}
	})
}

// Every length of secret that is long enough works, also one of random bytes.
func TestRandomSecrets(t *testing.T) {
	for _, size := range []int{32, 64, 65, 128, 129, 4096} {
		content := make([]byte, size)
		_, _ = rand.Read(content)
		content[size-1] = 'x' // no line break
		s := secretSource(t, string(content), secretAlgorithms...)
		for _, alg := range secretAlgorithms {
			if ok, _ := s.Set().Verify(token(alg, "", content), alg, "", false); !ok {
				t.Errorf("%d bytes, %s: refused", size, alg)
			}
		}
	}
	if ok, _ := secretSource(t, goodSecret, "HS256").Set().Verify(token("EdDSA", "", ed25519.NewKeyFromSeed([]byte(goodSecret[:32]))), "EdDSA", "", false); ok {
		t.Error("the secret serves as a seed")
	}
}
