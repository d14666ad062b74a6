package activity

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"devicegate/db"
)

// maxQuotas bounds how many users are counted in memory. Whoever is not is counted anew at his next event.
const maxQuotas = 4096

// limit is how many events there may be: most after a sweep, and slack above it at any moment, so that not
// every event has to remove one. The slack has room for the events of any one transaction.
type limit struct{ most, slack int }

func limitOf(most int) limit {
	return limit{most, min(max(most/8, db.MaxWrites/WritesPerEvent), 128)}
}

// class is what is counted and trimmed together.
type class struct {
	name           string
	total, perUser limit

	// The counts' mu is held for these.
	n      int // stored and about to be; from before Open only once filled is set
	filled bool

	// mu is held to count what is stored and to remove, so that no event is removed twice, or while it is
	// counted. It is held across commits, but only by those who trim this class.
	mu     sync.Mutex
	cursor string // of Fill
	walked int    // by Fill
	edge   uint64 // a stamp near the oldest event's
	step   uint64 // from there to where the last trimming ended
}

// over returns how many events the class would have above its limit with more; 0 where that is within the
// slack.
func (c *class) over(more int) int {
	if !c.filled {
		return max(0, c.n+more-c.total.slack)
	}
	return c.total.over(c.n + more)
}

func (l limit) over(n int) int {
	if n <= l.most+l.slack {
		return 0
	}
	return n - l.most
}

// share is the events of one user in one class.
type share struct {
	class *class
	user  uuid.UUID
}

// limited reports whether the share is limited by itself, and not by its class alone.
func (s share) limited() bool { return s.user != uuid.UUID{} }

// quota counts a share.
type quota struct {
	n       int // stored and about to be
	pending int // about to be: it must not be forgotten
}

// counts are what the limits are held against. Nothing waits while mu is held.
type counts struct {
	mu      sync.Mutex
	quotas  map[share]*quota // of those who were active lately
	settled chan struct{}    // closed at the next settle; nil while nobody waits for it
}

// claim is what the events of one transaction add.
type claim struct {
	classes map[*class]int
	shares  map[share]int
	paid    map[share]bool // more was removed for them than they add
}

func (l *Log) claimOf(events []Event) claim {
	cl := claim{map[*class]int{}, map[share]int{}, map[share]bool{}}
	for _, ev := range events {
		s := share{l.classOf(ev), ev.User}
		cl.classes[s.class]++
		cl.shares[s]++
	}
	return cl
}

// admit counts the whole claim if all of it is within limits and slack. Else it counts nothing and returns
// a share in whose way something is.
func (c *counts) admit(cl claim) (inTheWay share, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range cl.shares {
		class, own := c.overLocked(s, cl)
		if s.limited() && c.quotas[s] == nil || class+own > 0 && !cl.paid[s] {
			return s, false
		}
	}
	for s, n := range cl.shares {
		s.class.n += n
		if s.limited() {
			c.quotas[s].n += n
			c.quotas[s].pending++
		}
	}
	return share{}, true
}

// settle ends what admit began, and wakes who waits for it.
func (c *counts) settle(cl claim, stored bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s, n := range cl.shares {
		if !stored {
			s.class.n -= n
		}
		if q := c.quotas[s]; s.limited() {
			q.pending--
			if !stored {
				q.n -= n
			}
		}
	}
	if c.settled != nil {
		close(c.settled)
		c.settled = nil
	}
}

// nextSettle returns a channel that is closed at the next settle.
func (c *counts) nextSettle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settled == nil {
		c.settled = make(chan struct{})
	}
	return c.settled
}

// find notes what the store holds of a share that was not counted. The class's mu is held.
func (c *counts) find(s share, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetOne()
	c.quotas[s] = &quota{n: n}
}

// forgetOne makes room for a quota. More than maxQuotas are kept only while as many are pending.
func (c *counts) forgetOne() {
	if len(c.quotas) < maxQuotas {
		return
	}
	for s, q := range c.quotas {
		if q.pending == 0 {
			delete(c.quotas, s)
			return
		}
	}
}

// known returns how many events the share has, if that is counted.
func (c *counts) known(s share) (n int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.quotas[s]; q != nil {
		return q.n, true
	}
	return 0, false
}

// removed notes that an event is gone. The class's mu is held.
func (c *counts) removed(s share) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.class.n--
	if q := c.quotas[s]; q != nil {
		q.n--
	}
}

// in returns how many events the class has, and whether those from before Open are among them.
func (c *counts) in(x *class) (n int, filled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return x.n, x.filled
}

// fill notes what the class had before Open.
func (c *counts) fill(x *class) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x.n += x.walked
	x.filled = true
}

// overMost returns the counted shares of the class that a sweep has to trim.
func (c *counts) overMost(x *class) []share {
	c.mu.Lock()
	defer c.mu.Unlock()
	var over []share
	for s, q := range c.quotas {
		if s.class == x && q.n > x.perUser.most {
			over = append(over, s)
		}
	}
	return over
}

// reserve counts a claim before it is stored, and makes room for it first where that passes a limit. What
// is admitted is stored at once, so the store never holds more than limit and slack, however many
// commits there are at a time; who has to wait has nothing reserved, so two never wait for each other. On
// an error nothing is reserved.
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

// over returns by how many events the claim would pass the limits of the share's class and of the share.
func (c *counts) over(s share, cl claim) (class, own int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.overLocked(s, cl)
}

func (c *counts) overLocked(s share, cl claim) (class, own int) {
	class = s.class.over(cl.classes[s.class])
	if q := c.quotas[s]; q != nil {
		own = s.class.perUser.over(q.n + cl.shares[s])
	}
	return class, own
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
