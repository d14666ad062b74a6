package activity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/dbtest"
)

func TestGet(t *testing.T) {
	d := newDesk(t)
	told := d.commit(t, madeUp("a"), failure(user(1)), success(user(1)), activity.Event{Kind: activity.Admin, Outcome: activity.Success})
	for _, ev := range told {
		if got, err := d.Get(t.Context(), ev.User, ev.ID); err != nil || got != ev {
			t.Errorf("got %+v, %v; want %+v", got, err, ev)
		}
		if _, err := d.Get(t.Context(), user(2), ev.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("another user's event: %v, want %v", err, db.ErrNotFound)
		}
	}
}

func TestAmend(t *testing.T) {
	d := newDesk(t)
	for _, ev := range d.commit(t, success(user(1)), failure(user(1)), madeUp("a")) {
		err := d.Amend(t.Context(), ev.User, ev.ID, func(e *activity.Event) {
			if *e != ev {
				t.Errorf("change is given %+v, want %+v", *e, ev)
			}
			*e = activity.Event{User: user(9), Outcome: activity.Success, Reason: "none", City: strings.Repeat("x", 1000), NewCountry: true}
		})
		want := ev
		want.NameTried, want.City, want.NewCountry = "", strings.Repeat("x", 100), true
		if got, getErr := d.Get(t.Context(), ev.User, ev.ID); err != nil || getErr != nil || got != want {
			t.Errorf("amend = %v, then %+v, %v; want %+v", err, got, getErr, want)
		}
	}
	if told := d.heard(); len(told) != 0 {
		t.Errorf("the sink was told %v", told)
	}
	d.stored(t)
}

func TestAmendOfNothing(t *testing.T) {
	d := newDesk(t)
	if err := d.Amend(t.Context(), user(1), uuid.UUID{1}, func(*activity.Event) { t.Error("change was called") }); err != nil {
		t.Errorf("amend of what is not there: %v", err)
	}
}

// Whoever amends at the same time loses nothing, and an event that goes meanwhile does not come back.
func TestAmendMeanwhile(t *testing.T) {
	d := newDesk(t)
	ev := d.commit(t, success(user(1)))[0]
	first := true
	err := d.Amend(t.Context(), ev.User, ev.ID, func(e *activity.Event) {
		if e.Region = "A"; first {
			first = false
			if err := d.Amend(t.Context(), ev.User, ev.ID, func(e *activity.Event) { e.City = "B" }); err != nil {
				t.Errorf("the inner amend: %v", err)
			}
		}
	})
	if got, _ := d.Get(t.Context(), ev.User, ev.ID); err != nil || got.Region != "A" || got.City != "B" {
		t.Errorf("amend = %v, then %+v; want region A and city B", err, got)
	}
	key := "e/" + ev.User.String() + "/k/" + activity.PlaceOf(ev.ID)
	err = d.Amend(t.Context(), ev.User, ev.ID, func(*activity.Event) {
		dbtest.MustCommit(t, d.store, db.Txn{Writes: []db.Write{db.Delete(key)}})
	})
	if _, getErr := d.Get(t.Context(), ev.User, ev.ID); err != nil || !errors.Is(getErr, db.ErrNotFound) {
		t.Errorf("amend = %v, then %v; want nil and %v", err, getErr, db.ErrNotFound)
	}
}

// Events of another version and damaged ones are named, not skipped.
func TestUnreadable(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"no JSON", "x", "cannot be read"},
		{"newer", `{"schema":2}`, "schema 2"},
		{"no schema", `{}`, "schema 0"},
		{"another's", `{"schema":1,"id":"00000000-0000-7000-8000-000000000001"}`, "of another event"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			ev := d.commit(t, success(user(1)))[0]
			key := "e/" + ev.User.String() + "/k/" + activity.PlaceOf(ev.ID)
			dbtest.MustPut(t, d.store, key, c.value)
			one := user(1)
			_, _, list := d.List(t.Context(), activity.Query{}, uuid.UUID{}, 10)
			_, _, own := d.List(t.Context(), activity.Query{User: &one}, uuid.UUID{}, 10)
			_, get := d.Get(t.Context(), one, ev.ID)
			amend := d.Amend(t.Context(), one, ev.ID, func(*activity.Event) { t.Error("change was called") })
			for what, err := range map[string]error{"list": list, "own list": own, "get": get, "amend": amend} {
				if err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s = %v, want the key and %q", what, err, c.want)
				}
			}
		})
	}
}
