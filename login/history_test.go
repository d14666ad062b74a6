package login_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// Whatever people do in whatever order, with restarts in between: no user ever has more live devices than
// the limit, who goes is who should, nothing that was ended lives, and everything else does. Sixteen people
// act at once, each one step after the other, against a model that knows every answer.
func TestHistories(t *testing.T) {
	for _, c := range []struct {
		name  string
		on    device.OnLimit
		rules device.Rules
	}{
		{"evict_least_recent", device.EvictLeastRecent, device.Rules{AllowDelete: true, AllowUpdate: true}},
		{"evict_oldest, with delays", device.EvictOldest, device.Rules{
			AllowDelete: true, AllowUpdate: true, SeniorityDelay: time.Minute, DeleteDelay: grace, UpdateDelay: time.Second,
		}},
		{"refuse", device.Refuse, device.Rules{AllowDelete: true, AllowUpdate: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, path: filepath.Join(t.TempDir(), "test.db"), rules: c.rules, config: within(3)}
			w.config.RefreshLifetime, w.config.Limits.On = time.Hour, c.on
			w.config.Limits.ByRole = map[string]int{"staff": 1, "field": 2, "lab": 14}
			w.open(newClock())
			defer func() { w.close() }()
			for i := range 16 {
				u := w.user(t, fmt.Sprint("user ", i))
				w.people = append(w.people, &person{Rand: rand.New(rand.NewPCG(uint64(i), uint64(c.on))), User: u, password: secret, limit: 3})
			}
			for range phases {
				w.phase()
			}
			w.told()
		})
	}
}

type world struct {
	*gate
	t      *testing.T
	path   string
	rules  device.Rules
	config login.Config
	starts byte
	people []*person
}

func (w *world) open(c *clock) {
	w.starts++ // a restart does not begin its randomness anew
	var before journal
	if w.gate != nil {
		before.ended = w.journal.ended
	}
	w.gate = open(w.t, w.path, w.config, c, newRandomness(w.starts))
	w.Devices.Rules = w.rules
	w.journal.ended = before.ended
}

// phase is some steps of everybody while the clock stands still, and then what happens to the service.
func (w *world) phase() {
	var all sync.WaitGroup
	for _, who := range w.people {
		all.Go(func() {
			for range 25 {
				w.step(who)
			}
		})
	}
	all.Wait()
	if err := w.Devices.Flush(context.Background()); err != nil {
		w.t.Fatalf("flush: %v", err)
	}
	r := w.people[0].Rand
	w.clock.Advance([]time.Duration{time.Second, grace, keep, 50 * time.Minute}[r.IntN(4)])
	if r.IntN(3) == 0 {
		if _, err := w.Devices.Forget(context.Background(), 100); err != nil {
			w.t.Fatalf("forget: %v", err)
		}
	}
	if r.IntN(4) == 0 {
		w.close()
		w.open(w.clock)
	}
	for _, who := range w.people {
		w.invariants(who, "what happened to the service")
	}
}

var steps = []struct {
	name   string
	weight int
	do     func(*world, *person) error
}{
	{"sign in", 6, (*world).signsIn}, {"refresh", 6, (*world).refreshes}, {"check", 3, (*world).checks},
	{"log out", 1, (*world).logsOut}, {"revoke", 1, (*world).revokes}, {"delete", 2, (*world).deletes},
	{"revoke all", 1, (*world).revokesAll}, {"change a device", 3, (*world).changes}, {"change the password", 2, (*world).changesPassword},
	{"start a reset", 1, (*world).startsReset}, {"reset", 1, (*world).resets}, {"set the password", 1, (*world).setsPassword},
	{"change roles", 2, (*world).setsRoles}, {"disable or enable", 2, (*world).setsDisabled},
}

func (w *world) step(who *person) {
	sum := 0
	for _, s := range steps {
		sum += s.weight
	}
	n := who.IntN(sum)
	for _, s := range steps {
		if n -= s.weight; n < 0 {
			if err := s.do(w, who); err != nil {
				w.t.Errorf("%s: %s: %v", who.Name, s.name, err)
			}
			w.invariants(who, s.name)
			return
		}
	}
}

// invariants compares every session that ever was, and the list, with the model.
func (w *world) invariants(who *person, after string) {
	now, live := w.clock.Now(), who.live(w.clock.Now())
	if len(live) > who.limit {
		w.t.Errorf("%s: the model has %d live devices, limit %d", who.Name, len(live), who.limit)
	}
	for _, p := range who.devices {
		for i, s := range p.sessions {
			want := who.lives(p, now) && i == len(p.sessions)-1
			if why := w.check(who.User, s); (why == reason.OK) != want {
				w.t.Errorf("%s: after %s session %d of device %d answers %v, should live: %v", who.Name, after, i, p.Ordinal, why, want)
			}
		}
	}
	recs, err := w.Devices.List(context.Background(), who.ID)
	if err != nil || len(recs) != len(live) {
		w.t.Errorf("%s: after %s %d live devices, %v, want %d", who.Name, after, len(recs), err, len(live))
		return
	}
	for _, rec := range recs {
		p := who.byUID(rec.UID)
		if p == nil || rec.Ordinal != p.Ordinal || !rec.CreatedAt.Equal(p.CreatedAt) || rec.Name != p.Name || !rec.ExpiresAt.Equal(p.ExpiresAt) ||
			rec.CanDeleteOthers != p.CanDeleteOthers || rec.CanUpdateOthers != p.CanUpdateOthers {
			w.t.Errorf("%s: after %s the record is %+v, want %+v", who.Name, after, rec, p)
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// told checks that nobody was told twice of the end of one device.
func (w *world) told() {
	for _, who := range w.people {
		for _, p := range who.devices {
			if why := w.journal.ended[p.UID]; len(why) > 1 {
				w.t.Errorf("the journal was told of the end of device %d of %s %d times: %v", p.Ordinal, who.Name, len(why), why)
			}
		}
	}
}

// expect compares an answer with the model's: "" for success, a rule's code, or the kind of a refusal.
func expect(err error, want string) error {
	var rule *device.RuleError
	var refused *login.RefusedError
	got := ""
	switch {
	case err == nil:
	case errors.As(err, &rule):
		got = rule.Code
	case errors.As(err, &refused):
		got = "gone"
	default:
		got = err.Error()
	}
	if got != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

func name(r *rand.Rand) string { return strings.Repeat("x", 1+r.IntN(9)) }
