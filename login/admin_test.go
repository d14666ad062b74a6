package login_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// told returns what happened to a user, oldest first, as "kind reason actor".
func (g *gate) told(t *testing.T, user uuid.UUID) []string {
	t.Helper()
	events, _, err := g.log.List(t.Context(), activity.Query{User: &user}, uuid.UUID{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range slices.Backward(events) {
		device := ""
		if e.Device != (uuid.UUID{}) {
			device = " one"
		}
		words = append(words, fmt.Sprintf("%s %s %s%s", e.Kind, e.Reason, e.Actor, device))
	}
	return words
}

func wantTold(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Every act of an admin is an event with its actor, in the transaction of the act.
func TestEveryActIsAnEvent(t *testing.T) {
	g := newGate(t, noLimit)
	by := activity.By{Actor: activity.ByAdmin("root"), IP: client.IP, UserAgent: "admin/1"}
	u, err := g.Users.Create(t.Context(), by, "alice", []string{"staff"}, "")
	if err != nil {
		t.Fatal(err)
	}
	password, no, yes := secret, false, true
	steps := []func() error{
		func() error {
			_, err := g.UpdateUser(t.Context(), by, u.ID, login.Update{Password: &password})
			return err
		},
		func() error {
			_, err := g.UpdateUser(t.Context(), by, u.ID, login.Update{Roles: &[]string{"lab"}})
			return err
		},
		func() error {
			_, err := g.UpdateUser(t.Context(), by, u.ID, login.Update{Roles: &[]string{"lab"}, Disabled: &no})
			return err
		},
		func() error { _, _, err := g.Service.StartReset(t.Context(), by, u.ID); return err },
		func() error { _, err := g.trySignIn("alice"); return err },
		func() error {
			devices, err := g.Devices.List(t.Context(), u.ID)
			if err != nil {
				return err
			}
			if _, err := g.ChangeDevice(t.Context(), by, u.ID, devices[0].UID, device.Change{CanUpdateOthers: &no}); err != nil {
				return err
			}
			return g.EndDevice(t.Context(), by, u.ID, devices[0].UID)
		},
		func() error { _, err := g.trySignIn("alice"); return err },
		func() error { _, err := g.EndAll(t.Context(), by, u.ID); return err },
		func() error { _, err := g.EndAll(t.Context(), by, u.ID); return err }, // nothing is left to end
		func() error { _, err := g.UpdateUser(t.Context(), by, u.ID, login.Update{Disabled: &yes}); return err },
		func() error { _, err := g.UpdateUser(t.Context(), by, u.ID, login.Update{Disabled: &no}); return err },
		func() error { _, err := g.trySignIn("alice"); return err }, // from here on something ends with each act
		func() error { _, err := g.UpdateUser(t.Context(), by, u.ID, login.Update{Disabled: &yes}); return err },
		func() error { _, err := g.UpdateUser(t.Context(), by, u.ID, login.Update{Disabled: &no}); return err },
		func() error { _, err := g.trySignIn("alice"); return err },
		func() error {
			_, err := g.UpdateUser(t.Context(), by, u.ID, login.Update{Password: &password})
			return err
		},
		func() error { _, err := g.trySignIn("alice"); return err },
		func() error { return g.DeleteUser(t.Context(), by, u.ID) },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	wantTold(t, g.told(t, u.ID),
		"admin user_created admin:root",
		"password_changed password_changed admin:root",
		"admin roles_changed admin:root",
		"admin password_reset admin:root",
		"sign_in ok  one", "admin device_changed admin:root one", "device_ended revoked_by_admin admin:root one",
		"sign_in ok  one", "device_ended revoked_by_admin admin:root",
		"admin user_disabled admin:root",
		"admin user_enabled admin:root",
		"sign_in ok  one", "admin user_disabled admin:root", "device_ended inactive_account admin:root", "admin user_enabled admin:root",
		"sign_in ok  one", "password_changed password_changed admin:root", "device_ended password_changed admin:root",
		"sign_in ok  one", "admin user_deleted admin:root", "device_ended revoked_by_admin admin:root",
	)
}

// What people do themselves says which device did it.
func TestActsOfDevices(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	a, b, c := g.signIn(t, "alice"), g.signIn(t, "alice"), g.signIn(t, "alice")
	who := caller(u, a)
	if err := g.EndOther(t.Context(), who, b.Device); err != nil {
		t.Fatal(err)
	}
	if err := g.ChangePassword(t.Context(), who, secret, "another password", client); err != nil {
		t.Fatal(err)
	}
	if err := g.Logout(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	g.want(t, u, c, reason.DeviceNotRecognized)
	actor := activity.ByDevice(a.Device)
	wantTold(t, g.told(t, u.ID)[4:],
		"device_ended revoked_by_device "+actor+" one",
		"password_changed password_changed "+actor, "device_ended password_changed "+actor,
		"device_ended logout "+actor+" one",
	)
}

// An act whose transaction fails is told to nobody.
func TestNoEventWithoutTheAct(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	s := g.signIn(t, "alice")
	before := g.told(t, u.ID)
	g.store.FailCommits(db.ErrUnavailable, false)
	no := true
	for what, err := range map[string]error{
		"disable": func() error {
			_, err := g.UpdateUser(t.Context(), operator, u.ID, login.Update{Disabled: &no})
			return err
		}(),
		"delete":  g.DeleteUser(t.Context(), operator, u.ID),
		"end":     g.EndDevice(t.Context(), operator, u.ID, s.Device),
		"end all": func() error { _, err := g.EndAll(t.Context(), operator, u.ID); return err }(),
		"logout":  g.Logout(t.Context(), caller(u, s)),
	} {
		if !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	g.store.FailCommits(nil, false)
	g.want(t, u, s, reason.OK)
	wantTold(t, g.told(t, u.ID), before...)
	if len(g.journal.ended) != 0 {
		t.Errorf("the journal was told of %v", g.journal.ended)
	}
}

// A deleted user is gone: his devices, his name, his tokens. The name is free for somebody else, who has
// nothing of his.
func TestDeleteUser(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice", "staff")
	s := g.signIn(t, "alice")
	token, _, err := g.StartReset(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.DeleteUser(t.Context(), operator, u.ID); err != nil {
		t.Fatal(err)
	}
	g.want(t, u, s, reason.DeviceNotRecognized)
	if _, err := g.Refresh(t.Context(), s.Refresh, client); err == nil {
		t.Error("a refresh token of a deleted user works")
	}
	if err := g.Reset(t.Context(), token, "another password", func(string) error { return nil }); !errors.Is(err, login.ErrTokenNotValid) {
		t.Errorf("a reset token of a deleted user: %v", err)
	}
	if _, err := g.trySignIn("alice"); !errors.Is(err, login.ErrNoActiveAccount) {
		t.Errorf("sign-in of a deleted user: %v", err)
	}
	if err := g.DeleteUser(t.Context(), operator, u.ID); !errors.Is(err, login.ErrNoUser) {
		t.Errorf("a second time: %v", err)
	}
	if n, err := g.Devices.Forget(t.Context(), 100); n != 1 || err != nil {
		t.Errorf("Forget = %d, %v, want the one device", n, err)
	}
	for _, root := range []string{"n/", "u/", "w/", "l/", "d/", "r/", "s/", "p/", "m/admin/"} {
		if left, _, err := g.store.Range(t.Context(), root, db.PrefixEnd(root), 10); len(left) != 0 || err != nil {
			t.Errorf("left below %s: %v, %v", root, left, err)
		}
	}
	again := g.user(t, "Alice")
	g.want(t, u, s, reason.DeviceNotRecognized)
	if _, err := g.trySignIn("alice"); err != nil || again.ID == u.ID {
		t.Errorf("the new alice: %v", err)
	}
}

// An admin with his token cannot leave the service without an enabled admin. Whoever holds the socket can.
func TestLastAdmin(t *testing.T) {
	yes, none := true, []string{"staff"}
	acts := map[string]func(g *gate, by activity.By, u login.User) error{
		"disable": func(g *gate, by activity.By, u login.User) error {
			_, err := g.UpdateUser(t.Context(), by, u.ID, login.Update{Disabled: &yes})
			return err
		},
		"roles": func(g *gate, by activity.By, u login.User) error {
			_, err := g.UpdateUser(t.Context(), by, u.ID, login.Update{Roles: &none})
			return err
		},
		"delete": func(g *gate, by activity.By, u login.User) error { return g.DeleteUser(t.Context(), by, u.ID) },
	}
	for what, act := range acts {
		t.Run(what, func(t *testing.T) {
			g := newGate(t, noLimit)
			root := g.user(t, "root", "admin")
			self := activity.By{Actor: activity.ByAdmin("root")}
			g.disable(t, g.user(t, "other", "admin"), true) // a disabled one does not count
			if err := act(g, self, root); !errors.Is(err, login.ErrLastAdmin) {
				t.Fatalf("the last one: %v", err)
			}
			if err := act(g, self, g.user(t, "somebody")); err != nil {
				t.Errorf("somebody else: %v", err)
			}
			g.user(t, "second", "staff", "admin")
			if err := act(g, self, root); err != nil {
				t.Errorf("one of two: %v", err)
			}
		})
		t.Run(what+" over the socket", func(t *testing.T) {
			g := newGate(t, noLimit)
			if err := act(g, operator, g.user(t, "root", "admin")); err != nil {
				t.Error(err)
			}
		})
	}
}

// Two admins who remove themselves at the same moment: one of them stays.
func TestLastAdminRace(t *testing.T) {
	for round := range 20 {
		g := newGate(t, noLimit)
		var admins [2]login.User
		for i := range admins {
			admins[i] = g.user(t, fmt.Sprint("root", i), "admin")
		}
		var errs [2]error
		var both sync.WaitGroup
		for i, u := range admins {
			both.Go(func() {
				by := activity.By{Actor: activity.ByAdmin(u.Name)}
				if yes := true; (i+round)%2 == 0 {
					_, errs[i] = g.UpdateUser(t.Context(), by, u.ID, login.Update{Disabled: &yes})
				} else {
					errs[i] = g.DeleteUser(t.Context(), by, u.ID)
				}
			})
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("round %d: %v and %v", round, errs[0], errs[1])
		}
	}
}

// All members of an update count in one transaction.
func TestUpdateIsOneTransaction(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	s := g.signIn(t, "alice")
	fresh, yes := "another password", true
	update := login.Update{Roles: &[]string{"lab"}, Disabled: &yes, Password: &fresh}
	g.store.FailCommits(db.ErrUnavailable, false)
	if _, err := g.UpdateUser(t.Context(), operator, u.ID, update); !errors.Is(err, db.ErrUnavailable) {
		t.Fatal(err)
	}
	g.store.FailCommits(nil, false)
	if now, err := g.Users.ByID(t.Context(), u.ID); err != nil || !cmp.Equal(now.Roles, u.Roles) || now.Disabled || now.PasswordHash != u.PasswordHash {
		t.Errorf("half of it happened: %+v, %v", now, err)
	}
	g.want(t, u, s, reason.OK)
	now, err := g.UpdateUser(t.Context(), operator, u.ID, update)
	if err != nil || !now.Disabled || !slices.Equal(now.Roles, []string{"lab"}) || now.PasswordHash == u.PasswordHash {
		t.Errorf("%+v, %v", now, err)
	}
	g.want(t, u, s, reason.InactiveAccount)
}
