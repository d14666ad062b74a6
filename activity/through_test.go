package activity_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/dbtest"
)

// A commit through the log carries the events of its context, and only together with its own writes.
func TestThrough(t *testing.T) {
	store := dbtest.New(t)
	l := activity.Open(activity.Options{Store: store, Now: time.Now, Rand: rand.NewChaCha8([32]byte{1})})
	through := l.Through(store)
	told := activity.Telling(t.Context(), activity.Event{Kind: activity.Admin, Outcome: activity.Success, Reason: "done"})
	write := db.Txn{If: []db.Condition{db.Absent("x")}, Writes: []db.Write{db.Put("x", nil)}}
	if _, err := through.Commit(told, write); err != nil {
		t.Fatal(err)
	}
	if _, err := through.Commit(told, write); err == nil {
		t.Error("a condition that does not hold was passed over")
	}
	if _, err := through.Commit(t.Context(), db.Txn{Writes: []db.Write{db.Put("y", nil)}}); err != nil {
		t.Fatal(err)
	}
	events, _, err := l.List(t.Context(), activity.Query{}, uuid.UUID{}, 10)
	if err != nil || len(events) != 1 || events[0].Reason != "done" {
		t.Errorf("%+v, %v", events, err)
	}
}
