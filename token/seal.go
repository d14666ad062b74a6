package token

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// EncryptionKeySize is the length in bytes of the key that private keys are encrypted with.
const EncryptionKeySize = 32

// ErrEncryptionKey means: a private key of the store is encrypted and the encryption key is missing,
// or another.
var ErrEncryptionKey = errors.New("token: the encryption key of the store does not fit")

// sealer encrypts private keys with AES-256-GCM under a random nonce: few enough are ever written
// that two never share one. What it returns is the nonce and then the ciphertext. nil has no key.
type sealer struct {
	aead cipher.AEAD
	rand io.Reader
}

func newSealer(key []byte, random io.Reader) (*sealer, error) {
	if len(key) == 0 {
		return nil, nil
	}
	if len(key) != EncryptionKeySize {
		return nil, fmt.Errorf("token: the encryption key has %d bytes, not %d", len(key), EncryptionKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &sealer{aead: aead, rand: random}, err
}

// label is authenticated with the private key, so that the ciphertext of one key cannot be put under
// the name of another.
func label(schema int, kid string, alg Algorithm) []byte {
	return fmt.Appendf(nil, "devicegate signing key\x00%d\x00%s\x00%s", schema, kid, alg)
}

func (s *sealer) seal(private, label []byte) ([]byte, error) {
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		return nil, fmt.Errorf("reading random bytes: %w", err)
	}
	return s.aead.Seal(nonce, nonce, private, label), nil
}

func (s *sealer) open(sealed, label []byte) ([]byte, error) {
	if s == nil {
		return nil, fmt.Errorf("%w: it is encrypted and no key is given: set store.encryption_key_file to the file it was encrypted with", ErrEncryptionKey)
	}
	if n := s.aead.NonceSize(); len(sealed) > n {
		if private, err := s.aead.Open(nil, sealed[:n], sealed[n:], label); err == nil {
			return private, nil
		}
	}
	return nil, fmt.Errorf("%w: store.encryption_key_file holds another key than it was encrypted with, or the record is damaged", ErrEncryptionKey)
}

// ReadEncryptionKey reads the key for Options.EncryptionKey from a file that holds 32 random bytes, or
// 64 hexadecimal digits or the base64 of such bytes with or without a line's end. It refuses what is
// no key: 32 characters of text, or one byte again and again. No error shows a byte of the file.
func ReadEncryptionKey(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the encryption key: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, 1<<10))
	if err != nil {
		return nil, fmt.Errorf("reading the encryption key: %w", err)
	}
	key := decodeEncryptionKey(content)
	if key == nil {
		return nil, fmt.Errorf("the encryption key in %s is not 32 random bytes, their 64 hexadecimal digits or their base64: make one with: openssl rand -base64 32", path)
	}
	return key, nil
}

// decodeEncryptionKey returns nil for what is no key.
func decodeEncryptionKey(content []byte) []byte {
	key := content
	if len(content) != EncryptionKeySize {
		key = decodeText(string(bytes.TrimRight(content, "\r\n")))
	} else if !bytes.ContainsFunc(content, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil // a passphrase, or too short a number: random bytes are never all printable
	}
	if len(key) != EncryptionKeySize || bytes.Count(key, key[:1]) == len(key) {
		return nil
	}
	return key
}

func decodeText(text string) []byte {
	if len(text) == hex.EncodedLen(EncryptionKeySize) {
		key, err := hex.DecodeString(text)
		if err != nil {
			return nil
		}
		return key
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if key, err := encoding.Strict().DecodeString(text); err == nil {
			return key
		}
	}
	return nil
}
