package login_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/login"
	"devicegate/place"
)

// atlas knows places; what it is asked for it tells when the test says so.
type atlas struct {
	known map[string]place.Place
	asked []func(place.Place)
	ips   []netip.Addr
}

func (a *atlas) Find(ip netip.Addr) (place.Place, bool) { p, ok := a.known[ip.String()]; return p, ok }

func (a *atlas) Ask(ip netip.Addr, then func(place.Place)) {
	a.ips, a.asked = append(a.ips, ip), append(a.asked, then)
}

// with the atlas, a second service on the gate's store.
func (g *gate) withPlaces(t *testing.T, a *atlas) *gate {
	t.Helper()
	o := g.with(g.hasher)
	o.Places = a
	service, err := login.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	other := *g
	other.Service = service
	return &other
}

// newest returns the newest event of the user.
func (g *gate) newest(t *testing.T, user uuid.UUID) activity.Event {
	t.Helper()
	events, _, err := g.log.List(t.Context(), activity.Query{User: &user}, uuid.UUID{}, 1)
	if err != nil || len(events) != 1 {
		t.Fatalf("the newest event: %v, %v", events, err)
	}
	return events[0]
}

func TestNewNetwork(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	for i, c := range []struct {
		ip    string
		isNew bool
	}{
		{"192.0.2.7", false}, // the first: there is nothing to compare it with
		{"192.0.2.99", false},
		{"::ffff:192.0.2.1", false},
		{"198.51.100.1", true},
		{"198.51.100.2", false},
		{"2001:db8:1::1", true},
		{"2001:db8:1:ffff::1", false},
		{"2001:db8:2::1", true},
		{"192.0.2.8", false},
	} {
		if _, err := g.tryFrom(t, "alice", secret, c.ip); err != nil {
			t.Fatal(err)
		}
		if e := g.newest(t, u.ID); e.NewNetwork != c.isNew || e.NewCountry {
			t.Errorf("sign-in %d from %s: new_network %v, want %v", i, c.ip, e.NewNetwork, c.isNew)
		}
	}
	// A failure teaches nothing: it may be anybody's.
	if _, err := g.tryFrom(t, "alice", "wrong", "203.0.113.5"); err == nil {
		t.Fatal("a wrong password signed in")
	}
	if _, err := g.tryFrom(t, "alice", secret, "203.0.113.5"); err != nil || !g.newest(t, u.ID).NewNetwork {
		t.Errorf("a network known only from a failure is not new: %v", err)
	}
}

// What is remembered is bounded, and what was used longest ago goes first.
func TestWhereaboutsAreBounded(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	from := func(i int) bool {
		g.clock.Advance(time.Hour)
		if _, err := g.tryFrom(t, "alice", secret, fmt.Sprintf("10.0.%d.1", i)); err != nil {
			t.Fatal(err)
		}
		return g.newest(t, u.ID).NewNetwork
	}
	for i := range 51 {
		if isNew := from(i); isNew != (i > 0) {
			t.Fatalf("network %d: new %v", i, isNew)
		}
	}
	if from(50) || !from(0) {
		t.Error("the last network is forgotten, or the first is not")
	}
}

// A place that is known at once stands in the event and at the device; the country is new once.
func TestPlaceAtOnce(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	berlin, lyon := place.Place{Country: "DE", Region: "Berlin", City: "Mitte"}, place.Place{Country: "FR", City: "Lyon"}
	a := &atlas{known: map[string]place.Place{"192.0.2.7": berlin, "192.0.2.8": lyon}}
	h := g.withPlaces(t, a)
	for i, c := range []struct {
		ip    string
		place place.Place
		isNew bool
	}{{"192.0.2.7", berlin, false}, {"192.0.2.8", lyon, true}, {"192.0.2.8", lyon, false}, {"192.0.2.7", berlin, false}} {
		s, err := h.tryFrom(t, "alice", secret, c.ip)
		if err != nil {
			t.Fatal(err)
		}
		e := g.newest(t, u.ID)
		if (place.Place{Country: e.Country, Region: e.Region, City: e.City}) != c.place || e.NewCountry != c.isNew {
			t.Errorf("sign-in %d: %+v", i, e)
		}
		rec, err := g.Devices.Get(t.Context(), u.ID, s.Device)
		if err != nil || (place.Place{Country: rec.Country, Region: rec.Region, City: rec.City}) != c.place {
			t.Errorf("sign-in %d: the device is in %+v, %v", i, rec, err)
		}
	}
	if _, err := h.tryFrom(t, "alice", "wrong", "192.0.2.8"); err == nil || g.newest(t, u.ID).Country != "FR" {
		t.Error("a failure does not say where it came from")
	}
	if len(a.asked) != 0 {
		t.Error("somebody was asked for what is known")
	}
}

// A place that arrives later is written to the event, the device and what is known of the user; not to a device
// that was signed in on since.
func TestPlaceLater(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	a := &atlas{}
	h := g.withPlaces(t, a)
	if _, err := h.tryFrom(t, "alice", "wrong", "192.0.2.8"); err == nil || len(a.asked) != 0 {
		t.Fatalf("%d questions about a failed attempt", len(a.asked))
	}
	first, err := h.tryFrom(t, "alice", secret, "192.0.2.7")
	if err != nil || len(a.asked) != 1 {
		t.Fatalf("%v, %d questions", err, len(a.asked))
	}
	a.asked[0](place.Place{Country: "DE", City: "Berlin"})
	if e := g.newest(t, u.ID); e.Country != "DE" || e.City != "Berlin" || e.NewCountry || e.Device != first.Device {
		t.Errorf("the event: %+v", e)
	}
	if rec, err := g.Devices.Get(t.Context(), u.ID, first.Device); err != nil || rec.Country != "DE" {
		t.Errorf("the device: %+v, %v", rec, err)
	}
	second, err := h.SignIn(context.Background(), login.SignIn{Name: "alice", Password: secret, Client: client, Refresh: first.Refresh})
	if err != nil || second.Device != first.Device {
		t.Fatalf("the known device: %v", err)
	}
	a.asked[0](place.Place{Country: "FR"}) // late, and about the sign-in before
	if rec, err := g.Devices.Get(t.Context(), u.ID, first.Device); err != nil || rec.Country != "" {
		t.Errorf("the device was given the place of an earlier sign-in: %+v, %v", rec, err)
	}
	a.asked[1](place.Place{Country: "AT"})
	if e := g.newest(t, u.ID); e.Country != "AT" || !e.NewCountry {
		t.Errorf("the event: %+v", e)
	}
	if err := h.DeleteUser(t.Context(), operator, u.ID); err != nil {
		t.Fatal(err)
	}
	a.asked[1](place.Place{Country: "CH"})
	if _, err := g.store.Get(t.Context(), "p/"+u.ID.String()); err == nil {
		t.Error("a place of a user who is gone was remembered")
	}
}

// A place that arrives while its user is deleted is not written: what is left of him would stay for ever. He
// has signed in from nowhere known, so that there is no record yet whose end would be noticed.
func TestPlaceOfAUserWhoIsJustGone(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	a, store, users := &atlas{}, &meanwhile{Store: g.store}, *g.Users
	users.Store = store
	o := g.with(g.hasher)
	o.Users, o.Places = &users, a
	service, err := login.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.SignIn(t.Context(), login.SignIn{Name: "alice", Password: secret}); err != nil || len(a.asked) != 1 {
		t.Fatalf("%v, %d questions", err, len(a.asked))
	}
	deleted := false
	store.once = func() { deleted = g.DeleteUser(t.Context(), operator, u.ID) == nil }
	a.asked[0](place.Place{Country: "DE"})
	left, _, err := g.store.Range(t.Context(), "p/", db.PrefixEnd("p/"), 10)
	if !deleted || err != nil || len(left) != 0 {
		t.Errorf("deleted %v, %d records are left, %v", deleted, len(left), err)
	}
}
