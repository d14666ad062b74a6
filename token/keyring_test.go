package token_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/db"
	"devicegate/reason"
	"devicegate/token"
)

func startTime() time.Time { return time.Unix(start, 0) }

func mustOpen(tb testing.TB, store db.Store) *token.Keyring {
	tb.Helper()
	return must(token.OpenKeyring(context.Background(), store, options(startTime, rand.Reader)))(tb)
}

func TestRestartKeepsTheKey(t *testing.T) {
	f := newFixture(t, defaultConfig())
	raw := f.mustIssue(t)
	again := mustOpen(t, f.store)
	verifier := must(token.NewVerifier(defaultConfig(), again, f.clock.now))(t)
	if _, why := verifier.Verify(raw); why != reason.OK {
		t.Errorf("a token from before the restart: %v", why)
	}
	if !bytes.Equal(f.ring.JWKS(), again.JWKS()) || len(f.store.entries) != 1 || again.Revision() != 1 {
		t.Errorf("the restart changed the keys: %s, then %s", f.ring.JWKS(), again.JWKS())
	}
}

// TestTwoStartersShareOneKey: the second process commits between the first's reading and writing.
func TestTwoStartersShareOneKey(t *testing.T) {
	store := newMemoryStore()
	var winner *token.Keyring
	store.beforeCommit = func() { winner = mustOpen(t, store) }
	loser := mustOpen(t, store)
	if !bytes.Equal(winner.JWKS(), loser.JWKS()) || len(store.entries) != 1 {
		t.Errorf("two keys: %s and %s", winner.JWKS(), loser.JWKS())
	}
}

func TestOpenKeyringFailsWithTheStore(t *testing.T) {
	broken, silent := errors.New("broken disk"), errors.New("no entropy")
	open := func(s *memoryStore) error {
		_, err := token.OpenKeyring(context.Background(), s, options(startTime, rand.Reader))
		return err
	}
	if err := open(&memoryStore{failRange: broken}); !errors.Is(err, broken) {
		t.Errorf("reading: got %v, want %v", err, broken)
	}
	for _, want := range []error{db.ErrUnavailable, db.ErrUnknown} {
		if err := open(&memoryStore{failCommit: want}); !errors.Is(err, want) {
			t.Errorf("writing: got %v, want %v", err, want)
		}
	}
	if err := open(&memoryStore{failCommit: db.ErrConflict}); err == nil {
		t.Error("a key that is never there was opened")
	}
	if _, err := token.OpenKeyring(context.Background(), newMemoryStore(), options(startTime, iotest.ErrReader(silent))); !errors.Is(err, silent) {
		t.Errorf("without randomness: got %v, want %v", err, silent)
	}
}

func TestJWKS(t *testing.T) {
	f := newFixture(t, defaultConfig())
	var got map[string]any
	if err := json.Unmarshal(f.ring.JWKS(), &got); err != nil {
		t.Fatal(err)
	}
	public := f.private.Public().(ed25519.PublicKey)
	want := map[string]any{"keys": []any{map[string]any{
		"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": f.kid,
		"x": b64(string(public)),
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJWKSFollowsTheStates(t *testing.T) {
	first, second := secondKey(t), secondKey(t)
	for _, tt := range []struct {
		state string
		want  []any
	}{
		{"published", []any{first["kid"], second["kid"]}},
		{"retired", []any{second["kid"]}},
	} {
		store := newMemoryStore()
		store.put(t, firstRecord, with(first, "state", tt.state))
		store.put(t, "w/k/00000002", second)
		ring := mustOpen(t, store)
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal(ring.JWKS(), &set); err != nil {
			t.Fatal(err)
		}
		var kids []any
		for _, k := range set.Keys {
			kids = append(kids, k["kid"])
		}
		if diff := cmp.Diff(tt.want, kids); diff != "" {
			t.Errorf("first key %s (-want +got):\n%s", tt.state, diff)
		}
		issuer := must(token.NewIssuer(defaultConfig(), ring, startTime, rand.Reader))(t)
		raw, _, err := issuer.Issue(subject())
		if err != nil {
			t.Fatal(err)
		}
		if got := decode(t, raw[:strings.Index(raw, ".")])["kid"]; got != second["kid"] {
			t.Errorf("first key %s: signed with %v, want %v", tt.state, got, second["kid"])
		}
	}
}

func TestTheCallerOwnsTheJWKS(t *testing.T) {
	f := newFixture(t, defaultConfig())
	clear(f.ring.JWKS())
	if !json.Valid(f.ring.JWKS()) {
		t.Error("a caller wrote into the key set")
	}
}

// TestBadKeysAreRefused: nothing but an Ed25519 key under its own thumbprint is loaded, and no error
// shows a private part.
func TestBadKeysAreRefused(t *testing.T) {
	otherKid := secondKey(t)["kid"]
	jwk := func(change func(m map[string]any)) func(r map[string]any) {
		return func(r map[string]any) { change(r["private_jwk"].(map[string]any)) }
	}
	tests := map[string]func(r map[string]any){
		"schema missing":      func(r map[string]any) { delete(r, "schema") },
		"schema 3":            func(r map[string]any) { r["schema"] = 3 },
		"schema 1 of today":   func(r map[string]any) { r["schema"] = 1 },
		"no time to sign":     func(r map[string]any) { delete(r, "signs_from") },
		"signs and retires":   func(r map[string]any) { r["retires_at"] = r["created"] },
		"two private parts":   func(r map[string]any) { r["encrypted"] = "AAAA" },
		"unknown member":      func(r map[string]any) { r["note"] = "x" },
		"kid of another key":  func(r map[string]any) { r["kid"] = otherKid },
		"kid missing":         func(r map[string]any) { delete(r, "kid") },
		"alg ES256":           func(r map[string]any) { r["alg"] = "ES256" },
		"alg HS256":           func(r map[string]any) { r["alg"] = "HS256" },
		"state unknown":       func(r map[string]any) { r["state"] = "sleeping" },
		"state missing":       func(r map[string]any) { delete(r, "state") },
		"never signing":       func(r map[string]any) { r["state"] = "published" },
		"created missing":     func(r map[string]any) { delete(r, "created") },
		"no private_jwk":      func(r map[string]any) { delete(r, "private_jwk") },
		"private_jwk text":    func(r map[string]any) { r["private_jwk"] = "x" },
		"public key only":     jwk(func(m map[string]any) { delete(m, "d") }),
		"x missing":           jwk(func(m map[string]any) { delete(m, "x") }),
		"x of another key":    jwk(func(m map[string]any) { m["x"] = secondKey(t)["private_jwk"].(map[string]any)["x"] }),
		"d of 31 bytes":       jwk(func(m map[string]any) { m["d"] = b64(strings.Repeat("a", 31)) }),
		"d of 64 bytes":       jwk(func(m map[string]any) { m["d"] = b64(strings.Repeat("a", 64)) }),
		"d is no base64":      jwk(func(m map[string]any) { m["d"] = "!" }),
		"a secret":            func(r map[string]any) { r["private_jwk"] = map[string]any{"kty": "oct", "k": b64("weak")} },
		"a member of RSA":     jwk(func(m map[string]any) { m["n"] = "AQAB" }),
		"a kid in the key":    jwk(func(m map[string]any) { m["kid"] = "x" }),
		"alg in the key":      jwk(func(m map[string]any) { m["alg"] = "EdDSA" }),
		"use sig":             jwk(func(m map[string]any) { m["use"] = "sig" }),
		"key_ops sign":        jwk(func(m map[string]any) { m["key_ops"] = []string{"sign"} }),
		"kty EC":              jwk(func(m map[string]any) { m["kty"], m["crv"] = "EC", "P-256" }),
		"crv X25519":          jwk(func(m map[string]any) { m["crv"] = "X25519" }),
		"use enc":             jwk(func(m map[string]any) { m["use"] = "enc" }),
		"key_ops verify":      jwk(func(m map[string]any) { m["key_ops"] = []string{"verify"} }),
		"a certificate chain": jwk(func(m map[string]any) { m["x5c"] = []string{"AAAA"} }),
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			store := newMemoryStore()
			r := secondKey(t)
			secret := r["private_jwk"].(map[string]any)["d"].(string)
			spoil(r)
			store.put(t, firstRecord, r)
			refused(t, store, secret)
		})
	}
}

func TestAnotherCurveIsNamed(t *testing.T) {
	store, r := newMemoryStore(), secondKey(t)
	r["private_jwk"].(map[string]any)["crv"] = "X25519"
	store.put(t, firstRecord, r)
	_, err := token.OpenKeyring(context.Background(), store, options(startTime, rand.Reader))
	if err == nil || !strings.Contains(err.Error(), `curve "X25519"`) || !strings.Contains(err.Error(), firstRecord) {
		t.Errorf("got %v, want the record and its curve", err)
	}
}

// refused demands that store's keys are refused with an error that names the store and no secret.
func refused(t *testing.T, store *memoryStore, secret string) {
	t.Helper()
	before := maps.Clone(store.entries)
	ring, err := token.OpenKeyring(context.Background(), store, options(startTime, rand.Reader))
	if err == nil || ring != nil {
		t.Fatalf("got %v, %v, want an error", ring, err)
	}
	if !strings.Contains(err.Error(), "of the store") || strings.Contains(err.Error(), secret) {
		t.Errorf("the error %q should name the record and no secret", err)
	}
	if diff := cmp.Diff(before, store.entries); diff != "" {
		t.Errorf("the damaged keys were replaced:\n%s", diff)
	}
}

func TestBadRecordsAreRefused(t *testing.T) {
	key := secondKey(t)
	good := string(must(json.Marshal(key))(t))
	for name, value := range map[string]string{
		"empty": "", "null": "null", "list": "[]", "cut": good[:len(good)/2], "twice": good + good,
		"duplicate member":     `{"schema":2,` + good[1:],
		"duplicate in the key": strings.Replace(good, `"kty":`, `"d":"AAAA","kty":`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemoryStore()
			store.entries[firstRecord] = db.Entry{Key: firstRecord, Value: []byte(value), Revision: 1}
			refused(t, store, key["private_jwk"].(map[string]any)["d"].(string))
		})
	}
}

// TestRecordsAreNumbered: a name that is no number could not be followed by the next.
func TestRecordsAreNumbered(t *testing.T) {
	for _, name := range []string{"w/k/1", "w/k/00000000", "w/k/0000000x", "w/k/000000001", "w/k/-0000001", "w/k/"} {
		store := newMemoryStore()
		store.put(t, name, secondKey(t))
		refused(t, store, "no secret")
	}
}

func TestKeysMustNotContradictEachOther(t *testing.T) {
	key := secondKey(t)
	for name, second := range map[string]map[string]any{
		"two that sign":              secondKey(t),
		"one of unknown state":       with(secondKey(t), "state", "sleeping"),
		"one key twice":              with(maps.Clone(key), "state", "published"),
		"one key twice, one retired": with(maps.Clone(key), "state", "retired"),
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemoryStore()
			store.put(t, firstRecord, key)
			store.put(t, "w/k/00000002", second)
			refused(t, store, "no secret")
		})
	}
}

// TestApply follows a ring through changes, a damaged one among them.
func TestApply(t *testing.T) {
	f := newFixture(t, defaultConfig())
	raw := f.mustIssue(t)
	if _, why := f.verifier.Verify(raw); why != reason.OK {
		t.Fatal(why)
	}
	good, epoch := f.store.record(t, firstRecord), f.ring.Epoch()

	mustApply(t, f.ring, 2, db.Put("w/d/x", []byte("{}")), db.Delete("w/kx"))
	mustApply(t, f.ring, 2, db.Delete(firstRecord)) // known already
	if f.ring.Epoch() != epoch || f.ring.Revision() != 2 {
		t.Errorf("nothing of ours changed, but epoch %d became %d at revision %d", epoch, f.ring.Epoch(), f.ring.Revision())
	}
	for i, damage := range []db.Write{db.Put(firstRecord, []byte("{}")), db.Delete(firstRecord)} {
		if err := f.ring.Apply(db.Batch{Revision: db.Revision(3 + i), Writes: []db.Write{damage}}); err == nil {
			t.Fatal("damaged keys were taken")
		}
		for name, checked := range map[string]string{"warm": raw, "new": f.sign(f.header(), honestClaims().With("jti", `"new"`).String())} {
			if _, why := f.verifier.Verify(checked); why != reason.KeysUnavailable {
				t.Errorf("%s token without keys: got %v, want %v", name, why, reason.KeysUnavailable)
			}
		}
		if _, _, err := f.issuer.Issue(subject()); !errors.Is(err, token.ErrNoKeys) {
			t.Errorf("issuing without keys: got %v, want %v", err, token.ErrNoKeys)
		}
		if got := string(f.ring.JWKS()); got != `{"keys":[]}` {
			t.Errorf("the set without keys: %s", got)
		}
	}
	mustApply(t, f.ring, 5, put(t, firstRecord, good))
	if _, why := f.verifier.Verify(raw); why != reason.OK {
		t.Errorf("after the repair: %v", why)
	}
}

func (s *memoryStore) put(t testing.TB, name string, record map[string]any) {
	t.Helper()
	_, err := s.Commit(context.Background(), db.Txn{Writes: []db.Write{put(t, name, record)}})
	if err != nil {
		t.Fatal(err)
	}
}
