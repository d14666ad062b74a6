package login_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"devicegate/db"
	"devicegate/login"
	"devicegate/reason"
)

// breaking is a store of which the commits fail from the nth on, as a poisoned one's do. With applied the
// first of them has happened all the same.
type breaking struct {
	db.Store
	left    int // before they fail; 0 = never
	fault   error
	applied bool
}

func (b *breaking) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	if b.left == 0 {
		return b.Store.Commit(ctx, txn)
	}
	if b.left--; b.left > 0 {
		return b.Store.Commit(ctx, txn)
	}
	b.left = 1
	if b.applied {
		b.applied = false
		if _, err := b.Store.Commit(ctx, txn); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("injected: %w", b.fault)
}

// ruin is an account with 40 devices of which the first is the caller's, on a store about to break.
type ruin struct {
	*gate
	user  login.User
	all   []login.Session
	token string // for a reset
	path  string
}

// composed are the acts that change more than one record. after says what is wrong with what is found, given
// how many devices live and whether the caller's does.
var composed = []struct {
	name    string
	limit   int // of everybody, when the act happens
	commits int
	do      func(*ruin) error
	after   func(r *ruin, live int, caller bool) bool
}{
	{"sign-in", 200, 1, signInOnce, func(_ *ruin, live int, caller bool) bool { return caller && (live == 40 || live == 41) }},
	{"sign-in that puts one out", 40, 1, signInOnce, func(_ *ruin, live int, _ bool) bool { return live == 40 }},
	{"sign-in within a lowered limit", 1, 8, signInOnce, func(_ *ruin, live int, _ bool) bool {
		return live%5 == 0 || live == 1
	}},
	{"sign-in on a known device", 1, 8, func(r *ruin) error {
		_, err := r.SignIn(context.Background(), login.SignIn{Name: "alice", Password: secret, Refresh: r.all[0].Refresh})
		return err
	}, func(_ *ruin, live int, _ bool) bool { return live%5 == 0 || live == 1 }},
	{"refresh", 200, 1, func(r *ruin) error {
		_, err := r.Refresh(context.Background(), r.all[0].Refresh, client)
		return err
	}, func(r *ruin, live int, caller bool) bool {
		_, err := r.Refresh(context.Background(), r.all[0].Refresh, client) // again, within the grace
		return live == 40 && caller && err == nil
	}},
	{"revoke all", 200, 8, func(r *ruin) error {
		_, _, err := r.EndOthers(context.Background(), caller(r.user, r.all[0]))
		return err
	}, func(_ *ruin, live int, caller bool) bool { return caller && (live%5 == 0 || live == 1) }},
	{"change the password", 200, 1, func(r *ruin) error {
		return r.ChangePassword(context.Background(), caller(r.user, r.all[0]), secret, fresh, client)
	}, func(r *ruin, live int, caller bool) bool {
		return caller && (live == 40 && r.accepts(secret) || live == 1 && r.accepts(fresh))
	}},
	{"set the password", 200, 1, func(r *ruin) error {
		_, err := r.SetPassword(context.Background(), r.user.ID, fresh)
		return err
	}, func(r *ruin, live int, _ bool) bool {
		return live == 40 && r.accepts(secret) || live == 0 && r.accepts(fresh)
	}},
	{"reset", 200, 1, func(r *ruin) error {
		return r.Reset(context.Background(), r.token, fresh, fine)
	}, func(r *ruin, live int, _ bool) bool {
		again := r.Reset(context.Background(), r.token, fresh, fine) == nil
		return live == 40 && again || live == 0 && !again && r.accepts(fresh)
	}},
	{"disable", 200, 1, func(r *ruin) error {
		_, err := r.SetDisabled(context.Background(), r.user.ID, true)
		return err
	}, func(r *ruin, live int, _ bool) bool {
		return live == 40 && r.accepts(secret) || live == 0 && !r.accepts(secret)
	}},
	{"roles, few go", 200, 1, setRoles("35"), rolesAfter(35)},
	{"roles, few stay", 200, 8, setRoles("3"), rolesAfter(3)},
	{"roles, many of both", 200, 5, setRoles("15"), rolesAfter(15)},
}

func signInOnce(r *ruin) error { _, err := r.trySignIn("alice"); return err }

func setRoles(limit string) func(*ruin) error {
	return func(r *ruin) error {
		_, err := r.SetRoles(context.Background(), r.user.ID, []string{"role" + limit})
		return err
	}
}

// rolesAfter: with the new role nobody is over its limit; with the old one some may have gone before.
func rolesAfter(limit int) func(*ruin, int, bool) bool {
	return func(r *ruin, live int, _ bool) bool {
		u, err := r.Users.ByID(context.Background(), r.user.ID)
		return err == nil && (len(u.Roles) == 1 && live == limit || len(u.Roles) == 0 && live > limit && live%5 == 0)
	}
}

// accepts signs in with a password, when everything else has been looked at.
func (r *ruin) accepts(password string) bool {
	_, err := r.signInWith("alice", password)
	return err == nil
}

// However the store breaks, and before whichever commit: nothing is half done and nothing is called done;
// what was said is what a restart finds.
func TestComposedActsOnABreakingStore(t *testing.T) {
	whole := newRuin(t)
	for _, c := range composed {
		for at := 1; at <= c.commits+1; at++ { // the last one: it does not break
			for _, fault := range []breaking{{fault: db.ErrUnavailable}, {fault: db.ErrUnknown}, {fault: db.ErrUnknown, applied: true}} {
				name := fmt.Sprintf("%s, at commit %d: %v, applied: %v", c.name, at, fault.fault, fault.applied)
				fault.left = at
				t.Run(name, func(t *testing.T) {
					cfg := within(c.limit)
					cfg.Limits.ByRole = map[string]int{"role35": 35, "role3": 3, "role15": 15}
					want := fault.fault
					if at > c.commits {
						want = nil
					}
					r := whole.breakAt(t, cfg, fault, c.do, want)
					live, caller := len(r.live(t, r.user)), r.check(r.user, r.all[0]) == reason.OK
					if !c.after(r, live, caller) {
						t.Errorf("%d devices live, the caller's among them: %v", live, caller)
					}
				})
			}
		}
	}
}

// newRuin makes the account on a whole store and closes it.
func newRuin(t *testing.T) *ruin {
	r := &ruin{path: filepath.Join(t.TempDir(), "whole.db")}
	r.gate = open(t, r.path, noLimit, newClock(), newRandomness(1))
	defer r.close()
	r.user = r.gate.user(t, "alice")
	for range 40 {
		r.all = append(r.all, r.signIn(t, "alice"))
	}
	r.token = r.startReset(t, r.user)
	r.clock.Advance(time.Second)
	r.index.Check(r.use(r.user, r.all[0]))
	if err := r.Devices.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// breakAt does an act on a copy of the account while its store breaks, and returns what a restart finds.
func (r *ruin) breakAt(t *testing.T, cfg login.Config, fault breaking, do func(*ruin) error, want error) *ruin {
	whole, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	broken := &ruin{user: r.user, all: r.all, token: r.token, path: filepath.Join(t.TempDir(), "copy.db")}
	if err := os.WriteFile(broken.path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	broken.gate = open(t, broken.path, cfg, r.clock, newRandomness(2))
	fault.Store = broken.breaking.Store
	*broken.breaking = fault
	if err := do(broken); !errors.Is(err, want) {
		t.Errorf("it answers %v, want %v", err, want)
	}
	said := broken.state()
	for i, s := range r.all {
		if told := broken.journal.ended[s.Device]; len(told) > 0 && said[i] == reason.OK {
			t.Errorf("the journal was told of the end of a live device: %v", told)
		}
	}
	broken.close()
	broken.gate = open(t, broken.path, cfg, r.clock, newRandomness(3))
	t.Cleanup(func() { broken.close() })
	if found := broken.state(); found != said {
		t.Errorf("a restart finds %v, before it was %v", found, said)
	}
	return broken
}

// state is what the checks say of every session.
func (r *ruin) state() (s [40]reason.Reason) {
	for i := range r.all {
		s[i] = r.check(r.user, r.all[i])
	}
	return s
}
