package token_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/reason"
	"devicegate/token"
)

func encryptionKey(b byte) []byte {
	return append(bytes.Repeat([]byte{b}, token.EncryptionKeySize-1), 0xff)
}

// TestEncryptedKeys: nothing private is in the store in plain, through every change.
func TestEncryptedKeys(t *testing.T) {
	for _, alg := range algorithms {
		store := newMemoryStore()
		g := newGate(t, store, startClock(), func(o *token.Options) { o.EncryptionKey, o.Algorithm = encryptionKey(1), alg })
		raw := g.issue(t)
		must(g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{Now: true}))(t)
		g.reopen(t)
		g.wantVerdict(t, "a token of before", raw, reason.OK)
		g.wantVerdict(t, "a new token", g.issue(t), reason.OK)
		g.wantStates(t, "after a restart", "published signing")
		wantNothingPlain(t, store)
		g.tick(t)
		g.run(t, token.PublishAhead)
		g.wantStates(t, "at the end", "retired signing")
		if r := storedKey(t, g.store, 1); r["encrypted"] != nil {
			t.Errorf("the retired key has a private part: %v", r)
		}
	}
}

func (s *memoryStore) Get(_ context.Context, key string) (db.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[key]; ok {
		return e, nil
	}
	return db.Entry{}, db.ErrNotFound
}

func wantNothingPlain(t *testing.T, store *memoryStore) {
	t.Helper()
	for name, e := range store.entries {
		if bytes.Contains(e.Value, []byte(`private_jwk`)) || bytes.Contains(e.Value, []byte(`"d":`)) {
			t.Errorf("%s holds a private key in plain: %s", name, e.Value)
		}
	}
}

// TestPlainKeysAreEncryptedAtOpen: of both schemas, in one transaction that another process may win;
// what the keys are for stays.
func TestPlainKeysAreEncryptedAtOpen(t *testing.T) {
	store := newMemoryStore()
	old := recordOf(token.EdDSA, anotherKey(token.EdDSA), token.Published)
	old["schema"] = 1
	delete(old, "signs_from")
	delete(old, "retires_at")
	store.put(t, "w/k/00000001", recordOf(token.EdDSA, anotherKey(token.EdDSA), token.Retired))
	store.put(t, "w/k/00000002", old)
	store.put(t, "w/k/00000003", recordOf(token.RS256, testRSA(), token.Signing))
	plain := newGate(t, store, startClock(), nil)
	raw := plain.issue(t)
	var winner *gate
	encrypted := func(o *token.Options) { o.EncryptionKey = encryptionKey(1) }
	store.beforeCommit = func() { winner = newGate(t, store, startClock(), encrypted) }
	loser := newGate(t, store, startClock(), encrypted)
	wantNothingPlain(t, store)
	for _, g := range []*gate{winner, loser} {
		g.wantStates(t, "encrypted", "retired published signing")
		g.wantVerdict(t, "a token of before", raw, reason.OK)
		if keys := g.ring.Keys(); keys[1].RetiresAt.IsZero() {
			t.Errorf("the key that was published would sign: %+v", keys[1])
		}
	}
	before := maps.Clone(store.entries)
	loser.reopen(t)
	if diff := cmp.Diff(before, store.entries); diff != "" {
		t.Errorf("the next start wrote again:\n%s", diff)
	}
}

// TestTheWrongEncryptionKeyIsRefused: with the option to blame, and without a change in the store.
func TestTheWrongEncryptionKeyIsRefused(t *testing.T) {
	store := newMemoryStore()
	newGate(t, store, startClock(), func(o *token.Options) { o.EncryptionKey = encryptionKey(1) })
	before := maps.Clone(store.entries)
	for name, key := range map[string][]byte{"is given": nil, "another key": encryptionKey(2)} {
		o := options(startTime, rand.Reader)
		o.EncryptionKey = key
		_, err := token.OpenKeyring(t.Context(), store, o)
		if !errors.Is(err, token.ErrEncryptionKey) || !strings.Contains(err.Error(), "store.encryption_key_file") || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "backup") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if diff := cmp.Diff(before, store.entries); diff != "" {
		t.Errorf("the keys were changed:\n%s", diff)
	}
}

// TestCiphertextsStayWithTheirKeys: one that was moved, cut or changed opens nothing.
func TestCiphertextsStayWithTheirKeys(t *testing.T) {
	key := func(o *token.Options) { o.EncryptionKey = encryptionKey(1) }
	other := newMemoryStore()
	newGate(t, other, startClock(), key)
	for name, spoil := range map[string]func(r map[string]any){
		"of another key": func(r map[string]any) { r["encrypted"] = other.record(t, firstRecord)["encrypted"] },
		"another alg":    func(r map[string]any) { r["alg"] = "ES256" },
		"another kid":    func(r map[string]any) { r["kid"] = other.record(t, firstRecord)["kid"] },
		"cut":            func(r map[string]any) { r["encrypted"] = "AAAA" },
		"empty":          func(r map[string]any) { r["encrypted"] = "" },
		"missing":        func(r map[string]any) { delete(r, "encrypted") },
		"changed": func(r map[string]any) {
			sealed := mustRaw(base64.StdEncoding.DecodeString(r["encrypted"].(string)))
			sealed[len(sealed)-1] ^= 1
			r["encrypted"] = sealed
		},
	} {
		store := newMemoryStore()
		newGate(t, store, startClock(), key)
		r := store.record(t, firstRecord)
		spoil(r)
		store.put(t, firstRecord, r)
		o := options(startTime, rand.Reader)
		key(&o)
		if _, err := token.OpenKeyring(t.Context(), store, o); err == nil {
			t.Errorf("%s: it was opened", name)
		}
	}
}

// TestSealedForm: AES-256-GCM, the nonce in front, and bound to schema, kid and algorithm.
func TestSealedForm(t *testing.T) {
	kid := kidOf(testP256())
	for _, tt := range []struct {
		label string
		good  bool
	}{
		{"devicegate signing key\x002\x00" + kid + "\x00ES256", true}, {"devicegate signing key\x001\x00" + kid + "\x00ES256", false},
		{"devicegate signing key\x002\x00" + kid + "\x00EdDSA", false}, {"", false},
	} {
		aead := mustRaw(cipher.NewGCM(mustRaw(aes.NewCipher(encryptionKey(1)))))
		nonce := bytes.Repeat([]byte{9}, aead.NonceSize())
		r := recordOf(token.ES256, testP256(), token.Signing)
		r["encrypted"] = aead.Seal(nonce, nonce, []byte(jwkText(testP256(), nil)), []byte(tt.label))
		delete(r, "private_jwk")
		store := newMemoryStore()
		store.put(t, firstRecord, r)
		o := options(startTime, rand.Reader)
		o.EncryptionKey = encryptionKey(1)
		if _, err := token.OpenKeyring(t.Context(), store, o); (err == nil) != tt.good {
			t.Errorf("bound to %q: got %v", tt.label, err)
		}
	}
}

func TestEncryptionFailsWithoutRandomness(t *testing.T) {
	store, silent := newMemoryStore(), errors.New("no entropy")
	newGate(t, store, startClock(), nil)
	o := options(startTime, iotest.ErrReader(silent))
	o.EncryptionKey = encryptionKey(1)
	if _, err := token.OpenKeyring(t.Context(), store, o); !errors.Is(err, silent) {
		t.Errorf("got %v, want %v", err, silent)
	}
}

// TestNothingPrivateIsInTheFile looks at the bytes of a real store that never held a key in plain.
func TestNothingPrivateIsInTheFile(t *testing.T) {
	store := dbtest.New(t)
	g := newGate(t, store, startClock(), func(o *token.Options) { o.EncryptionKey = encryptionKey(1) })
	must(g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{Now: true}))(t)
	var found int
	_, err := db.Each(t.Context(), store, "", func(e db.Entry) error {
		found++
		if bytes.Contains(e.Value, []byte("private_jwk")) {
			t.Errorf("%s: %s", e.Key, e.Value)
		}
		return nil
	})
	if err != nil || found != 2 {
		t.Errorf("%d records, %v", found, err)
	}
}

func TestReadEncryptionKey(t *testing.T) {
	key := encryptionKey(7)
	path := filepath.Join(t.TempDir(), "key")
	text := hex.EncodeToString(key)
	for name, content := range map[string]string{
		"raw": string(key), "hex": text, "hex and newline": text + "\n", "HEX and CRLF": strings.ToUpper(text) + "\r\n",
		"base64": base64.StdEncoding.EncodeToString(key) + "\n", "base64url": b64(string(key)),
	} {
		write(t, path, content)
		if got, err := token.ReadEncryptionKey(path); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%s: got %x, %v", name, got, err)
		}
	}
	for name, content := range map[string]string{
		"empty": "", "31 bytes": string(key[1:]), "33 bytes": string(key) + "x", "62 hex digits": text[2:], "no hex": text[1:] + "x",
		"base64 of 31 bytes": base64.StdEncoding.EncodeToString(key[1:]), "two lines": text + "\n" + text, "zeroes": strings.Repeat("\x00", 32),
		"hex of zeroes": strings.Repeat("0", 64), "a passphrase": "correct horse battery staple 123", "16 bytes in hex": text[:32], "long": strings.Repeat(text, 100),
	} {
		write(t, path, content)
		got, err := token.ReadEncryptionKey(path)
		if err == nil || got != nil || !strings.Contains(err.Error(), path) || (content != "" && strings.Contains(err.Error(), strings.TrimSpace(content))) {
			t.Errorf("%s: got %x, %v", name, got, err)
		}
	}
	if _, err := token.ReadEncryptionKey(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: got %v", err)
	}
}

// FuzzKeyRecord: a record of any bytes is refused with a word that shows no private part, or is a key
// that signs what verifies.
func FuzzKeyRecord(f *testing.F) {
	store := newMemoryStore()
	newGate(f, store, startClock(), func(o *token.Options) { o.EncryptionKey = encryptionKey(1) })
	f.Add(store.entries[firstRecord].Value)
	for _, alg := range algorithms {
		for _, state := range []token.State{token.Signing, token.Published, token.Retired} {
			f.Add(must(json.Marshal(recordOf(alg, testKey(alg), state)))(f))
		}
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, key := range [][]byte{nil, encryptionKey(1)} {
			store := newMemoryStore()
			store.entries[firstRecord] = db.Entry{Key: firstRecord, Value: value, Revision: 1}
			o := options(startTime, rand.Reader)
			o.EncryptionKey = key
			ring, err := token.OpenKeyring(t.Context(), store, o)
			if err != nil {
				continue
			}
			signsWhatVerifies(t, ring)
			if err := ring.Tick(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
