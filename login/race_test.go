package login_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// scene is one user with two devices; two acts happen to it at once.
type scene struct {
	*gate
	user          login.User
	target, other login.Session

	mu   sync.Mutex
	made []login.Session // by sign-ins
}

// act is something that may happen at any moment. One that returns nil has been acknowledged.
type act struct {
	name    string
	do      func(*scene) error
	ends    bool // the target, once acknowledged
	endsAll bool // everything of the user that began before
}

var acts = []act{
	{"sign-in", func(s *scene) error {
		made, err := s.trySignIn(s.user.Name)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			s.made = append(s.made, made)
		}
		return err
	}, false, false},
	{"refresh", func(s *scene) error {
		_, err := s.Refresh(context.Background(), s.target.Refresh, client)
		return err
	}, false, false},
	{"rename", func(s *scene) error {
		another := "another"
		_, err := s.Change(context.Background(), caller(s.user, s.other), s.target.Device, device.Change{Name: &another})
		return err
	}, false, false},
	{"logout", func(s *scene) error { return s.Logout(context.Background(), caller(s.user, s.target)) }, true, false},
	{"delete", func(s *scene) error {
		return s.EndOther(context.Background(), caller(s.user, s.other), s.target.Device)
	}, true, false},
	{"revoke all", func(s *scene) error {
		_, _, err := s.EndOthers(context.Background(), caller(s.user, s.other))
		return err
	}, true, false},
	{"disable", func(s *scene) error {
		_, err := s.SetDisabled(context.Background(), s.user.ID, true)
		return err
	}, true, true},
}

// Whatever happens at the same moment, nothing that an acknowledged act has ended is live after it.
func TestPairsAtOnce(t *testing.T) {
	const limit = 3
	g := newGate(t, within(limit))
	var pairs sync.WaitGroup
	for i, a := range acts {
		for _, b := range acts[i:] {
			pairs.Go(func() {
				for round := range times(16) {
					name := fmt.Sprintf("%s and %s %d", a.name, b.name, round)
					s := &scene{gate: g, user: g.user(t, name)}
					s.target, s.other = g.signIn(t, name), g.signIn(t, name)
					perform(t, s, name, a, b)
					if n := len(g.live(t, s.user)); n > limit {
						t.Errorf("%s: %d live devices, limit %d", name, n, limit)
					}
				}
			})
		}
	}
	pairs.Wait()
}

// perform does both acts at once. Each looks at what it was promised as soon as it is answered.
func perform(t *testing.T, s *scene, name string, both ...act) {
	t.Helper()
	var wg sync.WaitGroup
	for _, a := range both {
		wg.Go(func() {
			switch err := a.do(s); {
			case err == nil && a.ends:
				s.wantEnded(t, name, s.target)
			case err != nil && !refusal(err):
				t.Errorf("%s: %s = %v", name, a.name, err)
			}
		})
	}
	wg.Wait()
	for _, a := range both {
		if !a.endsAll {
			continue
		}
		for _, session := range append(s.made, s.target, s.other) {
			s.wantEnded(t, name, session)
		}
		if n := len(s.live(t, s.user)); n != 0 {
			t.Errorf("%s: %d live devices of a disabled user", name, n)
		}
	}
}

func (s *scene) wantEnded(t *testing.T, name string, session login.Session) {
	t.Helper()
	if s.check(s.user, session) == reason.OK {
		t.Errorf("%s: an ended device passes", name)
	}
	if _, err := s.Refresh(context.Background(), session.Refresh, client); err == nil {
		t.Errorf("%s: an ended device is refreshed", name)
	}
}

// refusal says whether err is an honest answer to somebody who came too late.
func refusal(err error) bool {
	var refused *login.RefusedError
	return errors.As(err, &refused) || errors.Is(err, device.ErrNotFound) || errors.Is(err, login.ErrNoActiveAccount)
}
