package device

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
)

// New is a device about to be signed in.
type New struct {
	UID        uuid.UUID
	User       uuid.UUID
	Generation uint32 // the user's
	Name       string // what the app calls it, or empty
	UserAgent  string
	IPAddress  string
	ExpiresAt  time.Time
	Refresh    []byte // SHA-256 of its first refresh token
}

// Add signs a device in and ends as many of the user's least recent ones as it takes to stay within
// limit (at least 1), all in one transaction with the conditions and writes of guard, so that no race
// gets round the limit. It returns the new device and the ones that were put out; those also beside an
// error, when there were too many for one transaction and only a later one failed.
//
// When another request changed the user or his devices meanwhile it returns db.ErrConflict and nothing
// has happened but that: the caller reads the user again and decides anew.
func (r *Registry) Add(ctx context.Context, n New, limit int, guard db.Txn) (Record, []Record, error) {
	s, gone, err := r.shrink(ctx, n.User, limit, guard.If)
	if err != nil {
		return Record{}, gone, err
	}
	rec := r.record(n, s.ordinal)
	out := surplus(s.live, limit, r.Seen)
	unchanged, touch := s.touch(s.ordinal + 1)
	txn := db.Txn{
		If: append([]db.Condition{unchanged, db.Absent(deviceRowKey(n.UID))}, guard.If...),
		Writes: append([]db.Write{
			touch,
			db.Put(deviceKey(n.User, n.UID), rec.encode()),
			db.Put(deviceRowKey(n.UID), rec.row().encode()),
		}, guard.Writes...),
	}
	for _, old := range out {
		txn.Writes = append(txn.Writes, r.end(old, Replaced)...)
	}
	if _, err := r.Store.Commit(ctx, txn); err != nil {
		return Record{}, gone, err
	}
	return rec, append(gone, out...), nil
}

// shrink loads the user's devices and, where a lowered limit left more over it than one transaction can
// end, ends the surplus in batches first, each while guard holds. It returns what it has ended, also
// beside an error.
func (r *Registry) shrink(ctx context.Context, user uuid.UUID, limit int, guard []db.Condition) (s set, gone []Record, err error) {
	for {
		if s, err = r.load(ctx, user); err != nil {
			return set{}, gone, err
		}
		out := surplus(s.live, limit, r.Seen)
		if len(out) <= endsPerTxn {
			return s, gone, nil
		}
		unchanged, touch := s.touch(s.ordinal)
		txn := db.Txn{If: append([]db.Condition{unchanged}, guard...), Writes: []db.Write{touch}}
		for _, old := range out[:endsPerTxn] {
			txn.Writes = append(txn.Writes, r.end(old, Replaced)...)
		}
		if _, err := r.Store.Commit(ctx, txn); err != nil {
			return set{}, gone, err
		}
		gone = append(gone, out[:endsPerTxn]...)
	}
}

// surplus returns the devices that must go before one more may come, least recently seen first; of two
// seen at the same moment the older one.
func surplus(live []Record, limit int, seen func(Record) time.Time) []Record {
	over := len(live) - (max(limit, 1) - 1)
	if over <= 0 {
		return nil
	}
	byUse := slices.Clone(live)
	slices.SortStableFunc(byUse, func(a, b Record) int {
		if c := seen(a).Compare(seen(b)); c != 0 {
			return c
		}
		return cmp.Compare(a.Ordinal, b.Ordinal)
	})
	return byUse[:over]
}

func (r *Registry) record(n New, ordinal uint64) Record {
	now := r.Now().UTC().Truncate(time.Millisecond)
	return Record{
		UID: n.UID, User: n.User, Generation: n.Generation, Ordinal: ordinal,
		Name: n.Name, UserAgent: n.UserAgent, IPAddress: n.IPAddress, LastIP: n.IPAddress,
		CreatedAt: now, LastSeen: now, ExpiresAt: n.ExpiresAt.UTC().Truncate(time.Millisecond),
		CanUpdateOthers: true, CanDeleteOthers: true,
		Refresh: Refresh{Current: n.Refresh, RotatedAt: now},
	}
}

// Limits says how many devices a user may have.
type Limits struct {
	Max    int            // for everybody; 0 = Hard
	ByRole map[string]int // for users with the role; the smallest counts, and before Max
	Hard   int            // whatever else is set
}

// For returns the limit of a user with roles. It is at least 1.
func (l Limits) For(roles []string) int {
	limit := l.Max
	if smallest := l.smallestOf(roles); smallest > 0 {
		limit = smallest
	}
	if limit <= 0 || limit > l.Hard {
		limit = l.Hard
	}
	return max(limit, 1)
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
