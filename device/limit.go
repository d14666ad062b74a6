package device

import (
	"cmp"
	"slices"
	"time"
)

// OnLimit says what a sign-in over the limit does. The zero value is EvictLeastRecent.
type OnLimit uint8

// The ways to keep a limit.
const (
	EvictLeastRecent OnLimit = iota // the device that was used least recently ends
	EvictOldest                     // the device that signed in first ends
	Refuse                          // the sign-in is refused
)

// Limits says how many devices users may have.
type Limits struct {
	Max    int            // for everybody; 0 = Hard
	ByRole map[string]int // for users with the role; the smallest counts, and before Max
	Hard   int            // whatever else is set
	On     OnLimit        // for Max and ByRole; over Hard the least recent goes
}

// Limit is how many devices one user may have, at least 1, and what happens over it.
type Limit struct {
	Count int
	On    OnLimit
}

// For returns the limit of a user with roles.
func (l Limits) For(roles []string) Limit {
	limit := Limit{Count: l.Max, On: l.On}
	if smallest := l.smallestOf(roles); smallest > 0 {
		limit.Count = smallest
	}
	if limit.Count <= 0 || limit.Count > l.Hard {
		limit = Limit{Count: l.Hard}
	}
	limit.Count = max(limit.Count, 1)
	return limit
}

func (l Limits) smallestOf(roles []string) int {
	smallest := 0
	for _, role := range roles {
		if n := l.ByRole[role]; n > 0 && (smallest == 0 || n < smallest) {
			smallest = n
		}
	}
	return smallest
}

// surplus returns which of live must go so that room more fit, in the order in which they go; of two used
// at the same moment the older one first. With Refuse it returns ErrMaxDevices instead.
func (l Limit) surplus(live []Record, room int, seen func(Record) time.Time) ([]Record, error) {
	over := len(live) - (max(l.Count, 1) - room)
	if over <= 0 {
		return nil, nil
	}
	if l.On == Refuse {
		return nil, ErrMaxDevices
	}
	type use struct {
		at  time.Time // asked for once, not at every comparison
		rec *Record
	}
	order := make([]use, len(live))
	for i := range live {
		order[i] = use{rec: &live[i]}
		if l.On == EvictLeastRecent {
			order[i].at = seen(live[i])
		}
	}
	slices.SortFunc(order, func(a, b use) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.rec.Ordinal, b.rec.Ordinal))
	})
	out := make([]Record, over)
	for i := range out {
		out[i] = *order[i].rec
	}
	return out, nil
}
