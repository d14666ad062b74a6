package authztest

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/authz"
	"devicegate/db/dbtest"
	"devicegate/device"
	"devicegate/login"
	"devicegate/token"
)

// now is the moment at which every question is asked.
var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const (
	keep     = time.Hour
	lifetime = 15 * time.Minute
)

// Person is a user with one device.
type Person struct {
	User    login.User
	Device  uuid.UUID
	Token   string // a good one, issued now
	Encoded string // the name as headers carry it
}

// World is who may ask. Its fields are not to be changed.
type World struct {
	Anna     Person // role staff
	Bob      Person // no role
	Zoe      Person // a name that headers cannot carry as it is
	Longest  Person // as much name and roles as an account may have
	Ended    Person // logged out
	Replaced Person // put out by a sign-in elsewhere
	Misused  Person // ended for a refresh token used twice
	Disabled Person // the user is disabled
	Both     Person // logged out first and the user disabled then

	Tokens Tokens

	index    *device.Index
	verifier *token.Verifier
	keys     *token.Keyring
}

// Tokens are tokens of Anna with one thing wrong each.
type Tokens struct {
	Expired, NotYet, TooLong, Audience, Issuer, Signature, Cut string
	ExpiredEnded                                               string // expired, of a device that has ended as well
	Swapped                                                    string // of Anna, for Bob's device
	NoDevice                                                   string // for a device that never was
}

// maker makes the people of a world.
type maker struct {
	tb       testing.TB
	users    *login.Users
	registry *device.Registry
	keys     *token.Keyring
}

// operator is who makes and ends them.
var operator = activity.By{Actor: activity.BySocket}

func config() token.Config {
	return token.Config{Issuer: "devicegate", Audience: "devicegate", AccessLifetime: lifetime, Leeway: 5 * time.Second}
}

func clock() time.Time { return now }

// NewWorld makes a world that lives as long as the test.
func NewWorld(tb testing.TB) *World {
	tb.Helper()
	store := dbtest.New(tb)
	keys, err := token.OpenKeyring(tb.Context(), store, token.Options{Now: clock, Rand: rand.Reader, AccessLifetime: lifetime, Leeway: 5 * time.Second})
	must(tb, err)
	w := &World{index: device.NewIndex(keep, device.IPChange{}), keys: keys}
	w.verifier, err = token.NewVerifier(config(), keys, clock)
	must(tb, err)
	// The feed ends with the test's store; ended too early it would answer store_unavailable.
	must(tb, w.index.Follow(tb.Context(), store, func(error) {}))
	log := activity.Open(activity.Options{Store: store, Now: clock, Rand: rand.Reader})
	m := maker{
		tb: tb, keys: keys,
		users:    &login.Users{Store: store, Now: clock, Rand: rand.Reader, Activity: log, EncodeHeader: authz.EncodeValue},
		registry: &device.Registry{Store: store, Index: w.index, Now: clock, Keep: keep, Activity: log},
	}
	m.people(w)
	m.tokens(w)
	return w
}

func (m maker) people(w *World) {
	w.Anna = m.person("anna", "anna", "staff", "team.blue")
	w.Bob = m.person("bob", "bob")
	w.Zoe = m.person("Zoë, 100% <b>", "Zo%C3%AB%2C 100%25 <b>", "reader")
	name, roles := longest()
	w.Longest = m.person(name, strings.Repeat("%E5%AD%97", 100), roles...)
	w.Ended, w.Replaced, w.Misused = m.person("ended", "ended"), m.person("replaced", "replaced"), m.person("misused", "misused")
	m.end(w.Ended, device.Logout)
	m.end(w.Replaced, device.Replaced)
	m.end(w.Misused, device.RefreshReuse)
	w.Disabled, w.Both = m.person("disabled", "disabled"), m.person("both", "both")
	m.end(w.Both, device.Logout)
	m.disable(w.Disabled)
	m.disable(w.Both)
}

// longest returns a name and roles that take 1,000 bytes in headers, which is all that an account may have.
func longest() (name string, roles []string) {
	name = strings.Repeat("字", 100) // 9 bytes each once encoded
	return name, []string{strings.Repeat("r", 49), strings.Repeat("s", 50)}
}

func (m maker) person(name, encoded string, roles ...string) Person {
	m.tb.Helper()
	u, err := m.users.Create(m.tb.Context(), operator, name, roles, "")
	must(m.tb, err)
	rec, err := m.registry.Add(m.tb.Context(), device.New{
		UID: uuid.New(), User: u.ID, Generation: u.Generation,
		Expires: func(signedIn time.Time) time.Time { return signedIn.Add(30 * 24 * time.Hour) },
		Issue:   func(uuid.UUID, uint32) ([]byte, []byte, error) { return make([]byte, 32), nil, nil },
		Event:   func(device.Record) activity.Event { return operator.Event(activity.SignIn, login.SignedIn) },
	}, device.Limit{Count: 10}, noGuard)
	must(m.tb, err)
	p := Person{User: u, Device: rec.UID, Encoded: encoded}
	p.Token = m.issue(config(), now, p.User.ID, p.Device)
	return p
}

func (m maker) end(p Person, why device.EndReason) {
	m.tb.Helper()
	must(m.tb, m.registry.End(m.tb.Context(), p.User.ID, p.Device, device.Cause{Why: why, By: operator}))
}

func (m maker) disable(p Person) {
	m.tb.Helper()
	yes := true
	service := login.Service{Users: m.users, Devices: m.registry}
	_, err := service.UpdateUser(m.tb.Context(), operator, p.User.ID, login.Update{Disabled: &yes})
	must(m.tb, err)
}

func (m maker) tokens(w *World) {
	anna, dev := w.Anna.User.ID, w.Anna.Device
	odd := func(change func(*token.Config), at time.Time) string {
		cfg := config()
		change(&cfg)
		return m.issue(cfg, at, anna, dev)
	}
	same := func(*token.Config) {}
	w.Tokens = Tokens{
		Expired:      odd(same, now.Add(-lifetime)),
		NotYet:       odd(same, now.Add(time.Minute)),
		TooLong:      odd(func(c *token.Config) { c.AccessLifetime = 2 * lifetime }, now),
		Audience:     odd(func(c *token.Config) { c.Audience = "another" }, now),
		Issuer:       odd(func(c *token.Config) { c.Issuer = "another" }, now),
		Signature:    w.Anna.Token[:strings.LastIndexByte(w.Anna.Token, '.')] + w.Bob.Token[strings.LastIndexByte(w.Bob.Token, '.'):],
		Cut:          w.Anna.Token[:len(w.Anna.Token)-3],
		ExpiredEnded: m.issue(config(), now.Add(-lifetime), w.Ended.User.ID, w.Ended.Device),
		Swapped:      m.issue(config(), now, anna, w.Bob.Device),
		NoDevice:     m.issue(config(), now, anna, uuid.New()),
	}
}

func (m maker) issue(cfg token.Config, at time.Time, user, dev uuid.UUID) string {
	m.tb.Helper()
	issuer, err := token.NewIssuer(cfg, m.keys, func() time.Time { return at }, rand.Reader)
	must(m.tb, err)
	raw, _, err := issuer.Issue(token.Subject{User: user, Device: dev, Username: "not what the gate reads"})
	must(m.tb, err)
	return raw
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
