package login_test

import (
	"context"
	"errors"
	"testing"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/login"
	"devicegate/reason"
)

// An admin who has lost what lets him act, between the moment he was let in and the commit, does nothing any
// more: neither before the transaction nor at the very moment of it.
func TestAuthority(t *testing.T) {
	type scene struct {
		*gate
		root, alice login.User
		session     login.Session
	}
	ends := map[string]struct {
		do   func(*scene) error
		want reason.Reason
	}{
		"role":     {func(s *scene) error { _, err := s.SetRoles(t.Context(), s.root.ID, nil); return err }, reason.RoleMissing},
		"disabled": {func(s *scene) error { _, err := s.SetDisabled(t.Context(), s.root.ID, true); return err }, reason.InactiveAccount},
		"deleted":  {func(s *scene) error { return s.DeleteUser(t.Context(), operator, s.root.ID) }, reason.DeviceNotRecognized},
		"password": {func(s *scene) error { _, err := s.SetPassword(t.Context(), s.root.ID, "another password"); return err }, reason.DeviceNotRecognized},
		"device":   {func(s *scene) error { return s.EndDevice(t.Context(), operator, s.root.ID, s.session.Device) }, reason.DeviceNotRecognized},
	}
	yes := true
	acts := map[string]func(s *scene, ctx context.Context, by activity.By) error{
		"create": func(s *scene, ctx context.Context, by activity.By) error {
			_, err := s.CreateUser(ctx, by, "new", nil, "")
			return err
		},
		"disable": func(s *scene, ctx context.Context, by activity.By) error {
			_, err := s.UpdateUser(ctx, by, s.alice.ID, login.Update{Disabled: &yes})
			return err
		},
		"delete": func(s *scene, ctx context.Context, by activity.By) error { return s.DeleteUser(ctx, by, s.alice.ID) },
		"reset": func(s *scene, ctx context.Context, by activity.By) error {
			_, _, err := s.Service.StartReset(ctx, by, s.alice.ID)
			return err
		},
		"end all": func(s *scene, ctx context.Context, by activity.By) error {
			_, err := s.EndAll(ctx, by, s.alice.ID)
			return err
		},
	}
	for how, end := range ends {
		for what, act := range acts {
			t.Run(what+" after the end of "+how, func(t *testing.T) {
				g := newGate(t, noLimit)
				s := &scene{gate: g, root: g.user(t, "root", login.AdminRole), alice: g.user(t, "alice")}
				g.signIn(t, "alice")
				s.session = g.signIn(t, "root")
				by := activity.By{Actor: activity.ByAdmin("root")}
				// The end comes when the conditions are read, so it falls between them and the commit.
				authority, ended := g.AdminAuthority(caller(s.root, s.session)), false
				ctx := login.Acting(t.Context(), func(ctx context.Context) ([]db.Condition, error) {
					held, err := authority(ctx)
					if !ended {
						ended = true
						if err := end.do(s); err != nil {
							t.Error(err)
						}
					}
					return held, err
				})
				before := g.told(t, s.alice.ID)
				err := act(s, ctx, by)
				var refused *login.RefusedError
				if !errors.As(err, &refused) || refused.Reason != end.want {
					// A user who is made has no record whose change would be noticed first.
					if what != "create" || !errors.Is(err, login.ErrUserExists) {
						t.Errorf("it answers %v, want %v", err, end.want)
					}
				}
				wantTold(t, g.told(t, s.alice.ID), before...)
				if _, err := g.Users.ByName(t.Context(), "new"); !errors.Is(err, login.ErrNoUser) {
					t.Errorf("the new user: %v", err)
				}
			})
		}
	}
}

// With his role, his account and his device an admin acts.
func TestAuthorityHolds(t *testing.T) {
	g := newGate(t, noLimit)
	root := g.user(t, "root", login.AdminRole)
	s := g.signIn(t, "root")
	ctx := login.Acting(t.Context(), g.AdminAuthority(caller(root, s)))
	by := activity.By{Actor: activity.ByAdmin("root")}
	if _, err := g.CreateUser(ctx, by, "new", nil, ""); err != nil {
		t.Error(err)
	}
	if _, err := g.UpdateUser(ctx, by, root.ID, login.Update{Roles: &[]string{"staff", login.AdminRole}}); err != nil {
		t.Errorf("an act on himself: %v", err)
	}
	if _, err := g.EndAll(ctx, by, root.ID); err != nil {
		t.Errorf("the end of his own devices: %v", err)
	}
}
