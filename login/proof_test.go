package login_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/login"
)

// deviceReads counts the reads of device records.
type deviceReads struct {
	db.Store
	n int
}

func (r *deviceReads) Get(ctx context.Context, key string) (db.Entry, error) {
	r.count(key)
	return r.Store.Get(ctx, key)
}

func (r *deviceReads) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	r.count(from)
	return r.Store.Range(ctx, from, to, limit)
}

func (r *deviceReads) count(key string) {
	if strings.HasPrefix(key, "d/") {
		r.n++
	}
}

// reading is the gate whose service reads devices through the counter.
func (g *gate) reading(t *testing.T, reads *deviceReads) *login.Service {
	t.Helper()
	o := g.with(g.hasher)
	o.Devices = registry(reads, g.index, g.clock, g.log)
	service, err := login.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// What proves no device of the named user has no device looked up, so that neither the time nor the work
// tells who has an account, or how many devices.
func TestWhatProvesNothingReadsNoDevice(t *testing.T) {
	g := newGate(t, noLimit)
	g.user(t, "alice")
	g.user(t, "bob")
	own, theirs := g.signInAs(t, "alice", "", ""), g.signInAs(t, "bob", "", "")
	reads := &deviceReads{Store: g.store}
	service := g.reading(t, reads)
	token := raw(t, own.Refresh)
	token[60] ^= 1
	for _, c := range []struct {
		name            string
		refresh, cookie string
		reads           int // for alice; none for a name that nobody has
	}{
		{"nothing", "", "", 0},
		{"nonsense", "dgr_nonsense", "nonsense", 0},
		{"nonsense of the right length", "dgr_" + strings.Repeat("A", len(own.Refresh)-len("dgr_")), strings.Repeat("A", len(own.Cookie)), 0},
		{"a forged cookie of her device", "", forged(t, own.Cookie, own.Device), 0},
		{"a forged cookie of a device of nobody", "", forged(t, own.Cookie, uuid.New()), 0},
		{"a forged token of her device", encoded(token), "", 0},
		{"another user's cookie", "", theirs.Cookie, 0},
		{"another user's refresh token", theirs.Refresh, "", 0},
		{"another user's both", theirs.Refresh, theirs.Cookie, 0},
		{"her cookie", "", own.Cookie, 1},
		{"her refresh token", own.Refresh, "", 1},
		{"her token beside another user's cookie", own.Refresh, theirs.Cookie, 1},
	} {
		for name, want := range map[string]int{"alice": c.reads, "nobody": 0} {
			reads.n = 0
			// A wrong password, because a sign-in reads all devices.
			_, err := service.SignIn(t.Context(), login.SignIn{Name: name, Password: "wrong", Client: client, Refresh: c.refresh, Cookie: c.cookie, Secure: true})
			if !errors.Is(err, login.ErrNoActiveAccount) || reads.n != want {
				t.Errorf("%s for %s: %d device records were read, want %d; %v", c.name, name, reads.n, want, err)
			}
		}
	}
}

// forged returns a cookie that names the device, with a secret of its own and a tag that was made for another.
func forged(t *testing.T, cookie string, dev uuid.UUID) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		t.Fatal(err)
	}
	copy(b, dev[:])
	b[len(dev)] ^= 1
	return base64.RawURLEncoding.EncodeToString(b)
}
