package keysource

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

const (
	secretMinBytes    = 32 // RFC 8725, section 3.5: as many as SHA-256 has
	secretMinDistinct = 8  // of random bytes, 32 hold fewer than this about once in 10^32 times
)

// readSecret reads a shared secret: the bytes as they are, because that is what Django signs with, but for one
// line break at the end, which editors and shells add. Its errors and warnings show no byte of it.
func readSecret(content []byte, list []string) (*found, error) {
	content = cutLineBreak(content)
	if publicInDisguise(content) {
		return nil, errors.New("it holds a key of another kind (PEM, DER or JSON), and a public key as a shared secret would let anybody sign: name it as public_key_file or jwks_file")
	}
	if len(content) < secretMinBytes {
		return nil, fmt.Errorf("the secret has %d bytes, at least %d are needed: have the issuer sign with a longer one, for instance from: openssl rand -base64 48", len(content), secretMinBytes)
	}
	if distinct(content) < secretMinDistinct {
		return nil, fmt.Errorf("the secret is made of fewer than %d different characters, so it can be guessed: have the issuer sign with a random one", secretMinDistinct)
	}
	one, err := newKey(secret, bytes.Clone(content), list)
	if err != nil {
		return nil, err
	}
	return &found{one: one, warnings: secretWarnings(content, list)}, nil
}

func cutLineBreak(content []byte) []byte {
	content, cut := bytes.CutSuffix(content, []byte("\n"))
	if cut {
		content = bytes.TrimSuffix(content, []byte("\r"))
	}
	return content
}

// publicInDisguise says whether content is a key of a kind that others may know. The raw bytes of an Ed25519 key
// look like any secret and cannot be told.
func publicInDisguise(content []byte) bool {
	trimmed := bytes.TrimSpace(content)
	if bytes.Contains(content, []byte("-----BEGIN")) || bytes.HasPrefix(trimmed, []byte("ssh-")) {
		return true
	}
	if bytes.HasPrefix(trimmed, []byte("{")) && bytes.Contains(trimmed, []byte(`"kty"`)) {
		return true
	}
	if isDER(content) {
		return true
	}
	decoded, err := base64.StdEncoding.DecodeString(string(trimmed)) // PEM without its first and last line
	return err == nil && isDER(decoded)
}

func isDER(content []byte) bool {
	if _, err := x509.ParsePKIXPublicKey(content); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PublicKey(content); err == nil {
		return true
	}
	_, err := x509.ParseCertificate(content)
	return err == nil
}

func distinct(content []byte) int {
	var seen [256]bool
	n := 0
	for _, b := range content {
		if !seen[b] {
			seen[b] = true
			n++
		}
	}
	return n
}

func secretWarnings(content []byte, list []string) []string {
	var warnings []string
	for _, alg := range list {
		if size := algorithms[alg].size; len(content) < size {
			warnings = append(warnings, fmt.Sprintf("the secret has %d bytes, but %s asks for at least %d (RFC 7518, section 3.2)", len(content), alg, size))
		}
	}
	if bytes.HasPrefix(content, []byte("django-insecure-")) {
		warnings = append(warnings, "the secret is one that Django made for development (django-insecure-): replace it if it was ever in a repository")
	}
	if len(bytes.TrimSpace(content)) != len(content) {
		warnings = append(warnings, "the secret begins or ends with white space, which counts: only one line break at the end is cut off")
	}
	return warnings
}
