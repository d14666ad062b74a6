package activity

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"devicegate/db"
)

// limit is how many events there may be: most after a sweep; slack above it, so that not every event has to
// remove one, before they are removed in the background; and as much again before a commit that would pass
// it waits. The slack has room for the events of any one transaction.
type limit struct{ most, slack int }

func limitOf(most int) limit {
	return limit{most, min(max(most/8, db.MaxWrites/WritesPerEvent), 128)}
}

// tally counts events against a limit. The counts' mu is held for it.
type tally struct {
	limit
	n       int  // stored and about to be; from before the tally was begun only once counted is set
	counted bool // until then n may grow to the slack: on credit
}

// over returns how many events are to be removed with more of them; 0 within the slack.
func (t tally) over(more int) int {
	n := t.n + more
	switch {
	case !t.counted:
		return max(0, n-t.slack)
	case n <= t.most+t.slack:
		return 0
	}
	return n - t.most
}

// full reports whether more events have to wait.
func (t tally) full(more int) bool {
	if !t.counted {
		return t.over(more) > 0
	}
	return t.n+more > t.most+2*t.slack
}

// due reports whether there is work for the background.
func (t tally) due() bool { return !t.counted || t.over(0) > 0 }

// class is what is counted and trimmed together.
type class struct {
	name string
	tally
	perUser limit // zero: of no user

	// mu is held to count what is stored and to remove, so that no event is removed twice, or while it is
	// counted. It is held across commits, but only by those who trim this class.
	mu     sync.Mutex
	cursor string // of Fill
	walked int    // by Fill
	edge   uint64 // a stamp near the oldest event's
	step   uint64 // from there to where the last trimming ended
}

// share is the events of one user in one class; the zero user's are those of no user.
type share struct {
	class *class
	user  uuid.UUID
}

// limited reports whether the share is limited by itself, and not by its class alone.
func (s share) limited() bool { return s.class.perUser != limit{} }

// reserve counts a claim before it is stored, and makes room for it first where it would have to wait. What
// is admitted is stored at once, so the store never holds more than limit and twice the slack, however many
// commits there are at a time; who has to wait has nothing reserved, so two never wait for each other. On
// an error nothing is reserved.
//
// How long an answer takes must not tell whether a name exists. So up to twice the slack reserve reads and
// writes nothing in the store, for a user as for nobody: whether it is his first event since the start, or
// the one that passes a limit, counting and removing are left to the background. Equal is therefore what the
// store does for one failure: one commit of two writes. Not equal are some look-ups in maps, far below what
// a commit varies by; what the background takes from the disk while later requests are answered, whoever
// they are of; and, at twice the slack or with the background's queue full, the waiting, which takes more
// commits at a time than the background keeps up with.
func (l *Log) reserve(ctx context.Context, cl claim) error {
	if err := l.base.read(ctx, l.o.Store); err != nil {
		return err
	}
	for {
		s, ok := l.counts.admit(cl)
		if ok {
			return nil
		}
		if err := l.makeRoom(ctx, s, cl); err != nil {
			return err
		}
	}
}

// makeRoom does one step towards the claim's being admitted: it counts, fills or trims, or, where all that
// is in the way is about to be stored, waits for it. Whoever comes while another does so waits, and may find
// the room that he has made.
func (l *Log) makeRoom(ctx context.Context, s share, cl claim) error {
	if s.limited() {
		if err := l.count(ctx, s); err != nil {
			return err
		}
	}
	settled := l.counts.nextSettle() // before looking, so that none is missed
	if class, own := l.counts.over(s, cl); class == 0 && own == 0 {
		return nil
	}
	if err := l.fill(ctx, s.class); err != nil {
		return err
	}
	progress, err := l.trimFor(ctx, s, cl)
	if err != nil || progress {
		return err
	}
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", db.ErrUnavailable, ctx.Err())
	}
}

// trimFor trims a few of what is in the claim's way. It reports whether that changed anything, or
// somebody else has made room. Where far too many are stored, after a limit was lowered, nobody has to remove
// them all: one full batch pays for the claim.
func (l *Log) trimFor(ctx context.Context, s share, cl claim) (progress bool, err error) {
	s.class.mu.Lock()
	defer s.class.mu.Unlock()
	class, own := l.counts.over(s, cl)
	if class == 0 && own == 0 {
		return true, nil
	}
	removed, err := l.trim(ctx, s.class, min(class, trimAtOnce))
	if err != nil {
		return false, err
	}
	_, own = l.counts.over(s, cl)
	n, err := l.trimShare(ctx, s, min(own, trimAtOnce))
	cl.paid[s] = removed == trimAtOnce || n == trimAtOnce
	return removed+n > 0, err
}
