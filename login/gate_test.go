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

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/db/dbtest"
	"devicegate/device"
	"devicegate/lockout"
	"devicegate/login"
	"devicegate/password/passwordtest"
	"devicegate/place"
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

// attempt is what the journal was told of a sign-in.
type attempt struct {
	NameTried    string
	Client       login.Client
	User, Device uuid.UUID
	Reason       string
}

// journal remembers the events that it was told.
type journal struct {
	mu       sync.Mutex
	attempts []attempt
	ended    map[uuid.UUID][]device.EndReason
	others   []activity.Event
	deaf     bool // remembers nothing
}

func (j *journal) Event(e activity.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.deaf {
		return
	}
	switch e.Kind {
	case activity.SignIn:
		client := login.Client{IP: e.IP, UserAgent: e.UserAgent}
		j.attempts = append(j.attempts, attempt{NameTried: e.NameTried, Client: client, User: e.User, Device: e.Device, Reason: e.Reason})
	case activity.DeviceEnded:
		if j.ended == nil {
			j.ended = map[uuid.UUID][]device.EndReason{}
		}
		j.ended[e.Device] = append(j.ended[e.Device], endReason(e.Reason))
	default:
		j.others = append(j.others, e)
	}
}

// endReason returns the reason of a word.
func endReason(word string) device.EndReason {
	for why := device.Logout; why.String() != "unknown"; why++ {
		if why.String() == word {
			return why
		}
	}
	return 0
}

// noPlace knows no place.
type noPlace struct{}

func (noPlace) Find(netip.Addr) (place.Place, bool) { return place.Place{}, false }
func (noPlace) Ask(netip.Addr, func(place.Place))   {}

// operator is who administrates in the tests.
var operator = activity.By{Actor: activity.BySocket}

// The acts of people and admins, by who does them in the tests.

func (g *gate) EndOther(ctx context.Context, caller device.Subject, target uuid.UUID) error {
	return g.Service.EndOther(ctx, caller, target, client)
}

func (g *gate) EndOthers(ctx context.Context, caller device.Subject) (ended, kept int, err error) {
	return g.Service.EndOthers(ctx, caller, client)
}

func (g *gate) Logout(ctx context.Context, caller device.Subject) error {
	return g.Service.Logout(ctx, caller, client)
}

func (g *gate) Revoke(ctx context.Context, token string) error {
	return g.Service.Revoke(ctx, token, client)
}

func (g *gate) SetRoles(ctx context.Context, user uuid.UUID, roles []string) (login.User, error) {
	return g.UpdateUser(ctx, operator, user, login.Update{Roles: &roles})
}

func (g *gate) SetPassword(ctx context.Context, user uuid.UUID, password string) (login.User, error) {
	return g.UpdateUser(ctx, operator, user, login.Update{Password: &password})
}

func (g *gate) SetDisabled(ctx context.Context, user uuid.UUID, disabled bool) (login.User, error) {
	return g.UpdateUser(ctx, operator, user, login.Update{Disabled: &disabled})
}

func (g *gate) StartReset(ctx context.Context, user uuid.UUID) (token string, expires time.Time, err error) {
	return g.Service.StartReset(ctx, operator, user)
}

func (g *gate) Reset(ctx context.Context, token, newPassword string, check func(string) error) error {
	return g.Service.Reset(ctx, token, newPassword, client, func(_, password string) error { return check(password) })
}

func (g *gate) SweepDevices(ctx context.Context, user uuid.UUID, cutoff time.Time, dryRun bool) (int, error) {
	return g.Service.SweepDevices(ctx, operator, user, cutoff, uuid.UUID{}, dryRun)
}

// create makes an account.
func create(ctx context.Context, us *login.Users, name string, roles []string, hash string) (login.User, error) {
	return us.Create(ctx, operator, name, roles, hash)
}

// newLog returns a log of store with room for everything a test does.
func newLog(store db.Store, c *clock, random io.Reader, sink func(activity.Event)) *activity.Log {
	return activity.Open(activity.Options{Store: login.Accountable(store), Now: c.Now, Rand: random, Sink: sink})
}

// noLockout counts failures, and locks after more of them than tests make.
func noLockout(store db.Store, c *clock, users *login.Users) *lockout.Counters {
	return lockout.New(lockout.Options{
		Store: store, Now: c.Now, Threshold: 1 << 20, NameThreshold: 1 << 20, BaseDelay: time.Minute, MaxDelay: time.Hour,
		Window: 24 * time.Hour, Exists: users.Exists,
	})
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
	log      *activity.Log
	counters *lockout.Counters
	close    func()
}

var noLimit = login.Config{
	RefreshLifetime: lifetime, RefreshRotation: true, RefreshGrace: grace, ReuseKnown: true, Limits: device.Limits{Hard: 200},
}

// registry has no delays and gives every right.
func registry(store db.Store, index *device.Index, c *clock, log *activity.Log) *device.Registry {
	return &device.Registry{
		Store: store, Index: index, Now: c.Now, Keep: keep, Activity: log, CanUpdateOthers: true, CanDeleteOthers: true,
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
	g.log = newLog(g.store, c, random, g.journal.Event)
	users := &login.Users{Store: g.store, Now: c.Now, Rand: random, Activity: g.log, EncodeHeader: encodeHeader}
	g.counters = noLockout(g.store, c, users)
	g.Service, err = login.Open(ctx, g.options(users, random, cfg))
	if err != nil {
		t.Fatalf("open the service: %v", err)
	}
	if err := g.index.Follow(ctx, g.store, func(err error) { t.Errorf("the feed broke: %v", err) }); err != nil {
		t.Fatalf("follow the store: %v", err)
	}
	return g
}

// options are those of a service on the gate's store.
func (g *gate) options(users *login.Users, random io.Reader, cfg login.Config) login.Options {
	return login.Options{
		Store: g.store, Users: users, Devices: registry(g.store, g.index, g.clock, g.log),
		Passwords: g.hasher, Tokens: g.tokens, Config: cfg, Now: g.clock.Now, Rand: random,
		Activity: g.log, Lockout: g.counters, Places: noPlace{}, Lost: func(what string, err error) { panic(what + ": " + err.Error()) },
	}
}

// with are the options of another service beside the gate's, with other password hashes.
func (g *gate) with(hasher login.Passwords) login.Options {
	o := g.options(g.Users, newRandomness(3), noLimit)
	o.Devices, o.Passwords = g.Devices, hasher
	return o
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
	u, err := create(context.Background(), g.Users, name, roles, phc)
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
