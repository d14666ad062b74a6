package login_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
	"devicegate/identity"
	"devicegate/login"
	"devicegate/reason"
	"devicegate/token/foreign"
)

const tokenLife = time.Hour // of the issuer's access tokens

// abroad is a user of the issuer "django" with one of his devices, as his tokens say.
type abroad struct {
	User, Device uuid.UUID
	Owner, Name  string
	Roles        []string
	Register     int
	ID           string // of the refresh token
}

// from returns a user who is registered at first sight, with a new device.
func from(id, name string, roles ...string) abroad {
	owner := foreign.Owner("django", id)
	if name == "" {
		name = owner
	}
	return abroad{User: foreign.UserID(owner), Device: uuid.New(), Owner: owner, Name: name, Roles: roles, Register: 20, ID: uuid.NewString()}
}

// another is another device of the same user.
func (p abroad) another() abroad {
	p.Device, p.ID = uuid.New(), uuid.NewString()
	return p
}

func (p abroad) identity() *identity.Foreign {
	return &identity.Foreign{
		Issuer: "django", Owner: p.Owner, Name: p.Name, Roles: p.Roles, Register: p.Register, Lifetime: tokenLife,
		Keys: [2]identity.NameKey{login.ForeignNameKey(p.Name), login.ForeignNameKey(p.Owner)},
	}
}

// refresh is his refresh token.
func (p abroad) refresh() string {
	b, _ := json.Marshal(p) // plain values
	return string(b)
}

// issuers believes every refresh token that these tests make.
type issuers struct{}

func (issuers) Refresh(raw string) (login.ForeignSession, reason.Reason) {
	var p abroad
	if json.Unmarshal([]byte(raw), &p) != nil {
		return login.ForeignSession{}, reason.TokenUnverified
	}
	return login.ForeignSession{User: p.User, Device: p.Device, Generation: 1, Identity: p.identity(), ID: sha256.Sum256([]byte(p.ID))}, reason.OK
}

// newForeignGate is a gate that exchanges the refresh tokens of an issuer.
func newForeignGate(t *testing.T) *gate {
	t.Helper()
	g := newGate(t, noLimit)
	g.index.AcceptForeign(device.ForeignRules{Keep: tokenLife, Lifetime: 365 * 24 * time.Hour, NameKey: login.ForeignNameKey})
	o := g.options(g.Users, newRandomness(7), noLimit)
	o.Foreign, o.Devices.Accounts = issuers{}, g.Users
	var err error
	if g.Service, err = login.Open(t.Context(), o); err != nil {
		t.Fatalf("open the service: %v", err)
	}
	return g
}

// shows is a check by p's access token.
func (g *gate) shows(p abroad) reason.Reason {
	_, why := g.index.Check(device.Use{User: p.User, Device: p.Device, Generation: 1, At: g.clock.Now(), Foreign: p.identity()})
	return why
}

func (g *gate) wantShown(t *testing.T, want reason.Reason, people ...abroad) {
	t.Helper()
	for i, p := range people {
		if why := g.shows(p); why != want {
			t.Errorf("the issuer's token %d is answered %v, want %v", i, why, want)
		}
	}
}

func (g *gate) exchange(t *testing.T, p abroad) login.Session {
	t.Helper()
	return g.refresh(t, p.refresh())
}

func (g *gate) tryExchange(p abroad) error {
	_, err := g.Refresh(context.Background(), p.refresh(), client)
	return err
}

// account returns p's account.
func (g *gate) account(t *testing.T, p abroad) login.User {
	t.Helper()
	u, err := g.Users.ByID(t.Context(), p.User)
	if err != nil {
		t.Fatalf("the account: %v", err)
	}
	return u
}

func TestForeignExchange(t *testing.T) {
	g, p := newForeignGate(t), from("7", "Åse", "staff")
	s := g.exchange(t, p)
	u := g.account(t, p)
	if s.Device != p.Device || u.Name != "Åse" || !slices.Equal(u.Roles, []string{"staff"}) || u.Issuer != "django" || u.MovedAt.IsZero() {
		t.Errorf("the session is of device %v, the account %+v", s.Device, u)
	}
	subject, why := g.index.Peek(g.use(u, s))
	want := device.Subject{User: p.User, Device: p.Device, Generation: 1, Name: "Åse", Roles: []string{"staff"}, Since: g.clock.Now()}
	if diff := cmp.Diff(want, subject); why != reason.OK || diff != "" {
		t.Errorf("our token is answered %v, subject (-want +got):\n%s", why, diff)
	}
	g.wantShown(t, reason.OK, p) // theirs goes on to be good for its time
	next := g.refresh(t, s.Refresh)
	if err := g.VerifyRefresh(t.Context(), next.Refresh); err != nil || next.Refresh == s.Refresh {
		t.Errorf("after a rotation the next token is answered %v", err)
	}
	g.clock.Advance(2 * grace)
	_, err := g.Refresh(t.Context(), s.Refresh, client)
	wantRefused(t, err, reason.DeviceCompromised) // like that of any device
	g.wantShown(t, reason.DeviceCompromised, p)
	g.clock.Advance(2 * tokenLife)
	g.wantShown(t, reason.DeviceNotRecognized, p)
	wantRefused(t, g.tryExchange(p), reason.DeviceNotRecognized)
}

func TestForeignExchangeOnce(t *testing.T) {
	g, p := newForeignGate(t), from("7", "")
	var crowd sync.WaitGroup
	pairs := make(chan login.Session, 32)
	for range 32 {
		crowd.Go(func() {
			s, err := g.Refresh(context.Background(), p.refresh(), client)
			switch {
			case err == nil:
				pairs <- s
			case !errors.Is(err, login.ErrTokenNotValid):
				t.Errorf("one of many is answered %v, want %v", err, login.ErrTokenNotValid)
			}
		})
	}
	crowd.Wait()
	if len(pairs) != 1 {
		t.Fatalf("%d pairs were made of one token, want one", len(pairs))
	}
	s, u := <-pairs, g.account(t, p)
	g.want(t, u, s, reason.OK)
	g.refresh(t, s.Refresh)
	g.clock.Advance(grace)
	if err := g.tryExchange(p); !errors.Is(err, login.ErrTokenNotValid) {
		t.Errorf("the same token inside the grace is answered %v, want %v", err, login.ErrTokenNotValid)
	}
	g.want(t, u, s, reason.OK)
	other := p
	other.ID = "another token of the same device"
	g.clock.Advance(time.Minute)
	if err := g.tryExchange(other); !errors.Is(err, login.ErrTokenNotValid) {
		t.Errorf("another token of the device is answered %v, want %v", err, login.ErrTokenNotValid)
	}
	g.want(t, u, s, reason.OK)
	wantRefused(t, g.tryExchange(p), reason.DeviceCompromised)
	g.want(t, u, s, reason.DeviceCompromised)
	if ended := g.journal.ended[p.Device]; !slices.Equal(ended, []device.EndReason{device.RefreshReuse}) {
		t.Errorf("the device ended as %v, want once as %v", ended, device.RefreshReuse)
	}
	g.exchange(t, p.another()) // the user's others live
}

func TestForeignExchangeRefused(t *testing.T) {
	g := newForeignGate(t)
	p := from("7", "")
	p.Register = 0
	wantRefused(t, g.tryExchange(p), reason.DeviceNotRecognized)
	n := device.Registration{User: p.User, Device: p.Device, Issuer: "django", Owner: p.Owner, Limit: 200}
	if _, err := g.Devices.Register(t.Context(), n, operator); err != nil {
		t.Fatal(err)
	}
	g.exchange(t, p)

	ended := from("8", "")
	g.wantShown(t, reason.OK, ended)
	if err := g.EndDevice(t.Context(), operator, ended.User, ended.Device); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, g.tryExchange(ended), reason.DeviceNotRecognized)

	disabled := from("9", "")
	g.exchange(t, disabled)
	g.disable(t, g.account(t, disabled), true)
	wantRefused(t, g.tryExchange(disabled), reason.InactiveAccount)
	wantRefused(t, g.tryExchange(disabled.another()), reason.DeviceNotRecognized)

	g.user(t, "alice")
	taken := from("10", "ALICE")
	wantRefused(t, g.tryExchange(taken), reason.TokenUnverified)
	_, err := g.Refresh(t.Context(), "nonsense", client)
	wantRefused(t, err, reason.TokenUnverified)
	if _, err := g.Refresh(t.Context(), "dgr_nonsense", client); !errors.Is(err, login.ErrTokenNotValid) {
		t.Errorf("what looks like one of ours is answered %v", err)
	}
}

// Name and roles are the token's at the first exchange; from then on they are changed here.
func TestForeignMovesInOnce(t *testing.T) {
	g, p := newForeignGate(t), from("7", "Åse", "staff")
	waiting := p.another()
	g.wantShown(t, reason.OK, waiting)
	g.exchange(t, p)
	later := p.another()
	later.Name, later.Roles = "Bo", []string{"boss"}
	g.exchange(t, later)
	if u := g.account(t, p); u.Name != "Åse" || !slices.Equal(u.Roles, []string{"staff"}) {
		t.Errorf("after another exchange the account is %+v", u)
	}
	if _, err := g.SetRoles(t.Context(), p.User, []string{"night"}); err != nil {
		t.Fatal(err)
	}
	s := g.exchange(t, p.another())
	if u := g.account(t, p); !slices.Equal(u.Roles, []string{"night"}) {
		t.Errorf("an exchange after an admin's change makes the roles %v", u.Roles)
	}
	if subject, _ := g.index.Peek(g.use(g.account(t, p), s)); !slices.Equal(subject.Roles, []string{"night"}) {
		t.Errorf("our token passes with the roles %v", subject.Roles)
	}
	g.wantShown(t, reason.OK, p, waiting, later, p.another()) // the name is his own
	g.wantShown(t, reason.OK, from("8", "åse"))               // and shuts no other one out
	if _, err := create(t.Context(), g.Users, "ÅSE", nil, "hash"); !errors.Is(err, login.ErrUserExists) {
		t.Errorf("a local user of that name: %v, want %v", err, login.ErrUserExists)
	}
}

// Two devices of one user exchange at the same moment: he moves in once.
func TestForeignMovesInAtOnce(t *testing.T) {
	g := newForeignGate(t)
	for i := range 10 {
		p := from(string(rune('a'+i)), "name"+string(rune('a'+i)), "staff")
		var crowd sync.WaitGroup
		for range 4 {
			crowd.Go(func() {
				if err := g.tryExchange(p.another()); err != nil {
					t.Errorf("exchange: %v", err)
				}
			})
		}
		crowd.Wait()
		if u := g.account(t, p); u.Name != p.Name || len(g.live(t, u)) != 4 {
			t.Errorf("the account is %+v with %d devices, want 4", u, len(g.live(t, u)))
		}
		if u, err := g.Users.ByName(t.Context(), p.Owner); err != nil || u.ID != p.User {
			t.Errorf("the name before leads to %v, %v, want the same account", u.ID, err)
		}
	}
}

// interrupted is an issuer of tokens during whose first one something else happens.
type interrupted struct {
	*tokens
	once   sync.Once
	happen func()
}

func (i *interrupted) Issue(s device.Subject) (string, time.Duration, error) {
	i.once.Do(i.happen)
	return i.tokens.Issue(s)
}

// A local user gets the name between the check and the commit of an exchange: who was first has it.
func TestForeignNameTakenWhileExchanged(t *testing.T) {
	g, p := newForeignGate(t), from("7", "Åse")
	g.wantShown(t, reason.OK, p)
	o := g.options(g.Users, newRandomness(8), noLimit)
	o.Foreign, o.Devices, o.Tokens = issuers{}, g.Devices, &interrupted{tokens: g.tokens, happen: func() { g.user(t, "åse") }}
	var err error
	if g.Service, err = login.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, g.tryExchange(p), reason.TokenUnverified)
	wantRefused(t, g.tryExchange(p), reason.TokenUnverified) // by the check
	if u := g.account(t, p); u.Name != p.Owner || !u.MovedAt.IsZero() {
		t.Errorf("the account is %+v, want it as it was", u)
	}
}

// An account that came by an exchange has no password until an admin lets its user set one.
func TestForeignAccountHasNoPassword(t *testing.T) {
	g, p := newForeignGate(t), from("7", "Åse")
	s := g.exchange(t, p)
	u := g.account(t, p)
	for _, password := range []string{"", secret} {
		in := login.SignIn{Name: "Åse", Password: password, Client: client, Refresh: s.Refresh}
		if _, err := g.SignIn(t.Context(), in); !errors.Is(err, login.ErrNoActiveAccount) {
			t.Errorf("a sign-in with %q = %v, want %v", password, err, login.ErrNoActiveAccount)
		}
		if err := g.ChangePassword(t.Context(), caller(u, s), password, secret+"2", client); !errors.Is(err, login.ErrWrongPassword) {
			t.Errorf("a new password instead of %q = %v, want %v", password, err, login.ErrWrongPassword)
		}
	}
	g.want(t, u, s, reason.OK)
	token, _, err := g.StartReset(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Reset(t.Context(), token, secret, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	g.want(t, u, s, reason.DeviceNotRecognized)
	g.wantShown(t, reason.DeviceNotRecognized, p)
	own := g.signIn(t, "åse")
	if own.Device == p.Device {
		t.Error("a sign-in brings an ended device back")
	}
	g.want(t, u, own, reason.OK)
	if rec := g.live(t, u); len(rec) != 1 || rec[0].Issuer != "" {
		t.Errorf("devices = %+v, want one of our own", rec)
	}
	g.wantShown(t, reason.OK, p.another()) // the issuer's go on to be let in
}

// A sign-in that proves a foreign device ends the issuer's tokens of it, as it ends our own.
func TestForeignKnownDeviceSignsIn(t *testing.T) {
	g, p := newForeignGate(t), from("7", "Åse")
	g.exchange(t, p)
	if _, err := g.SetPassword(t.Context(), p.User, secret); err != nil { // ends it
		t.Fatal(err)
	}
	p = p.another()
	s, u := g.exchange(t, p), g.account(t, p)
	again, err := g.SignIn(t.Context(), login.SignIn{Name: "Åse", Password: secret, Client: client, Refresh: s.Refresh})
	if err != nil || again.Device != p.Device {
		t.Fatalf("a sign-in on the device = %v, %v", again.Device, err)
	}
	g.want(t, u, again, reason.OK)
	g.want(t, u, s, reason.DeviceNotRecognized)
	g.wantShown(t, reason.DeviceNotRecognized, p)
	g.clock.Advance(2 * grace)
	wantRefused(t, g.tryExchange(p), reason.DeviceNotRecognized) // and it ends nothing
	g.want(t, u, again, reason.OK)
	if err := g.Logout(t.Context(), caller(u, again)); err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(100 * 24 * time.Hour)
	if _, err := g.Devices.Forget(t.Context(), 50); err != nil {
		t.Fatal(err)
	}
	g.wantShown(t, reason.DeviceNotRecognized, p) // for good
}

// RFC 7009 with a refresh token of theirs: the device is gone for good, also one that nobody has seen.
func TestForeignRevoke(t *testing.T) {
	g := newForeignGate(t)
	unseen, waiting, exchanged, unknown := from("7", ""), from("8", ""), from("9", ""), from("10", "")
	unknown.Register = 0
	g.wantShown(t, reason.OK, waiting)
	s := g.exchange(t, exchanged)
	for _, p := range []abroad{unseen, waiting, exchanged, unknown} {
		for range 2 {
			if err := g.Revoke(t.Context(), p.refresh()); err != nil {
				t.Errorf("revoke = %v", err)
			}
		}
		g.wantShown(t, reason.DeviceNotRecognized, p)
		wantRefused(t, g.tryExchange(p), reason.DeviceNotRecognized)
	}
	g.want(t, g.account(t, exchanged), s, reason.DeviceNotRecognized)
	if err := g.Revoke(t.Context(), "nonsense"); err != nil {
		t.Errorf("revoking what nobody made = %v", err)
	}
	for p, want := range map[*abroad][]device.EndReason{&unseen: {device.Logout}, &unknown: {device.Logout}} {
		if got := g.journal.ended[p.Device]; !slices.Equal(got, want) {
			t.Errorf("the device of %s ended as %v, want %v", p.Owner, got, want)
		}
	}
}

// While the store takes no writes nothing is exchanged, and nothing used up.
func TestForeignExchangeAndFaults(t *testing.T) {
	g, p := newForeignGate(t), from("7", "Åse")
	g.store.FailCommits(db.ErrUnavailable, false)
	if err := g.tryExchange(p); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("exchange = %v, want %v", err, db.ErrUnavailable)
	}
	if err := g.Revoke(t.Context(), p.another().refresh()); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("an end that is not written is acknowledged: %v", err)
	}
	g.store.FailCommits(nil, false)
	g.tokens.err = errors.New("no key")
	if err := g.tryExchange(p); !errors.Is(err, g.tokens.err) {
		t.Errorf("exchange = %v, want %v", err, g.tokens.err)
	}
	g.tokens.err = nil
	s := g.exchange(t, p)
	g.want(t, g.account(t, p), s, reason.OK)
	var reasons []string
	for _, a := range g.journal.attempts {
		if a.Device == p.Device {
			reasons = append(reasons, a.Reason)
		}
	}
	if !slices.Equal(reasons, []string{device.FirstSight, login.Exchanged}) {
		t.Errorf("events of the device = %q, want its first sight and its exchange, once each", reasons)
	}
}

// An exchange and an end at the same moment: when the end is acknowledged nothing of the device passes.
func TestForeignExchangeBesideEnds(t *testing.T) {
	g := newForeignGate(t)
	yes := true
	for name, end := range map[string]func(p abroad) error{
		"DELETE": func(p abroad) error { return g.EndDevice(context.Background(), operator, p.User, p.Device) },
		"disable": func(p abroad) error {
			_, err := g.UpdateUser(context.Background(), operator, p.User, login.Update{Disabled: &yes})
			return err
		},
		"delete": func(p abroad) error { return g.DeleteUser(context.Background(), operator, p.User) },
	} {
		for range 10 {
			p := from(uuid.NewString(), "")
			g.wantShown(t, reason.OK, p)
			if err := g.Devices.StoreArrivals(t.Context()); err != nil {
				t.Fatal(err)
			}
			var both sync.WaitGroup
			both.Go(func() {
				var refused *login.RefusedError
				if err := g.tryExchange(p); err != nil && !errors.As(err, &refused) {
					t.Errorf("the exchange beside %s = %v", name, err)
				}
			})
			both.Go(func() {
				if err := end(p); err != nil {
					t.Errorf("%s = %v", name, err)
				}
			})
			both.Wait()
			if why := g.shows(p); why == reason.OK {
				t.Errorf("after %s the issuer's token passes", name)
			}
			our := device.Use{User: p.User, Device: p.Device, Generation: 1, At: g.clock.Now()}
			if _, why := g.index.Check(our); why == reason.OK {
				t.Errorf("after %s our token passes", name)
			}
			if err := g.tryExchange(p); err == nil {
				t.Errorf("after %s the token is exchanged", name)
			}
		}
	}
}

// What happens to the accounts of an issuer's users is told as of any other.
func TestForeignAccountEvents(t *testing.T) {
	g, p := newForeignGate(t), from("7", "Åse")
	g.exchange(t, p)
	if err := g.DeleteUser(t.Context(), operator, p.User); err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, e := range g.journal.others {
		if e.Kind == activity.Admin && e.User == p.User {
			reasons = append(reasons, e.Reason+" "+e.NameTried)
		}
	}
	if want := []string{"user_created django:7", "user_deleted Åse"}; !slices.Equal(reasons, want) {
		t.Errorf("events = %q, want %q", reasons, want)
	}
}

// TestForeignExchangeOnceForGood: neither the device's expiry nor the sweep brings the exchange back.
func TestForeignExchangeOnceForGood(t *testing.T) {
	g, p := newForeignGate(t), from("7", "")
	g.exchange(t, p)
	g.clock.Advance(lifetime + time.Minute)
	wantRefused(t, g.tryExchange(p), reason.DeviceNotRecognized)
	if _, err := g.Devices.Forget(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, g.tryExchange(p), reason.DeviceNotRecognized)
	g.wantShown(t, reason.DeviceNotRecognized, p)
	_, err := g.Devices.Register(t.Context(), device.Registration{User: p.User, Device: p.Device, Issuer: "django", Owner: p.Owner, Limit: 10}, activity.By{Actor: activity.BySocket})
	if !errors.Is(err, device.ErrEndedForGood) {
		t.Errorf("an admin registers it again: %v, want %v", err, device.ErrEndedForGood)
	}
	g.wantShown(t, reason.OK, p.another())
}

// TestForeignExchangedKeepsItsPlace: a device with a refresh token of ours is not idle for want of checks.
func TestForeignExchangedKeepsItsPlace(t *testing.T) {
	g, p := newForeignGate(t), from("7", "")
	p.Register = 2
	s := g.exchange(t, p)
	g.clock.Advance(2 * tokenLife)
	g.wantShown(t, reason.OK, p.another())
	g.wantShown(t, reason.DeviceNotRecognized, p.another()) // the only one that is idle has moved over
	g.refresh(t, s.Refresh)
}

// TestForeignVerify: what would be exchanged is good, and asking changes nothing.
func TestForeignVerify(t *testing.T) {
	g, p := newForeignGate(t), from("7", "")
	for range 2 {
		if err := g.VerifyForeign(t.Context(), p.refresh()); err != nil {
			t.Errorf("a token that would be exchanged: %v", err)
		}
	}
	if _, err := g.Users.ByID(t.Context(), p.User); !errors.Is(err, login.ErrNoUser) {
		t.Errorf("asking made an account: %v", err)
	}
	g.exchange(t, p)
	if err := g.VerifyForeign(t.Context(), p.refresh()); !errors.Is(err, login.ErrTokenNotValid) {
		t.Errorf("a token that was exchanged: %v, want %v", err, login.ErrTokenNotValid)
	}
	if err := g.Devices.End(t.Context(), p.User, p.Device, device.Cause{Why: device.Logout}); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, g.VerifyForeign(t.Context(), p.refresh()), reason.DeviceNotRecognized)
	if err := newGate(t, noLimit).VerifyForeign(t.Context(), p.refresh()); !errors.Is(err, login.ErrTokenNotValid) {
		t.Errorf("without issuers: %v, want %v", err, login.ErrTokenNotValid)
	}
}

// TestForeignRemovedComesBackAtOnce: a removed user whom his issuer vouches for has his old devices marked, and
// comes by another.
func TestForeignRemovedComesBackAtOnce(t *testing.T) {
	g, p := newForeignGate(t), from("7", "")
	g.exchange(t, p)
	if err := g.DeleteUser(t.Context(), activity.By{Actor: activity.BySocket}, p.User); err != nil {
		t.Fatal(err)
	}
	g.wantShown(t, reason.OK, p.another())
	g.wantShown(t, reason.DeviceNotRecognized, p)
}

// TestForeignNamesShutNobodyOut: two users of issuers whose names, or ids, differ in spelling alone both go on to pass,
// whoever of them moves over first.
func TestForeignNamesShutNobodyOut(t *testing.T) {
	g := newForeignGate(t)
	alice, other := from("1", "alice"), from("666", "ALICE")
	eve, upper := from("eve", ""), from("Eve", "")
	g.wantShown(t, reason.OK, alice, other, eve, upper)
	g.exchange(t, other)
	g.exchange(t, upper)
	g.wantShown(t, reason.OK, alice, eve, alice.another(), eve.another())
	g.exchange(t, alice)
	g.exchange(t, eve)
	for p, want := range map[*abroad]string{&other: "ALICE", &alice: "django:1", &eve: "django:eve", &upper: "django:Eve"} {
		if got := g.account(t, *p).Name; got != want {
			t.Errorf("%s is called %s, want %s", p.Owner, got, want)
		}
	}
	// One of them is removed: the names of the other stay.
	if err := g.DeleteUser(t.Context(), activity.By{Actor: activity.BySocket}, eve.User); err != nil {
		t.Fatal(err)
	}
	if u, err := g.Users.ByName(t.Context(), "django:eve"); err != nil || u.ID != upper.User {
		t.Errorf("the name leads to %v, %v, want the one who had it first", u.ID, err)
	}
	// A local user keeps both kinds out.
	if _, err := create(t.Context(), g.Users, "Bob", nil, "hash"); err != nil {
		t.Fatal(err)
	}
	g.wantShown(t, reason.TokenUnverified, from("5", "bob"))
}

// TestForeignRolesOfTheAccount: they are the issuer's until the user has moved over, and ours from then on, also for
// the tokens that his issuer goes on to sign.
func TestForeignRolesOfTheAccount(t *testing.T) {
	g, p := newForeignGate(t), from("7", "Åse", "staff")
	g.wantShown(t, reason.OK, p)
	if err := g.Devices.StoreArrivals(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := g.SetRoles(t.Context(), p.User, []string{"admin"}); !errors.Is(err, login.ErrForeignRoles) {
		t.Errorf("roles before he moved over: %v, want %v", err, login.ErrForeignRoles)
	}
	g.exchange(t, p)
	for _, c := range []struct{ set, want []string }{{nil, nil}, {[]string{"night", "admin"}, []string{"night"}}} {
		if _, err := g.SetRoles(t.Context(), p.User, c.set); err != nil {
			t.Fatal(err)
		}
		subject, why := g.index.Check(device.Use{User: p.User, Device: p.Device, Generation: 1, At: g.clock.Now(), Foreign: p.identity()})
		if why != reason.OK || len(subject.Roles) != len(c.want) || !slices.Equal(append([]string{}, subject.Roles...), append([]string{}, c.want...)) || subject.Issuer != "django" {
			t.Errorf("with %q his issuer's token is answered %v, %+v", c.set, why, subject)
		}
	}
}

// TestForeignRevokedBeforeItIsSeen: a revoked token is never exchanged, though nobody had seen its device and there
// was no room to register it.
func TestForeignRevokedBeforeItIsSeen(t *testing.T) {
	g, p := newForeignGate(t), from("7", "")
	p.Register = 1
	first := p.another()
	g.wantShown(t, reason.OK, first)
	if err := g.Revoke(t.Context(), p.refresh()); err != nil {
		t.Fatal(err)
	}
	if err := g.Devices.End(t.Context(), first.User, first.Device, device.Cause{Why: device.Logout}); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, g.tryExchange(p), reason.DeviceNotRecognized)
	g.wantShown(t, reason.OK, p.another()) // there is room
}

// TestForeignNameOfWhoMovedOver: it is his here, though his issuer gives it to somebody else, or another issuer has one
// of that name; also after a restart.
func TestForeignNameOfWhoMovedOver(t *testing.T) {
	g := newForeignGate(t)
	first, second := from("666", "carol", "boss"), from("700", "carol", "staff")
	g.exchange(t, first)
	renamed := first.another()
	renamed.Name = "dora"
	if _, err := g.SetRoles(t.Context(), first.User, []string{"night"}); err != nil {
		t.Fatal(err)
	}
	fresh := device.NewIndex(keep, device.IPChange{})
	fresh.AcceptForeign(device.ForeignRules{Keep: tokenLife, NameKey: login.ForeignNameKey})
	g.wantShown(t, reason.OK, renamed, second)
	if err := g.Devices.StoreArrivals(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Follow(t.Context(), g.store, func(error) {}); err != nil {
		t.Fatal(err)
	}
	for _, x := range []*device.Index{g.index, fresh} {
		for p, want := range map[*abroad]device.Subject{
			&renamed: {Name: "carol", Roles: []string{"night"}}, &second: {Name: "django:700", Roles: []string{"staff"}},
		} {
			use := device.Use{User: p.User, Device: p.Device, Generation: 1, At: g.clock.Now(), Foreign: p.identity()}
			for what, ask := range map[string]func(device.Use) (device.Subject, reason.Reason){"check": x.Check, "peek": x.Peek} {
				if got, why := ask(use); why != reason.OK || got.Name != want.Name || !slices.Equal(got.Roles, want.Roles) {
					t.Errorf("%s: %s passes as %s with %q (%v), want %s with %q", what, p.Owner, got.Name, got.Roles, why, want.Name, want.Roles)
				}
			}
		}
	}
}

// TestForeignNamesOfLaterIssuers: nobody moves over under a name that a user of an issuer may have one day.
func TestForeignNamesOfLaterIssuers(t *testing.T) {
	g, p := newForeignGate(t), from("7", "Keycloak:9")
	g.exchange(t, p)
	if u := g.account(t, p); u.Name != "django:7" {
		t.Errorf("the account is called %s", u.Name)
	}
}

// TestForeignOwnersInSpellings: each is found by his own, and nobody here can be made one of them.
func TestForeignOwnersInSpellings(t *testing.T) {
	g := newForeignGate(t)
	upper, eve := from("Eve", ""), from("eve", "")
	g.exchange(t, upper)
	g.exchange(t, eve)
	for _, p := range []abroad{upper, eve} {
		if u, err := g.Users.ByName(t.Context(), p.Owner); err != nil || u.ID != p.User {
			t.Errorf("%s leads to %v, %v", p.Owner, u.Name, err)
		}
	}
	if err := g.DeleteUser(t.Context(), activity.By{Actor: activity.BySocket}, upper.User); err != nil {
		t.Fatal(err)
	}
	if u, err := g.Users.ByName(t.Context(), eve.Owner); err != nil || u.ID != eve.User {
		t.Errorf("%s leads to %v, %v, after the other was removed", eve.Owner, u.Name, err)
	}
	if _, err := create(t.Context(), g.Users, eve.Owner, nil, "hash"); !errors.Is(err, login.ErrUserExists) {
		t.Errorf("a local user of her name: %v, want %v", err, login.ErrUserExists)
	}
}

// TestForeignEndUnknown: the mark of a device that nobody had seen never overwrites what is there by now.
func TestForeignEndUnknown(t *testing.T) {
	g, p := newForeignGate(t), from("7", "")
	cause := device.Cause{Why: device.Logout}
	g.wantShown(t, reason.OK, p)
	if err := g.Devices.StoreArrivals(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Devices.EndUnknown(t.Context(), p.User, p.Device, cause); !errors.Is(err, db.ErrConflict) {
		t.Errorf("a device that is stored: %v, want %v", err, db.ErrConflict)
	}
	g.wantShown(t, reason.OK, p)
	unseen := p.another()
	if err := g.Devices.EndUnknown(t.Context(), unseen.User, unseen.Device, cause); err != nil {
		t.Fatal(err)
	}
	g.wantShown(t, reason.DeviceNotRecognized, unseen)
}
