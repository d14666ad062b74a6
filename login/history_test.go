package login_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"devicegate/login"
	"devicegate/reason"
)

// A model of what people may rely on: whatever they do in whatever order, with restarts in between, no
// user ever has more live devices than the limit, nothing that was ended lives, and what was not ended
// does.
func TestHistories(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		m := &model{path: filepath.Join(dir, fmt.Sprint(n, ".db")), limit: rapid.IntRange(1, 3).Draw(t, "limit")}
		m.gate = open(t, m.path, m.config(), newClock(), newRandomness(1))
		defer func() { m.close() }()
		for _, name := range []string{"alice", "bob"} {
			m.people = append(m.people, &person{User: m.user(t, name)})
		}
		t.Repeat(map[string]func(*rapid.T){
			"sign in": m.signIn, "refresh": m.refresh, "retry": m.retry, "reuse": m.reuse, "check": m.see,
			"log out": m.logout, "revoke": m.revoke, "delete": m.delete, "revoke all": m.revokeAll,
			"disable": m.setDisabled, "wait": m.wait, "sweep": m.sweep, "restart": m.restart,
			"": m.invariants,
		})
	})
}

type person struct {
	login.User
	disabled bool
	devices  []*phone
}

type phone struct {
	login.Session
	owner   *person
	tokens  []string // all it ever had; the last is current
	rotated time.Time
	expires time.Time
	ended   bool
}

type model struct {
	*gate
	path   string
	limit  int
	starts byte
	people []*person
}

func (m *model) config() login.Config {
	cfg := within(m.limit)
	cfg.RefreshLifetime = time.Hour
	return cfg
}

func (m *model) lives(p *phone) bool { return !p.ended && m.clock.Now().Before(p.expires) }

func (m *model) person(t *rapid.T) *person { return rapid.SampledFrom(m.people).Draw(t, "person") }

// phone picks any device there ever was; nil when the person has none yet.
func (m *model) phone(t *rapid.T) *phone {
	who := m.person(t)
	if len(who.devices) == 0 {
		return nil
	}
	return rapid.SampledFrom(who.devices).Draw(t, "device")
}

func (m *model) invariants(t *rapid.T) {
	for _, who := range m.people {
		live := 0
		for _, p := range who.devices {
			why := m.check(who.User, p.Session)
			if (why == reason.OK) != m.lives(p) {
				t.Fatalf("the check of a device of %s answers %v, it should live: %v", who.Name, why, m.lives(p))
			}
			if m.lives(p) {
				live++
			}
		}
		if got := len(m.live(t, who.User)); got != live || live > m.limit {
			t.Fatalf("%s has %d live devices, want %d, never over %d", who.Name, got, live, m.limit)
		}
	}
}

func (m *model) signIn(t *rapid.T) {
	who := m.person(t)
	s, err := m.trySignIn(who.Name)
	if (err != nil) != who.disabled {
		t.Fatalf("sign-in of %s, disabled: %v: %v", who.Name, who.disabled, err)
	}
	if err != nil {
		return
	}
	before := m.count(who)
	for _, p := range who.devices { // who goes is the limit's matter; here only how many, and why
		p.ended = p.ended || m.lives(p) && m.check(who.User, p.Session) == reason.DeviceReplaced
	}
	if live := m.count(who) + 1; live != min(before+1, m.limit) {
		t.Fatalf("%d live devices after a sign-in beside %d, want %d", live, before, min(before+1, m.limit))
	}
	who.devices = append(who.devices, &phone{Session: s, owner: who, tokens: []string{s.Refresh}, expires: m.clock.Now().Add(time.Hour)})
}

func (m *model) count(who *person) int {
	n := 0
	for _, p := range who.devices {
		if m.lives(p) {
			n++
		}
	}
	return n
}

func (m *model) refresh(t *rapid.T) {
	p := m.phone(t)
	if p == nil {
		return
	}
	s, err := m.Refresh(context.Background(), p.tokens[len(p.tokens)-1], client)
	if (err == nil) != m.lives(p) {
		t.Fatalf("refresh = %v, the device should live: %v", err, m.lives(p))
	}
	if err == nil {
		p.tokens = append(p.tokens, s.Refresh)
		p.rotated, p.expires = m.clock.Now(), m.clock.Now().Add(time.Hour)
	}
}

// retry shows the previous token: the same successor within the grace, the end after it.
func (m *model) retry(t *rapid.T) {
	p := m.phone(t)
	if p == nil || len(p.tokens) < 2 {
		return
	}
	s, err := m.Refresh(context.Background(), p.tokens[len(p.tokens)-2], client)
	if fine := m.lives(p) && m.clock.Now().Sub(p.rotated) <= grace; (err == nil) != fine {
		t.Fatalf("retry = %v, want success: %v", err, fine)
	}
	if err == nil && s.Refresh != p.tokens[len(p.tokens)-1] {
		t.Fatalf("retry made another successor")
	}
	p.ended = p.ended || err != nil
}

// reuse shows a token older than the previous one.
func (m *model) reuse(t *rapid.T) {
	p := m.phone(t)
	if p == nil || len(p.tokens) < 3 {
		return
	}
	if _, err := m.Refresh(context.Background(), p.tokens[0], client); err == nil {
		t.Fatalf("an old token was taken")
	}
	p.ended = true
}

func (m *model) see(t *rapid.T) {
	p := m.phone(t)
	if p == nil {
		return
	}
	m.index.Check(p.owner.ID, p.Device, m.clock.Now())
}

func (m *model) logout(t *rapid.T) {
	p := m.phone(t)
	if p == nil {
		return
	}
	if err := m.Logout(context.Background(), p.owner.ID, p.Device); err != nil {
		t.Fatalf("logout: %v", err)
	}
	p.ended = true
}

func (m *model) revoke(t *rapid.T) {
	p := m.phone(t)
	if p == nil {
		return
	}
	if err := m.Revoke(context.Background(), rapid.SampledFrom(p.tokens).Draw(t, "token")); err != nil {
		t.Fatalf("revoke: %v", err)
	}
	p.ended = true
}

func (m *model) delete(t *rapid.T) {
	actor, target := m.phone(t), m.phone(t)
	if actor == nil || target == nil {
		return
	}
	err := m.EndOther(context.Background(), caller(actor.owner.User, actor.Session), target.Device)
	if fine := actor != target && actor.owner == target.owner && m.lives(target); (err == nil) != fine {
		t.Fatalf("delete = %v, want success: %v", err, fine)
	}
	target.ended = target.ended || err == nil
}

func (m *model) revokeAll(t *rapid.T) {
	actor := m.phone(t)
	if actor == nil {
		return
	}
	if _, err := m.EndOthers(context.Background(), caller(actor.owner.User, actor.Session)); err != nil {
		t.Fatalf("revoke all: %v", err)
	}
	for _, p := range actor.owner.devices {
		p.ended = p.ended || p != actor
	}
}

func (m *model) setDisabled(t *rapid.T) {
	who := m.person(t)
	disabled := rapid.Bool().Draw(t, "disabled")
	m.disable(t, who.User, disabled)
	if disabled {
		for _, p := range who.devices {
			p.ended = true
		}
	}
	who.disabled = disabled
}

func (m *model) wait(t *rapid.T) {
	m.clock.Advance(rapid.SampledFrom([]time.Duration{time.Second, grace, keep, 50 * time.Minute}).Draw(t, "for"))
}

func (m *model) sweep(t *rapid.T) {
	if _, err := m.Devices.Sweep(context.Background(), 10); err != nil {
		t.Fatalf("sweep: %v", err)
	}
}

func (m *model) restart(t *rapid.T) {
	m.close()
	m.starts++ // a restart does not begin its randomness anew
	m.gate = open(t, m.path, m.config(), m.clock, newRandomness(1+m.starts))
}
