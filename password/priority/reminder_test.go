package priority_test

import (
	"slices"
	"testing"

	"devicegate/password/priority"
)

func TestReminderRunsWhileAnythingIsComputed(t *testing.T) {
	var runs []bool
	r := priority.NewReminderWith(func(on bool) { runs = append(runs, on) })
	r.Begin()
	r.Begin()
	r.End()
	if want := []bool{true, true}; !slices.Equal(runs, want) {
		t.Fatalf("with one of two ended: %v, want %v", runs, want)
	}
	r.End()
	r.Begin()
	if want := []bool{true, true, false, true}; !slices.Equal(runs, want) {
		t.Errorf("ended and begun again: %v, want %v", runs, want)
	}
}

func TestReminderWithoutMeans(t *testing.T) {
	var r priority.Reminder
	r.Begin()
	r.End()
}
