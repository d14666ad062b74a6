package login_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/db/dbtest"
	"devicegate/device"
	"devicegate/login"
	"devicegate/password/passwordtest"
	"devicegate/reason"
)

const (
	keep     = 15 * time.Minute
	lifetime = 30 * 24 * time.Hour
	grace    = 30 * time.Second
	secret   = "correct horse battery"
)

var client = login.Client{IP: netip.MustParseAddr("192.0.2.7"), UserAgent: "test/1"}

// clock stands still until it is moved.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC).UnixMilli())
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMilli(c.ms.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// randomness is the same in every run.
type randomness struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func (r *randomness) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.Read(b)
}

func newRandomness(seed byte) io.Reader { return &randomness{src: rand.NewChaCha8([32]byte{seed})} }

// tokens is an issuer whose tokens say whose they are.
type tokens struct{ err error }

func (f *tokens) Issue(s device.Subject) (string, time.Duration, error) {
	return fmt.Sprintf("access %v %d", s.Device, s.Generation), keep, f.err
}

// journal remembers what it was told.
type journal struct {
	mu       sync.Mutex
	attempts []login.Attempt
	ended    map[uuid.UUID][]device.EndReason
}

func (j *journal) SignIn(a login.Attempt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.attempts = append(j.attempts, a)
}

func (j *journal) Ended(_, uid uuid.UUID, why device.EndReason) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended == nil {
		j.ended = map[uuid.UUID][]device.EndReason{}
	}
	j.ended[uid] = append(j.ended[uid], why)
}

// tb is what *testing.T and *rapid.T have in common and the helpers need.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// gate is the whole sign-in on a real store.
type gate struct {
	*login.Service
	store *dbtest.Faulty
	// breaking is below store and breaks at a given commit.
	breaking *breaking
	index    *device.Index
	clock    *clock
	hasher   *passwordtest.Hasher
	tokens   *tokens
	journal  *journal
	close    func()
}

var noLimit = login.Config{
	RefreshLifetime: lifetime, RefreshRotation: true, RefreshGrace: grace, ReuseKnown: true, Limits: device.Limits{Hard: 200},
}

// registry has no delays and gives every right.
func registry(store db.Store, index *device.Index, c *clock) *device.Registry {
	return &device.Registry{
		Store: store, Index: index, Now: c.Now, Keep: keep, CanUpdateOthers: true, CanDeleteOthers: true,
		Rules: device.Rules{AllowDelete: true, AllowUpdate: true},
	}
}

// within returns noLimit with a limit.
func within(n int) login.Config {
	c := noLimit
	c.Limits.Max = n
	return c
}

// encodeHeader percent-encodes what is not plain ASCII.
func encodeHeader(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e || s[i] == '%' || s[i] == ',' {
			fmt.Fprintf(&b, "%%%02X", s[i])
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// open returns a gate on the store at path, which is made when missing.
func open(t tb, path string, cfg login.Config, c *clock, random io.Reader) *gate {
	t.Helper()
	file, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	inner := &breaking{Store: file}
	g := &gate{
		store: dbtest.NewFaulty(inner), breaking: inner, index: device.NewIndex(keep, device.IPChange{}), clock: c,
		hasher: &passwordtest.Hasher{}, tokens: &tokens{}, journal: &journal{},
		close: func() { cancel(); _ = file.Close() }, // a second time it is closed already
	}
	g.Service, err = login.Open(ctx, login.Options{
		Store:     g.store,
		Users:     &login.Users{Store: g.store, Now: c.Now, Rand: random, EncodeHeader: encodeHeader},
		Devices:   registry(g.store, g.index, c),
		Passwords: g.hasher, Tokens: g.tokens, Config: cfg, Now: c.Now, Rand: random, Journal: g.journal,
	})
	if err != nil {
		t.Fatalf("open the service: %v", err)
	}
	if err := g.index.Follow(ctx, g.store, func(err error) { t.Errorf("the feed broke: %v", err) }); err != nil {
		t.Fatalf("follow the store: %v", err)
	}
	return g
}

func newGate(t *testing.T, cfg login.Config) *gate {
	t.Helper()
	g := open(t, filepath.Join(t.TempDir(), "test.db"), cfg, newClock(), newRandomness(1))
	t.Cleanup(g.close)
	return g
}

// user makes an account whose password is secret.
func (g *gate) user(t tb, name string, roles ...string) login.User {
	t.Helper()
	phc, err := (&passwordtest.Hasher{}).Hash(context.Background(), secret)
	if err != nil {
		t.Fatalf("hash: %v", err)
	}
	u, err := g.Users.Create(context.Background(), name, roles, phc)
	if err != nil {
		t.Fatalf("create the user %q: %v", name, err)
	}
	return u
}

func (g *gate) trySignIn(name string) (login.Session, error) {
	return g.SignIn(context.Background(), login.SignIn{Name: name, Password: secret, DeviceName: "a phone", Client: client})
}

func (g *gate) signIn(t tb, name string) login.Session {
	t.Helper()
	s, err := g.trySignIn(name)
	if err != nil {
		t.Fatalf("sign %q in: %v", name, err)
	}
	return s
}

func (g *gate) refresh(t tb, token string) login.Session {
	t.Helper()
	s, err := g.Refresh(context.Background(), token, client)
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	return s
}

func (g *gate) disable(t tb, u login.User, disabled bool) {
	t.Helper()
	if _, err := g.SetDisabled(context.Background(), u.ID, disabled); err != nil {
		t.Fatalf("disable: %v", err)
	}
}

// caller is who acts with the access token of a session.
func caller(u login.User, s login.Session) device.Subject {
	sub := device.Subject{User: u.ID}
	var uid string
	if _, err := fmt.Sscanf(s.Access, "access %s %d", &uid, &sub.Generation); err != nil {
		panic(err)
	}
	sub.Device = uuid.MustParse(uid)
	return sub
}

// use is a use of the session's access token, now, from nowhere known.
func (g *gate) use(u login.User, s login.Session) device.Use {
	c := caller(u, s)
	return device.Use{User: c.User, Device: c.Device, Generation: c.Generation, At: g.clock.Now()}
}

// check is what a check of the session's device answers now, without a trace.
func (g *gate) check(u login.User, s login.Session) reason.Reason {
	_, why := g.index.Peek(g.use(u, s))
	return why
}

func (g *gate) want(t tb, u login.User, s login.Session, want reason.Reason) {
	t.Helper()
	if got := g.check(u, s); got != want {
		t.Errorf("the check answers %v, want %v", got, want)
	}
}

// wantRefused checks that err refuses in the word of a check.
func wantRefused(t tb, err error, want reason.Reason) {
	t.Helper()
	var refused *login.RefusedError
	if !errors.As(err, &refused) || refused.Reason != want {
		t.Errorf("error = %v, want refused: %v", err, want)
	}
}

func (g *gate) live(t tb, u login.User) []device.Record {
	t.Helper()
	recs, err := g.Devices.List(context.Background(), u.ID)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	return recs
}
