package login_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/login"
	"devicegate/reason"
)

func TestCreate(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "Alice", "staff", "ops", "staff")
	if u.ID.Version() != 7 || u.ID.Variant() != uuid.RFC4122 {
		t.Errorf("the id %v is no UUIDv7", u.ID)
	}
	if diff := cmp.Diff([]string{"staff", "ops"}, u.Roles); diff != "" {
		t.Errorf("roles -want +got:\n%s", diff)
	}
	for name, read := range map[string]func() (login.User, error){
		"ByID":   func() (login.User, error) { return g.Users.ByID(t.Context(), u.ID) },
		"ByName": func() (login.User, error) { return g.Users.ByName(t.Context(), "alice") },
	} {
		got, err := read()
		got.Schema = u.Schema
		if diff := cmp.Diff(u, got); err != nil || diff != "" {
			t.Errorf("%s = %v, -want +got:\n%s", name, err, diff)
		}
	}
	if _, err := g.Users.ByID(t.Context(), uuid.New()); !errors.Is(err, login.ErrNoUser) {
		t.Errorf("ByID of nobody = %v, want ErrNoUser", err)
	}
	if _, err := g.Users.ByName(t.Context(), "bob"); !errors.Is(err, login.ErrNoUser) {
		t.Errorf("ByName of nobody = %v, want ErrNoUser", err)
	}
}

// Of many who want one name at once, one gets it, whatever spelling they use.
func TestCreateAtOnce(t *testing.T) {
	g := newGate(t, noLimit)
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() { _, errs[i] = create(t.Context(), g.Users, []string{"alice", "ALICE"}[i%2], nil, "") })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, login.ErrUserExists):
			t.Errorf("Create = %v, want ErrUserExists", err)
		}
	}
	if made != 1 {
		t.Errorf("%d accounts were made, want 1", made)
	}
}

func TestListUsersInPages(t *testing.T) {
	g := newGate(t, noLimit)
	var want []string
	for _, name := range []string{"c", "a", "b", "e", "d"} {
		want = append(want, g.user(t, name).Name)
		g.clock.Advance(1e6)
	}
	var got []string
	for after := (uuid.UUID{}); ; {
		page, err := g.Users.List(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, u := range page {
			got, after = append(got, u.Name), u.ID
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("users -want +got:\n%s", diff)
	}
}

// Disabling ends every device at once and for good; enabling only lets the user sign in anew.
func TestDisableAndEnable(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	a, b := g.signIn(t, "alice"), g.signIn(t, "alice")
	g.disable(t, u, true)
	for range 2 { // a second time changes nothing
		g.want(t, u, a, reason.InactiveAccount)
		g.want(t, u, b, reason.InactiveAccount)
		g.disable(t, u, true)
	}
	if _, err := g.trySignIn("alice"); !errors.Is(err, login.ErrNoActiveAccount) {
		t.Errorf("SignIn = %v, want ErrNoActiveAccount", err)
	}
	g.disable(t, u, false)
	g.want(t, u, a, reason.InactiveAccount)
	_, err := g.Refresh(t.Context(), a.Refresh, client)
	wantRefused(t, err, reason.InactiveAccount)
	c := g.signIn(t, "alice")
	g.want(t, u, c, reason.OK)
	g.disable(t, u, false)
	g.want(t, u, c, reason.OK)
	g.clock.Advance(keep)
	g.want(t, u, a, reason.DeviceNotRecognized)
	if _, err := g.SetDisabled(t.Context(), uuid.New(), true); !errors.Is(err, login.ErrNoUser) {
		t.Errorf("SetDisabled of nobody = %v, want ErrNoUser", err)
	}
}

// Who is told that a user is disabled may rely on it, also when it was another request that did it.
func TestDisableWaitsForTheOther(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	g.disable(t, u, true)
	g.store.FailCommits(db.ErrUnavailable, false)
	if _, err := g.SetDisabled(t.Context(), u.ID, true); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("SetDisabled = %v, want it to ask the store", err)
	}
}

// An account that this version cannot read lets nobody in.
func TestUnreadableAccount(t *testing.T) {
	for name, record := range map[string]string{"no JSON": "x", "no schema": `{}`, "a newer schema": `{"schema":2}`} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, noLimit)
			u := g.user(t, "alice")
			if _, err := g.store.Commit(context.Background(), db.Txn{Writes: []db.Write{db.Put("u/"+u.ID.String(), []byte(record))}}); err != nil {
				t.Fatal(err)
			}
			if s, err := g.trySignIn("alice"); err == nil || s != (login.Session{}) {
				t.Errorf("SignIn = %+v, %v, want an error", s, err)
			}
			if _, err := g.Users.List(t.Context(), uuid.UUID{}, 9); err == nil {
				t.Error("List = nil, want an error")
			}
		})
	}
}

// meanwhile does something before the first commit.
type meanwhile struct {
	db.Store
	once func()
}

func (m *meanwhile) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	if once := m.once; once != nil {
		m.once = nil
		once()
	}
	return m.Store.Commit(ctx, txn)
}

// Disabling writes over nothing that another request has written since it read the account.
func TestDisableLosesARace(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	var s login.Session
	options := g.with(g.hasher)
	late := newLog(&meanwhile{g.store, func() { s = g.signIn(t, "alice") }}, g.clock, newRandomness(2), nil)
	options.Devices = registry(g.store, g.index, g.clock, late)
	service, err := login.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	got, err := service.UpdateUser(t.Context(), operator, u.ID, login.Update{Disabled: &yes})
	if err != nil || !got.Disabled || got.LastSignInAt.IsZero() {
		t.Errorf("SetDisabled = %+v, %v, want the sign-in kept", got, err)
	}
	g.want(t, u, s, reason.InactiveAccount)
}
