package device_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/device"
)

// Whatever happens, in whatever order, and whether the store takes it, refuses it, or takes it and its answer
// is lost: the ends that the rows tell are those that the events tell.
func TestEndsAndEventsAgree(t *testing.T) {
	store := dbtest.New(t)
	g := followWith(t, store, newClock(), device.IPChange{Revoke: true, Window: window})
	t.Cleanup(g.stop)
	faulty := dbtest.NewFaulty(store)
	g.reg.through(faulty)
	rapid.Check(t, func(t *rapid.T) {
		g.reg.events = nil // those of other users
		c := &chronicle{gate: g, faulty: faulty, fates: map[uuid.UUID]fate{}, ending: map[generation]bool{}}
		c.users = []uuid.UUID{g.user(t), g.user(t)}
		acts := map[string]func(*rapid.T){"": c.check}
		for name, act := range map[string]func(*rapid.T) error{
			"sign in": c.signIn, "end": c.end, "end where": c.endWhere, "end others": c.endOthers, "trim": c.trim,
			"keep only": c.keepOnly, "end all": c.endAll, "disable": c.disable, "move": c.move, "refresh": c.refresh,
			"sweep": c.sweep, "forget": c.forget, "wait": c.wait,
			"flush": func(*rapid.T) error { return c.reg.Flush(context.Background()) },
		} {
			acts[name] = func(t *rapid.T) { c.try(t, act) }
		}
		t.Repeat(acts)
		c.over(t)
	})
}

// generation is one of a user's.
type generation struct {
	user   uuid.UUID
	number uint32
}

// chronicle is what has happened to the devices of some users.
type chronicle struct {
	*gate
	faulty *dbtest.Faulty
	lost   bool // an answer of the store
	users  []uuid.UUID
	recs   []device.Record // of every sign-in
	fates  map[uuid.UUID]fate
	ending map[generation]bool // whether something ended when a user's generation was raised to it
}

// fate is what a device was when it was last there.
type fate struct {
	device.DeviceRow
	withAll bool // it had ended with everything of its user
}

// try does act, on a store that may fail.
func (c *chronicle) try(t *rapid.T, act func(*rapid.T) error) {
	switch rapid.IntRange(0, 9).Draw(t, "fault") {
	case 8:
		c.faulty.FailCommits(db.ErrUnavailable, false)
	case 9:
		c.faulty.FailCommits(db.ErrUnknown, true)
		c.lost = true
	}
	err := act(t)
	c.faulty.FailCommits(nil, false)
	for _, fine := range []error{nil, device.ErrNotFound, device.ErrCallerGone, db.ErrUnavailable, db.ErrUnknown} {
		if errors.Is(err, fine) {
			return
		}
	}
	t.Fatalf("got %v", err)
}

func (c *chronicle) someUser(t *rapid.T) uuid.UUID { return rapid.SampledFrom(c.users).Draw(t, "user") }

// some is a device as it was at one of its sign-ins; nobody's where there is none yet.
func (c *chronicle) some(t *rapid.T) device.Record {
	if len(c.recs) == 0 {
		return device.Record{User: c.users[0]}
	}
	return rapid.SampledFrom(c.recs).Draw(t, "device")
}

func (c *chronicle) generation(user uuid.UUID) uint32 { return c.index.Known().Users[user].Generation }

func (c *chronicle) signIn(t *rapid.T) error {
	user, known := c.someUser(t), c.some(t)
	n := newDevice(uuid.New(), user)
	n.Generation = c.generation(user)
	if rapid.Bool().Draw(t, "on a known one") {
		n.Proves = func(r device.Record) bool { return r.UID == known.UID }
	}
	n.Event = func(r device.Record) activity.Event { // also where the answer is lost
		c.recs = append(c.recs, r)
		return signedIn(r)
	}
	_, err := c.reg.Registry.Add(context.Background(), n, device.Limit{Count: rapid.IntRange(1, 8).Draw(t, "limit")}, db.Txn{})
	return err
}

func (c *chronicle) end(t *rapid.T) error {
	rec := c.some(t)
	if rapid.Bool().Draw(t, "its tokens") {
		return c.reg.EndTokens(context.Background(), rec.User, rec.UID, rec.Tokens, device.RefreshReuse)
	}
	return c.reg.End(context.Background(), rec.User, rec.UID, device.Logout)
}

func (c *chronicle) endWhere(t *rapid.T) error {
	odd := rapid.Bool().Draw(t, "odd")
	_, err := c.reg.EndWhere(context.Background(), c.someUser(t), device.RevokedByAdmin, func(r device.Record) bool { return r.Ordinal%2 == 1 == odd })
	return err
}

func (c *chronicle) endOthers(t *rapid.T) error {
	_, _, err := c.reg.EndOthers(context.Background(), as(c.some(t)))
	return err
}

func (c *chronicle) trim(t *rapid.T) error {
	return c.reg.Trim(context.Background(), c.someUser(t), device.Limit{Count: rapid.IntRange(1, 4).Draw(t, "limit")}, db.Txn{})
}

// raised returns what ends everything of the user but stay devices, and its cause, and notes whether
// something will end.
func (c *chronicle) raised(user uuid.UUID, why device.EndReason, stay int) (db.Txn, uint32, device.Cause) {
	row := c.index.Known().Users[user]
	live, err := c.reg.List(context.Background(), user)
	c.ending[generation{user, row.Generation + 1}] = err == nil && len(live) > stay
	row.Generation, row.Ended, row.EndedAt = row.Generation+1, why, c.clock.Now()
	return db.Txn{Writes: []db.Write{db.Put(device.UserRowKey(user), row.Encode())}}, row.Generation, device.Cause{Why: why, By: somebody}
}

func (c *chronicle) keepOnly(t *rapid.T) error {
	rec := c.some(t)
	txn, generation, cause := c.raised(rec.User, device.PasswordChanged, 1)
	return c.reg.KeepOnly(context.Background(), as(rec), generation, txn, cause)
}

func (c *chronicle) endAll(t *rapid.T) error {
	user := c.someUser(t)
	txn, _, cause := c.raised(user, device.RevokedByAdmin, 0)
	_, err := c.reg.EndAll(context.Background(), user, txn, cause)
	return err
}

// disable raises the generation also where nothing lives, as the change of an account does.
func (c *chronicle) disable(t *rapid.T) error {
	user := c.someUser(t)
	txn, _, cause := c.raised(user, device.InactiveAccount, 0)
	return c.reg.EndWith(context.Background(), user, txn, cause)
}

func (c *chronicle) move(t *rapid.T) error {
	rec := c.some(t)
	use := c.use(rec)
	use.From = netip.MustParseAddr(rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2"}).Draw(t, "to"))
	c.index.Check(use)
	return nil
}

func (c *chronicle) refresh(t *rapid.T) error {
	rec := c.some(t)
	_, err := c.reg.Update(context.Background(), rec.User, rec.UID, func(r *device.Record) error {
		r.LastSeen, r.ExpiresAt = c.clock.Now(), c.clock.Now().Add(lifetime)
		return nil
	})
	return err
}

func (c *chronicle) sweep(t *rapid.T) error {
	_, err := c.reg.Sweep(context.Background(), c.someUser(t), c.clock.Now().Add(-keep), false)
	return err
}

func (c *chronicle) forget(*rapid.T) error {
	_, err := c.reg.Forget(context.Background(), 3)
	return err
}

func (c *chronicle) wait(t *rapid.T) error {
	c.clock.Advance(rapid.SampledFrom([]time.Duration{time.Millisecond, keep, lifetime - keep}).Draw(t, "for"))
	return nil
}

// over waits until every device has ended and is forgotten.
func (c *chronicle) over(t *rapid.T) {
	c.clock.Advance(lifetime)
	c.check(t)
	for range 2 { // those that expired go at once, those that ended after keep
		if err := c.reg.Flush(context.Background()); err != nil {
			t.Fatalf("flush: %v", err)
		}
		for n := 1; n > 0; {
			var err error
			if n, err = c.reg.Forget(context.Background(), 50); err != nil {
				t.Fatalf("forget: %v", err)
			}
		}
		c.clock.Advance(keep)
	}
	c.check(t)
	for uid := range c.fates {
		if _, there := c.index.Known().Devices[uid]; there {
			t.Errorf("device %v is still known", uid)
		}
	}
}

// check compares, for each device that ever signed in, its row with the events that are stored.
func (c *chronicle) check(t *rapid.T) {
	known := c.index.Known()
	own := map[uuid.UUID][]string{} // the events of a device's end; of all of a user's: under the user's id
	for _, user := range c.users {
		for _, e := range c.checkTold(t, user) {
			if e.Kind == activity.DeviceEnded && e.Device == (uuid.UUID{}) {
				own[user] = append(own[user], e.Reason)
			} else if e.Kind == activity.DeviceEnded {
				own[e.Device] = append(own[e.Device], e.Reason)
			}
		}
		want := 0
		for g := uint32(2); g <= known.Users[user].Generation; g++ {
			if c.ending[generation{user, g}] {
				want++
			}
		}
		if len(own[user]) != want {
			t.Errorf("everything of a user ended %d times, with the events %q", want, own[user])
		}
	}
	for _, rec := range c.recs {
		row, there := known.Devices[rec.UID]
		if there {
			c.fates[rec.UID] = fate{row, row.Generation < known.Users[row.User].Generation}
		}
		last, was := c.fates[rec.UID]
		if !was {
			continue // its sign-in failed
		}
		var want []string
		switch {
		case last.Ended != 0:
			want = []string{last.Ended.String()}
		case !there && !last.withAll:
			want = []string{"expired"}
		}
		if diff := cmp.Diff(want, own[rec.UID]); diff != "" {
			t.Errorf("device %d (%+v, known: %v): the events of its end -want +got:\n%s", rec.Ordinal, last, there, diff)
		}
	}
}

// checkTold compares what the store has of the user's events with what was told, and returns it. What an
// answer was lost of is not told.
func (c *chronicle) checkTold(t *rapid.T, user uuid.UUID) (stored []activity.Event) {
	var told, want []uuid.UUID
	for _, e := range c.reg.told() {
		if e.User == user {
			told = append(told, e.ID)
		}
	}
	stored = c.stored(t, user)
	for _, e := range stored {
		if !c.lost || slices.Contains(told, e.ID) {
			want = append(want, e.ID)
		}
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("events -stored +told:\n%s", diff)
	}
	return stored
}
