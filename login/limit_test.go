package login_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// With a limit of one the device put out is refused, and told why, as soon as the sign-in is answered.
func TestReplaced(t *testing.T) {
	cfg := within(3)
	cfg.Limits.ByRole = map[string]int{"staff": 1}
	g := newGate(t, cfg)
	u := g.user(t, "alice", "guest", "staff")
	last := g.signIn(t, "alice")
	want := map[uuid.UUID][]device.EndReason{}
	for range 3 {
		s := g.signIn(t, "alice")
		g.want(t, u, last, reason.DeviceReplaced)
		_, err := g.Refresh(t.Context(), last.Refresh, client)
		wantRefused(t, err, reason.DeviceReplaced)
		g.want(t, u, s, reason.OK)
		want[last.Device] = []device.EndReason{device.Replaced}
		last = s
	}
	if diff := cmp.Diff(want, g.journal.ended); diff != "" {
		t.Errorf("journal -want +got:\n%s", diff)
	}
}

// After a restart with a limit of 1 instead of 200 the next sign-in ends all the others, and says so.
func TestLimitLoweredByConfiguration(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "test.db"), newClock()
	g := open(t, path, within(200), c, newRandomness(1))
	u := g.user(t, "alice")
	var all []login.Session
	for range 60 {
		all = append(all, g.signIn(t, "alice"))
	}
	g.close()
	g = open(t, path, within(1), c, newRandomness(2))
	defer g.close()
	if n := len(g.live(t, u)); n != 60 {
		t.Fatalf("%d live devices, want 60", n)
	}
	s := g.signIn(t, "alice")
	g.want(t, u, s, reason.OK)
	for _, old := range all {
		g.want(t, u, old, reason.DeviceReplaced)
		if diff := cmp.Diff([]device.EndReason{device.Replaced}, g.journal.ended[old.Device]); diff != "" {
			t.Errorf("journal -want +got:\n%s", diff)
		}
	}
}

// 64 sign-ins at once against a limit of one: all succeed, one device lives, the last that was written,
// and each of the others was put out once.
func TestParallelSignIns(t *testing.T) {
	g := newGate(t, within(1))
	for round := range times(4) {
		name := fmt.Sprint("alice ", round)
		u := g.user(t, name)
		sessions := make([]login.Session, 64)
		var wg sync.WaitGroup
		for i := range sessions {
			wg.Go(func() { sessions[i] = g.signIn(t, name) })
		}
		wg.Wait()
		live := g.live(t, u)
		if len(live) != 1 || live[0].Ordinal != 64 {
			t.Fatalf("%d live devices, the first is number %d, want number 64 alone", len(live), live[0].Ordinal)
		}
		for _, s := range sessions {
			want := []device.EndReason{device.Replaced}
			if s.Device == live[0].UID {
				g.want(t, u, s, reason.OK)
				want = nil
			} else {
				g.want(t, u, s, reason.DeviceReplaced)
			}
			if diff := cmp.Diff(want, g.journal.ended[s.Device]); diff != "" {
				t.Errorf("journal -want +got:\n%s", diff)
			}
		}
	}
}
