package activity

import (
	"context"

	"github.com/google/uuid"

	"devicegate/db"
)

// usersPerSweep is how many users a sweep looks at who were not active lately.
const usersPerSweep = 32

// Sweep removes up to limit events that are over age or over a limit, the slack included, and returns how
// many; fewer than limit means that nothing is left to do. Only users who were not active since Open are
// looked at in turn, some at each call. It waits for Fill, or does its work.
func (l *Log) Sweep(ctx context.Context, limit int) (removed int, err error) {
	l.sweeping.Lock()
	defer l.sweeping.Unlock()
	if err := l.Fill(ctx); err != nil {
		return 0, err
	}
	steps := []func(context.Context, *class, int) (int, error){l.sweepAge, l.sweepTotal, l.sweepActive}
	for _, step := range steps {
		for _, c := range l.classes() {
			n, err := step(ctx, c, limit-removed)
			removed += n
			if err != nil {
				return removed, err
			}
		}
	}
	n, err := l.sweepOthers(ctx, limit-removed)
	return removed + n, err
}

// inTurns calls trim under the class's lock until it does less than it may, and lets go of it in between:
// commits that have to make room wait for it.
func (c *class) inTurns(limit int, trim func(most int) (int, error)) (int, error) {
	turn := func(most int) (int, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return trim(most)
	}
	removed := 0
	for removed < limit {
		most := min(limit-removed, trimAtOnce)
		n, err := turn(most)
		removed += n
		if err != nil || n < most {
			return removed, err
		}
	}
	return removed, nil
}

func (l *Log) sweepAge(ctx context.Context, c *class, limit int) (int, error) {
	cutoff := stampAt(l.o.Now().Add(-l.o.Retention))
	return c.inTurns(limit, func(most int) (int, error) {
		old, err := l.olderThan(ctx, c, cutoff, most)
		if err != nil {
			return 0, err
		}
		return l.remove(ctx, c, c.rowsOf(old))
	})
}

func (l *Log) sweepTotal(ctx context.Context, c *class, limit int) (int, error) {
	return c.inTurns(limit, func(most int) (int, error) {
		n, _ := l.counts.in(c)
		return l.trim(ctx, c, min(n-c.most, most))
	})
}

// sweepActive trims those whose events are counted.
func (l *Log) sweepActive(ctx context.Context, c *class, limit int) (int, error) {
	removed := 0
	for _, s := range l.counts.overMost(c) {
		n, err := l.sweepShare(ctx, s, limit-removed)
		removed += n
		if err != nil || removed == limit {
			return removed, err
		}
	}
	return removed, nil
}

func (l *Log) sweepShare(ctx context.Context, s share, limit int) (int, error) {
	if err := l.count(ctx, s); err != nil {
		return 0, err
	}
	return s.class.inTurns(limit, func(most int) (int, error) {
		n, _ := l.counts.known(s)
		return l.trimShare(ctx, s, min(n-s.class.perUser.most, most))
	})
}

// sweepOthers looks at the next users in the order of their ids: one may be over a limit that was lowered
// while the service was down, and never come back.
func (l *Log) sweepOthers(ctx context.Context, limit int) (int, error) {
	removed := 0
	for range usersPerSweep {
		if removed >= limit {
			return removed, nil
		}
		user, ok, err := l.nextUser(ctx)
		if err != nil || !ok {
			return removed, err
		}
		for _, c := range l.classesOf(user) {
			s := share{c, user}
			if !s.limited() {
				continue
			}
			n, err := l.sweepShare(ctx, s, limit-removed)
			removed += n
			if err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// nextUser returns the user after the one that it returned last; after the last it begins anew.
func (l *Log) nextUser(ctx context.Context) (user uuid.UUID, ok bool, err error) {
	found, _, err := l.o.Store.Range(ctx, max(l.swept, "e/"), db.PrefixEnd("e/"), 1)
	if err != nil || len(found) == 0 {
		l.swept = ""
		return uuid.UUID{}, false, err
	}
	key := found[0].Key
	l.swept = key + "\x00"
	const length = len("e/") + 36
	if len(key) <= length {
		return uuid.UUID{}, true, nil // none of ours: stepped over, with another look at the zero user
	}
	if user, err = uuid.Parse(key[len("e/"):length]); err != nil {
		return uuid.UUID{}, true, nil
	}
	l.swept = db.PrefixEnd(key[:length+1])
	return user, true, nil
}
