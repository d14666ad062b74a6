package activity

import (
	"context"
	"sync"
	"sync/atomic"

	"devicegate/db"
)

// rowsAtOnce bounds what one read holds.
const rowsAtOnce = 500

// base is the store's revision before the first event of this log. What was written later is counted when
// it is committed, what was written earlier by Fill: an id cannot tell them apart, because the
// clock may have been set back between two runs.
type base struct {
	mu       sync.Mutex
	known    atomic.Bool
	revision db.Revision
}

func (b *base) read(ctx context.Context, s db.Store) error {
	if b.known.Load() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known.Load() {
		return nil
	}
	_, at, err := s.Range(ctx, "a/", db.PrefixEnd("a/"), 1)
	if err != nil {
		return err
	}
	b.revision = at
	b.known.Store(true)
	return nil
}

// Fill counts the events from before Open. It may run beside everything else, and be called again after an
// error: it goes on where it was. The first event of a class has it done in the background as well. Until it
// is done each class takes a few new events (the slack); the commit that would pass them helps to fill
// first, and nothing is removed.
func (l *Log) Fill(ctx context.Context) error {
	for _, c := range l.classes() {
		if err := l.fill(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) fill(ctx context.Context, c *class) error {
	if err := l.base.read(ctx, l.o.Store); err != nil {
		return err
	}
	for {
		if _, filled := l.counts.in(c); filled {
			return nil
		}
		if err := l.fillPage(ctx, c); err != nil {
			return err
		}
	}
}

// fillPage lets go of the class between two pages, so that a user can be counted meanwhile.
func (l *Log) fillPage(ctx context.Context, c *class) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, filled := l.counts.in(c); filled {
		return nil
	}
	prefix := classPrefix(c.name)
	page, _, err := l.o.Store.Range(ctx, max(c.cursor, prefix), db.PrefixEnd(prefix), rowsAtOnce)
	if err != nil {
		return err
	}
	for _, e := range page {
		c.cursor = e.Key + "\x00"
		if e.Revision <= l.base.revision {
			c.walked++
		}
		if id, err := idIn(e.Key, prefix); err == nil {
			c.edge = stampOf(id) // the last is the oldest
		}
	}
	if len(page) < rowsAtOnce {
		l.counts.fill(c)
	}
	return nil
}

// count counts what the store holds of a share, unless that is known. Nothing of it is removed meanwhile.
func (l *Log) count(ctx context.Context, s share) error {
	s.class.mu.Lock()
	defer s.class.mu.Unlock()
	if _, known := l.counts.known(s); known {
		return nil
	}
	places, err := l.places(ctx, s)
	if err != nil {
		return err
	}
	l.counts.find(s, places)
	return nil
}

// places returns where the events of a share stand, newest first: the ends of their keys.
func (l *Log) places(ctx context.Context, s share) ([]string, error) {
	var places []string
	prefix := userPrefix(s.user, s.class.name)
	for from := prefix; ; {
		page, _, err := l.o.Store.Range(ctx, from, db.PrefixEnd(prefix), rowsAtOnce)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			places = append(places, e.Key[len(prefix):])
			from = e.Key + "\x00"
		}
		if len(page) < rowsAtOnce {
			return places, nil
		}
	}
}
