package login_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

func raw(t tb, token string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "dgr_"))
	if err != nil {
		t.Fatalf("%q: %v", token, err)
	}
	return b
}

func encoded(b []byte) string { return "dgr_" + base64.RawURLEncoding.EncodeToString(b) }

// A token that this store did not make changes nothing, whatever it says: whoever knows a device_uid
// could otherwise sign its owner out.
func TestForgedTokens(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	s := g.signIn(t, "alice")
	g.refresh(t, s.Refresh)
	stranger := open(t, filepath.Join(t.TempDir(), "other.db"), noLimit, g.clock, newRandomness(9))
	defer stranger.close()
	stranger.user(t, "alice")
	foreign := raw(t, stranger.signIn(t, "alice").Refresh)
	copy(foreign, s.Device[:])

	good := s.Refresh
	body := strings.TrimPrefix(good, "dgr_")
	forged := map[string]string{
		"empty":                      "",
		"only the prefix":            "dgr_",
		"no prefix":                  body,
		"another prefix":             "dgx_" + body,
		"the prefix in capitals":     "DGR_" + body,
		"the prefix twice":           "dgr_" + good,
		"cut":                        good[:len(good)-1],
		"one more":                   good + "A",
		"padded":                     good + "=",
		"padded to four":             good + "==",
		"a space before":             " " + good,
		"a line break behind":        good + "\n",
		"a line break inside":        good[:20] + "\n" + good[20:],
		"a line break for a letter":  good[:20] + "\n" + good[21:],
		"another store's key":        stranger.signIn(t, "alice").Refresh,
		"another store's key, ours":  encoded(foreign),
		"the device_uid and nothing": encoded(append(s.Device[:], make([]byte, 48)...)),
		"the device_uid alone":       encoded(s.Device[:]),
	}
	for i := range raw(t, good) {
		b := raw(t, good)
		b[i] ^= 1
		forged["byte "+hex.EncodeToString([]byte{byte(i)})+" flipped"] = encoded(b)
	}
	swap := strings.NewReplacer("-", "+", "_", "/")
	if std := "dgr_" + swap.Replace(body); std != good {
		forged["standard base64"] = std
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i, c := range []byte(body) { // every letter by its neighbour, also where only unused bits change
		next := alphabet[(strings.IndexByte(alphabet, c)+1)%64]
		forged["letter "+string(alphabet[i%64])+hex.EncodeToString([]byte{byte(i)})] = "dgr_" + body[:i] + string(next) + body[i+1:]
	}
	_, before, err := g.store.Range(t.Context(), "", "", 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range forged {
		if got, err := g.Refresh(t.Context(), token, client); got != (login.Session{}) || !errors.Is(err, login.ErrTokenNotValid) {
			t.Errorf("%s: Refresh = %+v, %v, want ErrTokenNotValid", name, got, err)
		}
		if err := g.VerifyRefresh(t.Context(), token); !errors.Is(err, login.ErrTokenNotValid) {
			t.Errorf("%s: VerifyRefresh = %v, want ErrTokenNotValid", name, err)
		}
		if err := g.Revoke(t.Context(), token); err != nil {
			t.Errorf("%s: Revoke = %v, want nil", name, err)
		}
	}
	if _, after, err := g.store.Range(t.Context(), "", "", 1); err != nil || after != before {
		t.Errorf("the store went from revision %d to %d, %v", before, after, err)
	}
	g.want(t, u, s, reason.OK)
	g.refresh(t, good)
}

// Whoever reads the store or a backup of it finds no refresh token: neither its text nor its secret.
func TestOnlyHashesAreKept(t *testing.T) {
	g := newGate(t, noLimit)
	g.user(t, "alice")
	s := g.signIn(t, "alice")
	var needles [][]byte
	for range 3 {
		b := raw(t, s.Refresh)
		for _, part := range [][]byte{[]byte(s.Refresh[4:]), b[20:52], b[52:]} {
			needles = append(needles, part, []byte(hex.EncodeToString(part)), []byte(base64.StdEncoding.EncodeToString(part)), []byte(base64.RawURLEncoding.EncodeToString(part)))
		}
		s = g.refresh(t, s.Refresh)
	}
	needles = append(needles, []byte(secret))
	entries := 0
	_, err := db.Each(t.Context(), g.store, "", func(e db.Entry) error {
		entries++
		for _, n := range needles {
			if bytes.Contains(e.Value, n) || strings.Contains(e.Key, string(n)) {
				t.Errorf("the record %q holds part of a secret", e.Key)
			}
		}
		return nil
	})
	if err != nil || entries < 6 {
		t.Fatalf("%d records were read, %v: this proves nothing", entries, err)
	}
}

// The first tokens of all devices differ, and no successor tells the one after it without the key.
func TestTokensDiffer(t *testing.T) {
	g := newGate(t, noLimit)
	g.user(t, "alice")
	secrets := map[string]bool{}
	for range 20 {
		s := g.signIn(t, "alice")
		for range 3 {
			b := raw(t, s.Refresh)
			if id, _ := uuid.FromBytes(b[:16]); id != s.Device {
				t.Errorf("the token of %v says %v", s.Device, id)
			}
			if secrets[string(b[20:52])] {
				t.Error("two tokens have one secret")
			}
			secrets[string(b[20:52])] = true
			s = g.refresh(t, s.Refresh)
		}
	}
}

// The key is made once, whoever comes first, and a damaged one is refused: with a new one every client
// would be signed out in silence.
func TestRefreshKey(t *testing.T) {
	store := dbtest.New(t)
	service := func(seed byte) error {
		_, err := login.Open(t.Context(), login.Options{Store: store, Rand: newRandomness(seed)})
		return err
	}
	key := func() string {
		e, err := store.Get(t.Context(), "m/refresh_key")
		if err != nil {
			t.Fatal(err)
		}
		return string(e.Value)
	}
	if err := service(1); err != nil {
		t.Fatal(err)
	}
	first := key()
	if err := service(2); err != nil || key() != first || len(first) != 32 {
		t.Errorf("the second opening: %v, a key of %d bytes, the same: %v", err, len(first), key() == first)
	}
	dbtest.MustPut(t, store, "m/refresh_key", first[:31])
	if err := service(3); err == nil || key() != first[:31] {
		t.Errorf("a cut key: %v, want an error", err)
	}
	empty := bytes.NewReader(nil)
	if _, err := login.Open(t.Context(), login.Options{Store: dbtest.New(t), Rand: empty}); err == nil {
		t.Error("a key was made of no randomness")
	}
}

func FuzzRefreshToken(f *testing.F) {
	for _, seed := range []string{"", "dgr_", "dgr_AAAA", encoded(make([]byte, 64)), encoded(make([]byte, 65)), "dgr_" + strings.Repeat("\n", 86)} {
		f.Add(seed)
	}
	store := dbtest.New(f)
	index := device.NewIndex(keep, device.IPChange{})
	service, err := login.Open(f.Context(), login.Options{
		Store: store, Devices: &device.Registry{Store: store, Index: index}, Config: noLimit, Rand: newRandomness(1),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if err := service.VerifyRefresh(t.Context(), token); !errors.Is(err, login.ErrTokenNotValid) {
			t.Errorf("VerifyRefresh(%q) = %v, want ErrTokenNotValid", token, err)
		}
		if err := service.Revoke(t.Context(), token, client); err != nil {
			t.Errorf("Revoke(%q) = %v, want nil", token, err)
		}
	})
}
