package device_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/device"
	"devicegate/reason"
)

const window = time.Minute

// moving is a gate that looks at changes of address, and counts how often one was told.
type moving struct {
	*gate
	mu   sync.Mutex
	told []netip.Addr // whence
}

func newMoving(t *testing.T, change device.IPChange) *moving {
	t.Helper()
	m := &moving{}
	change.Window = window
	change.Told = func(_ device.Use, before netip.Addr) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.told = append(m.told, before)
	}
	store := dbtest.New(t)
	m.gate = followWith(t, store, newClock(), change)
	t.Cleanup(m.stop)
	return m
}

func (m *moving) from(rec device.Record, addr string) reason.Reason {
	use := m.use(rec)
	if addr != "" {
		use.From = netip.MustParseAddr(addr)
	}
	_, why := m.index.Check(use)
	return why
}

func (m *moving) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.told)
}

// Which step from one use to the next is a change of address.
func TestWhatCountsAsAChange(t *testing.T) {
	for _, c := range []struct {
		name         string
		before, next string
		after        time.Duration
		counts       bool
	}{
		{"another IPv4 address", "192.0.2.1", "192.0.2.2", 0, true},
		{"at the end of the window", "192.0.2.1", "192.0.2.2", window, true},
		{"behind the window", "192.0.2.1", "192.0.2.2", window + ms, false},
		{"the same address", "192.0.2.1", "192.0.2.1", 0, false},
		{"the same, written as IPv6", "192.0.2.1", "::ffff:192.0.2.1", 0, false},
		{"another, written as IPv6", "192.0.2.1", "::ffff:192.0.2.2", 0, true},
		{"to IPv6", "192.0.2.1", "2001:db8::1", 0, false},
		{"to IPv4", "2001:db8::1", "192.0.2.1", 0, false},
		{"within one /64", "2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", 0, false},
		{"to another /64", "2001:db8:0:1::1", "2001:db8:0:2::1", 0, true},
		{"from nowhere known", "", "192.0.2.2", 0, false},
		{"to nowhere known", "192.0.2.1", "", 0, false},
		{"from an exempt network", "100.64.3.4", "192.0.2.2", 0, false},
		{"to an exempt network", "192.0.2.1", "100.64.3.4", 0, false},
		{"within an exempt network", "100.64.3.4", "100.65.3.4", 0, false},
		{"from an exempt IPv6 network", "2001:db8:ffff::1", "2001:db8::1", 0, false},
	} {
		for _, action := range []string{"off", "note", "revoke"} {
			m := newMoving(t, device.IPChange{Note: action == "note", Revoke: action == "revoke", Exempt: []netip.Prefix{
				netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("2001:db8:ffff::/48"),
			}})
			rec := m.add(t, m.user(t))
			if why := m.from(rec, c.before); why != reason.OK {
				t.Errorf("%s, %s: the first use: %v", c.name, action, why)
			}
			m.clock.Advance(c.after)
			want, told := reason.OK, 0
			if c.counts && action != "off" {
				told = 1
			}
			if c.counts && action == "revoke" {
				want = reason.DeviceCompromised
			}
			if why := m.from(rec, c.next); why != want || m.count() != told {
				t.Errorf("%s, %s: %v, told %d times, want %v, %d", c.name, action, why, m.count(), want, told)
			}
			m.want(t, rec, want)
		}
	}
}

// A client between two networks is noted once in a window, not with every check; a flush changes nothing
// about it.
func TestNotedOncePerWindow(t *testing.T) {
	m := newMoving(t, device.IPChange{Note: true})
	rec := m.add(t, m.user(t))
	m.from(rec, "192.0.2.1")
	for i := range 30 { // a step every five seconds, for two and a half windows
		m.from(rec, []string{"192.0.2.2", "192.0.2.1"}[i%2])
		m.flush(t)
		m.clock.Advance(5 * time.Second)
	}
	if n := m.count(); n != 3 {
		t.Errorf("told %d times, want 3", n)
	}
	if m.told[0] != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("told whence: %v", m.told[0])
	}
}

// flush returns whom it ended, and how often that was told.
func (g *gate) flush(t tb) map[uuid.UUID]int {
	t.Helper()
	before := len(g.reg.told())
	if err := g.reg.Flush(context.Background()); err != nil {
		t.Fatalf("flush: %v", err)
	}
	return endedAs(g.reg.told()[before:], device.IPChanged)
}

// From the very check on that saw the change every check is refused, also those from the first address and
// those that run at the same moment; the next flush makes it last.
func TestRevokedByAChange(t *testing.T) {
	m := newMoving(t, device.IPChange{Revoke: true})
	user := m.user(t)
	rec, other := m.add(t, user), m.add(t, user)
	m.from(rec, "192.0.2.1")
	m.from(other, "192.0.2.1")
	m.flush(t)
	if why := m.from(rec, "192.0.2.2"); why != reason.DeviceCompromised {
		t.Fatalf("the check answers %v", why)
	}
	select {
	case <-m.index.Urgent():
	default:
		t.Error("nobody was told to flush")
	}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if why := m.from(rec, []string{"192.0.2.1", "192.0.2.2", "", "2001:db8::1"}[i%4]); why != reason.DeviceCompromised {
				t.Errorf("a check answers %v", why)
			}
		})
	}
	wg.Wait()
	m.want(t, rec, reason.DeviceCompromised)
	if m.count() != 1 {
		t.Errorf("told %d times", m.count())
	}
	if len(m.index.Urgent()) != 0 {
		t.Error("later checks call for another flush")
	}
	// It has ended, so it is no proof any more, and what signs in beside it is new.
	fresh := m.again(t, rec)
	if fresh.UID == rec.UID {
		t.Error("a device that must end was signed in on")
	}
	if ended := m.flush(t); len(ended) != 1 || ended[rec.UID] != 1 {
		t.Errorf("the flush ended %v", ended)
	}
	m.want(t, rec, reason.DeviceCompromised)
	m.want(t, other, reason.OK)
	m.want(t, fresh, reason.OK)
	row, err := m.store.Get(t.Context(), device.DeviceRowKey(rec.UID))
	if got, _ := device.DecodeDeviceRow(row.Value); err != nil || got.Ended != device.IPChanged {
		t.Errorf("its row says %v, %v", got.Ended, err)
	}
	if n := m.index.Noted(); n != 0 {
		t.Errorf("%d marks are left", n)
	}
	if ended := m.flush(t); len(ended) != 0 {
		t.Errorf("a second flush ended %v", ended)
	}
	m.from(rec, "192.0.2.1")
	if len(m.index.Urgent()) != 0 {
		t.Error("a check of an ended device calls for a flush")
	}
}

// Two at once from two addresses: one of them is let pass at most, and afterwards nobody.
func TestParallelChange(t *testing.T) {
	m := newMoving(t, device.IPChange{Revoke: true})
	user := m.user(t)
	for range 50 {
		rec := m.add(t, user)
		var whys [2]reason.Reason
		var wg sync.WaitGroup
		for i, addr := range []string{"192.0.2.1", "192.0.2.2"} {
			wg.Go(func() { whys[i] = m.from(rec, addr) })
		}
		wg.Go(func() { _ = m.reg.Flush(t.Context()) })
		wg.Wait()
		if (whys[0] == reason.OK) == (whys[1] == reason.OK) {
			t.Errorf("the two checks answer %v", whys)
		}
		m.want(t, rec, reason.DeviceCompromised)
	}
}

// A store that cannot take the end changes nothing about the refusal, and the end is tried again.
func TestRevokeThatCannotBeStored(t *testing.T) {
	m := newMoving(t, device.IPChange{Revoke: true})
	faulty := dbtest.NewFaulty(m.store)
	m.reg.through(faulty)
	rec := m.add(t, m.user(t))
	m.from(rec, "192.0.2.1")
	m.from(rec, "192.0.2.2")
	faulty.FailCommits(db.ErrUnavailable, false)
	if err := m.reg.Flush(t.Context()); err == nil {
		t.Error("Flush = nil")
	}
	if told := endedAs(m.reg.told(), device.IPChanged); len(told) != 0 {
		t.Errorf("told of an end that did not happen: %v", told)
	}
	m.want(t, rec, reason.DeviceCompromised)
	faulty.FailCommits(nil, false)
	if ended := m.flush(t); ended[rec.UID] != 1 {
		t.Errorf("the flush ended %v", ended)
	}
	m.want(t, rec, reason.DeviceCompromised)
}

// Who signs in on the device again proves himself by the password: the step from his old address to the new
// one is none, and a change that his old tokens were refused for does not end what he has signed in.
func TestSignInStartsAnew(t *testing.T) {
	m := newMoving(t, device.IPChange{Revoke: true})
	rec := m.add(t, m.user(t))
	m.from(rec, "192.0.2.1")
	fresh := m.again(t, rec)
	if fresh.UID != rec.UID {
		t.Fatal("it is another device")
	}
	if why := m.from(fresh, "192.0.2.2"); why != reason.OK || m.count() != 0 {
		t.Errorf("the first use elsewhere: %v, told %d times", why, m.count())
	}
	if why := m.from(fresh, "192.0.2.1"); why != reason.DeviceCompromised {
		t.Errorf("back again: %v", why)
	}
}

// A change that old tokens are refused for while a sign-in is under way ends nothing that it has signed in;
// and the flush that finds so forgets no mark that the new tokens have earned meanwhile.
func TestChangeDuringASignIn(t *testing.T) {
	m := newMoving(t, device.IPChange{Revoke: true})
	rec := m.add(t, m.user(t))
	m.from(rec, "192.0.2.1")
	n := newDevice(uuid.New(), rec.User)
	n.Proves = func(r device.Record) bool { return r.UID == rec.UID }
	n.Issue = func(uuid.UUID, uint32) (refresh, cookie []byte, err error) {
		if why := m.from(rec, "192.0.2.2"); why != reason.DeviceCompromised {
			t.Errorf("the old tokens are answered %v", why)
		}
		return []byte("hash"), nil, nil
	}
	fresh, _, err := m.reg.Add(t.Context(), n, device.Limit{Count: 9}, db.Txn{})
	if err != nil || fresh.UID != rec.UID {
		t.Fatalf("Add = %v, %v", fresh.UID, err)
	}
	m.want(t, fresh, reason.OK)
	m.reg.through(&held{Store: m.store, ranged: func() {
		m.from(fresh, "192.0.2.3")
		m.from(fresh, "192.0.2.4")
	}})
	if ended := m.flush(t); len(ended) != 0 {
		t.Errorf("the flush ended %v", ended)
	}
	m.reg.through(m.store)
	m.want(t, fresh, reason.DeviceCompromised)
	if ended := m.flush(t); ended[fresh.UID] != 1 {
		t.Errorf("the next flush ended %v", ended)
	}
}

// The same over a restart: what was flushed is compared, and says of which sign-in it is.
func TestChangeOverARestart(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "test.db"), newClock()
	s := mustOpen(t, path)
	m := &moving{gate: followWith(t, s, c, device.IPChange{Revoke: true, Window: window})}
	user := m.user(t)
	rec, again := m.add(t, user), m.add(t, user)
	m.from(rec, "192.0.2.1")
	m.from(again, "192.0.2.1")
	m.flush(t)
	again = m.again(t, again)
	m.stop()
	_ = s.Close()
	s = mustOpen(t, path)
	defer s.Close()
	m.gate = followWith(t, s, c, device.IPChange{Revoke: true, Window: window})
	defer m.stop()
	if why := m.from(rec, "192.0.2.2"); why != reason.DeviceCompromised {
		t.Errorf("after a restart: %v", why)
	}
	if why := m.from(again, "192.0.2.2"); why != reason.OK {
		t.Errorf("after a restart, signed in again: %v", why)
	}
}
