package api_test

import (
	"fmt"
	"testing"
	"time"
)

type sweepResult struct {
	Swept int `json:"swept_count"`
	Next  *string
}

func sweeping(pairs ...any) call {
	return call{method: "POST", path: "/admin/devices/sweep", body: object(pairs...)}
}

func TestSweep(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	g.addUser("bob")
	stale, kept, other := g.signIn("alice"), g.signIn("alice"), g.signIn("bob")
	g.clock.forward(10 * 24 * time.Hour)
	kept = decoded[tokens](g.want(200, refreshing(kept.Refresh)))
	week := 7 * 24 * 3600
	for range 2 { // counting changes nothing
		if got := decoded[sweepResult](g.want(200, sweeping("older_than_seconds", week, "dry_run", true))); got != (sweepResult{Swept: 2}) {
			t.Errorf("a dry run = %+v, want 2", got)
		}
	}
	g.want(200, verifying(stale.Refresh))
	if got := decoded[sweepResult](g.want(200, sweeping("older_than_seconds", week))); got != (sweepResult{Swept: 2}) {
		t.Errorf("the sweep = %+v, want 2", got)
	}
	for _, d := range []tokens{stale, other} {
		g.refused(401, "device_not_recognized", refreshing(d.Refresh))
	}
	g.live(kept)
	if got := decoded[sweepResult](g.want(200, sweeping("older_than_seconds", week))); got != (sweepResult{}) {
		t.Errorf("the sweep again = %+v, want 0", got)
	}
}

// TestSweepGoesOn: every user is looked at once, however many pages that takes.
func TestSweepGoesOn(t *testing.T) {
	g := start(t)
	for i := range 201 {
		g.addUser(fmt.Sprint("user ", i))
	}
	g.signIn("user 0")
	g.signIn("user 200")
	g.clock.forward(2 * time.Second)
	first := decoded[sweepResult](g.want(200, sweeping("older_than_seconds", 1)))
	if first.Swept != 1 || first.Next == nil {
		t.Fatalf("the first page = %+v, want 1 swept and a next one", first)
	}
	if got := decoded[sweepResult](g.want(200, sweeping("older_than_seconds", 1, "cursor", *first.Next))); got != (sweepResult{Swept: 1}) {
		t.Errorf("the last page = %+v, want 1 swept", got)
	}
}

func TestSweepsThatAreRefused(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	d := g.signIn("alice")
	for _, c := range []struct{ body, pointers string }{
		{`{}`, "/older_than_seconds"},
		{`{"older_than_seconds":-1}`, "/older_than_seconds"},
		{`{"older_than_seconds":"30d"}`, "/older_than_seconds"},
		{`{"older_than_seconds":1.5}`, "/older_than_seconds"},
		// As a duration these wrap around to a moment in the future, before which everything was used.
		{`{"older_than_seconds":3153600001}`, "/older_than_seconds"},
		{`{"older_than_seconds":9223372037}`, "/older_than_seconds"},
		{`{"older_than_seconds":27670116110}`, "/older_than_seconds"},
		{`{"older_than_seconds":9223372036854775807}`, "/older_than_seconds"},
		{`{"older_than_seconds":99999999999999999999}`, "/older_than_seconds"},
		{`{"older_than_seconds":1,"cursor":"x"}`, "/cursor"},
		{`{"older_than_seconds":1,"dry_run":1}`, "/dry_run"},
	} {
		a := g.refused(400, "invalid", call{method: "POST", path: "/admin/devices/sweep", body: c.body})
		if a.pointers() != c.pointers {
			t.Errorf("%s points to %q, want %q", c.body, a.pointers(), c.pointers)
		}
	}
	g.want(200, sweeping("older_than_seconds", 3153600000))
	g.live(d)
}
