package token

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxKeyFile = 1 << 20 // bytes

	// settled is how old a file must be for its time, size and number to speak for its content: a
	// second change within the clock's step would go unseen.
	settled = 2 * time.Second
)

// keyFile is a file of keys as it was read, and the keys that were in it before. It is never changed.
type keyFile struct {
	path     string
	info     os.FileInfo // nil when the file is to be read again in any case
	keys     []*keyPair  // at least one; the first signs
	left     []leftKey
	warnings []string
}

// leftKey is a key that is no longer in the file. It verifies until no token of its can live.
type leftKey struct {
	key   *keyPair
	until time.Time
}

// readKeyFile reads and checks the file at path, or returns nil where it is as before. The path is
// followed anew each time: Kubernetes puts another folder in the place of the old one. Errors name
// the file and what to do, and never show a byte of it.
func readKeyFile(path string, before *keyFile, now time.Time) (*keyFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the signing key file: %w", err)
	}
	if before != nil && same(before.info, info) {
		return nil, nil
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, fmt.Errorf("the signing key file %s is not a regular file", path)
	}
	content, info, err := readWhole(path)
	if err != nil {
		return nil, fmt.Errorf("the signing key file %s: %w", path, err)
	}
	file := &keyFile{path: path, info: info}
	if now.Sub(info.ModTime()) < settled {
		file.info = nil
	}
	if info.Mode().Perm()&0o007 != 0 {
		file.warnings = append(file.warnings, fmt.Sprintf("the signing key file %s can be used by everybody on this machine (mode %#o): chmod 0600, in Kubernetes defaultMode: 0400", path, info.Mode().Perm()))
	}
	if file.keys, err = parseKeys(content); err != nil {
		return nil, fmt.Errorf("the signing key file %s: %w", path, err)
	}
	return file, nil
}

func same(a, b os.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// readWhole returns a file's content and what it was, if it was the same before and after.
func readWhole(path string) ([]byte, os.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = file.Close() }()
	before, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return nil, nil, err
	}
	if len(content) > maxKeyFile {
		return nil, nil, fmt.Errorf("it is over %d bytes: it should hold a few keys and nothing else", maxKeyFile)
	}
	after, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !same(before, after) {
		return nil, nil, errors.New("it changed while it was read: write it beside its place and rename it")
	}
	return content, after, nil
}

// parseKeys reads the keys of a PEM file, a JWK or a JWK set, in their order.
func parseKeys(content []byte) ([]*keyPair, error) {
	var keys []*keyPair
	var err error
	switch trimmed := bytes.TrimSpace(content); {
	case len(trimmed) == 0:
		return nil, errors.New("it is empty: put a private key into it")
	case trimmed[0] == '{':
		keys, err = parseJSONKeys(trimmed)
	case bytes.Contains(trimmed, []byte(pemDashes)):
		keys, err = parsePEMKeys(trimmed)
	default:
		return nil, errors.New("it is neither PEM nor JSON: put a private key into it, for instance by: openssl genpkey -algorithm ed25519")
	}
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no private key in it")
	}
	if len(keys) > maxLiveKeys {
		return nil, fmt.Errorf("there are %d keys in it, at most %d are accepted: take out the old ones", len(keys), maxLiveKeys)
	}
	seen := map[string]int{}
	for i, key := range keys {
		if first, ok := seen[key.kid]; ok {
			return nil, fmt.Errorf("key %d is key %d again: take one of them out", i+1, first)
		}
		seen[key.kid] = i + 1
	}
	return keys, nil
}

func parseJSONKeys(content []byte) ([]*keyPair, error) {
	var probe map[string]jsontext.Value
	if err := json.Unmarshal(content, &probe); err != nil {
		return nil, errors.New("it is not one JSON object: a JWK or a JWK set is needed")
	}
	list := []jsontext.Value{content}
	if inner, ok := probe["keys"]; ok {
		if err := json.Unmarshal(inner, &list); err != nil || len(probe) > 1 {
			return nil, errors.New(`it is no JWK set: {"keys": [...]} and nothing beside it is needed`)
		}
	}
	var keys []*keyPair
	for i, raw := range list {
		key, meant, err := parseJWK(raw)
		if err == nil {
			err = meant.signing(key.alg)
		}
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

const pemDashes = "-----" // four times in each block

func parsePEMKeys(content []byte) ([]*keyPair, error) {
	var keys []*keyPair
	blocks := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		if block.Type == "EC PARAMETERS" { // openssl writes the curve's name in front of the key
			continue
		}
		secret, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", blocks, err)
		}
		key, err := newKeyPair(secret)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", blocks, err)
		}
		keys = append(keys, key)
	}
	if bytes.Count(content, []byte(pemDashes)) != 4*blocks { // the decoder skips what it cannot read; a key must not go unnoticed
		return nil, fmt.Errorf("beside %d good PEM blocks there is one that cannot be read: is it cut?", blocks)
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (crypto.PrivateKey, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, errors.New("it is encrypted with a passphrase, which nobody could enter at start: decrypt it with openssl pkey, and guard the file by its mode")
	}
	var secret crypto.PrivateKey
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		secret, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		secret, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		secret, err = x509.ParseECPrivateKey(block.Bytes)
	case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
		return nil, errors.New("it holds a public key only: the private one is needed")
	default:
		return nil, fmt.Errorf("it is of the type %.40q: PRIVATE KEY (PKCS #8), RSA PRIVATE KEY or EC PRIVATE KEY is needed; openssl pkey converts", block.Type)
	}
	if err != nil { // whose text is not for a log: nobody has read what it may quote
		return nil, errors.New("it is malformed, too weak, or of a kind that is not known: Ed25519, EC P-256 and RSA of 2048 to 4096 bits are accepted")
	}
	return secret, nil
}

// inherit returns f with the keys that were in before and are not in f, each until no token of its
// can live.
func (f *keyFile) inherit(before *keyFile, until, now time.Time) *keyFile {
	next := *f
	next.left = nil
	here := map[string]bool{}
	for _, key := range f.keys {
		here[key.kid] = true
	}
	for _, gone := range before.left {
		if !here[gone.key.kid] && now.Before(gone.until) {
			next.left = append(next.left, gone)
		}
	}
	for _, key := range before.keys {
		if !here[key.kid] {
			next.left = append(next.left, leftKey{key, until})
		}
	}
	return &next
}

// Reload reads the key file again if it changed, and is to be called every minute or so. The file is
// taken whole or not at all: after an error the keys are as before, and the next call tries again.
// Keys that are no longer in it verify, in this process, until no token of theirs can live. Without a
// file it does nothing.
func (k *Keyring) Reload() error {
	if !k.inFile() {
		return nil
	}
	k.change.Lock()
	defer k.change.Unlock()
	now := k.now()
	loaded, err := readKeyFile(k.options.SigningKeyFile, k.file, now)
	if err != nil || loaded == nil {
		return err
	}
	return k.takeFile(loaded.inherit(k.file, now.Add(k.options.overlap()), now))
}

// forgetLeft drops the keys that left the file so long ago that no token of theirs lives.
func (k *Keyring) forgetLeft(now time.Time) error {
	if k.file == nil {
		return nil
	}
	for _, gone := range k.file.left {
		if !now.Before(gone.until) {
			return k.takeFile(k.file.inherit(k.file, now, now))
		}
	}
	return nil
}

// takeFile makes the key set anew with another file, or leaves all as it is. The caller holds change,
// under which alone the file is set.
func (k *Keyring) takeFile(file *keyFile) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	set, list, err := k.build(file)
	if err != nil {
		return err
	}
	k.file = file
	k.install(set, list)
	return nil
}
