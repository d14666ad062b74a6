package device_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"devicegate/device"
)

// Whatever has happened, a restart finds the same: the index is what the store says and nothing more.
func TestRefillIsTheSame(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path, c := filepath.Join(dir, fmt.Sprint(n, ".db")), newClock()
		s := mustOpen(t, path)
		g := follow(t, s, c)
		h := &history{gate: g, users: []uuid.UUID{g.user(t), g.user(t), g.user(t)}}
		t.Repeat(map[string]func(*rapid.T){"sign in": h.signIn, "end": h.end, "end all": h.endAll, "user": h.user, "sweep": h.sweep, "wait": h.wait})
		before := g.index.Known()
		g.stop()
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		s = mustOpen(t, path)
		g = follow(t, s, c)
		if diff := cmp.Diff(before, g.index.Known()); diff != "" {
			t.Errorf("after a restart -want +got:\n%s", diff)
		}
		g.stop()
		_ = s.Close() // nothing was written
	})
}

// history is what may happen to a gate.
type history struct {
	*gate
	users []uuid.UUID
	recs  []device.Record
}

func (h *history) signIn(t *rapid.T) {
	rec, _ := h.addWithin(t, rapid.SampledFrom(h.users).Draw(t, "user"), rapid.IntRange(1, 4).Draw(t, "limit"))
	h.recs = append(h.recs, rec)
}

func (h *history) end(t *rapid.T) {
	if len(h.recs) == 0 {
		return
	}
	rec := rapid.SampledFrom(h.recs).Draw(t, "device")
	_ = h.reg.End(context.Background(), rec.User, rec.UID, words.Filter(func(w device.EndReason) bool { return w != 0 }).Draw(t, "why")) // may be gone
}

func (h *history) endAll(t *rapid.T) {
	user := rapid.SampledFrom(h.users).Draw(t, "user")
	if _, err := h.reg.EndWhere(context.Background(), user, device.RevokeAll, func(device.Record) bool { return true }); err != nil {
		t.Fatalf("end all: %v", err)
	}
}

func (h *history) user(t *rapid.T) {
	h.setUser(t, rapid.SampledFrom(h.users).Draw(t, "user"), device.UserRow{
		Disabled: rapid.Bool().Draw(t, "disabled"), Generation: rapid.Uint32Range(1, 2).Draw(t, "generation"),
		Ended: words.Draw(t, "ended"), EndedAt: h.clock.Now(), Name: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "name"),
		Roles: rapid.SampledFrom([][]string{nil, {"x"}, {"x", "y"}}).Draw(t, "roles"),
	})
}

func (h *history) sweep(t *rapid.T) {
	if _, err := h.reg.Forget(context.Background(), 3); err != nil {
		t.Fatalf("sweep: %v", err)
	}
}

func (h *history) wait(t *rapid.T) {
	h.clock.Advance(rapid.SampledFrom([]time.Duration{time.Millisecond, keep, lifetime}).Draw(t, "for"))
}
