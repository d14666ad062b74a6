package activity

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/google/uuid"

	"devicegate/db"
)

const (
	eventsPerTxn = db.MaxWrites / WritesPerEvent
	txnsAtOnce   = 8 // so that they share a sync of the store
	trimAtOnce   = eventsPerTxn * txnsAtOnce * 2
)

// row is an event that goes: its keys, one where the other cannot be known.
type row struct {
	user  uuid.UUID
	owned bool // user and place are known
	place string
	keys  []string
}

// rowsOf reads rows of a class. It decodes nothing of the events: what cannot be read must go as well.
func (c *class) rowsOf(entries []db.Entry) []row {
	rows := make([]row, 0, len(entries))
	for _, e := range entries {
		r := row{keys: []string{e.Key}}
		if user, err := uuid.FromBytes(e.Value); err == nil {
			place := e.Key[len(classPrefix(c.name)):]
			r = row{user, true, place, []string{e.Key, userPrefix(user, c.name) + place}}
		}
		rows = append(rows, r)
	}
	return rows
}

// trim removes the n oldest events of the class and returns how many those were: less where the others are
// not stored yet. The class is filled and its mu is held.
func (l *Log) trim(ctx context.Context, c *class, n int) (int, error) {
	if n <= 0 {
		return 0, nil
	}
	oldest, err := l.oldest(ctx, c, n)
	if err != nil {
		return 0, err
	}
	return l.remove(ctx, c, c.rowsOf(oldest))
}

// trimShare is trim for the events of one user.
func (l *Log) trimShare(ctx context.Context, s share, n int) (int, error) {
	if n <= 0 {
		return 0, nil
	}
	places, err := l.places(ctx, s)
	if err != nil {
		return 0, err
	}
	places = places[max(0, len(places)-n):]
	rows := make([]row, 0, len(places))
	for _, place := range places {
		rows = append(rows, row{s.user, true, place, []string{userPrefix(s.user, s.class.name) + place, classPrefix(s.class.name) + place}})
	}
	return l.remove(ctx, s.class, rows)
}

// oldest returns n rows of the class, the oldest that there are, or all that there are. The store reads
// newest first, so the place from which n are left is searched: from where the last search ended onwards,
// in steps that double until they are too long, then by halves. That reads a few hundred rows, whatever the
// class holds.
func (l *Log) oldest(ctx context.Context, c *class, n int) ([]db.Entry, error) {
	lo, hi := uint64(0), uint64(maxStamp+1) // n are not yet left before lo, far too many before hi
	at, step := c.edge, max(c.step, 1)
	var few, many []db.Entry
	for {
		rows, err := l.olderThan(ctx, c, at, n+rowsAtOnce/2)
		if err != nil {
			return nil, err
		}
		switch {
		case len(rows) == n+rowsAtOnce/2: // and maybe more behind
			hi, many = at, rows
		case len(rows) >= n:
			if at > c.edge {
				c.step = at - c.edge
			}
			c.edge = at
			return rows[len(rows)-n:], nil
		default:
			lo, few = at, rows
		}
		if hi-lo <= 1 || lo == maxStamp {
			if len(few) == 0 && len(many) > 0 {
				few = many[len(many)-n:] // all of one stamp, which no log of ours makes
			}
			return few, nil
		}
		if hi > maxStamp {
			at, step = min(lo+step, maxStamp), step*2
		} else {
			at = lo + (hi-lo)/2
		}
	}
}

// olderThan returns up to n rows of the class from before the stamp, newest first.
func (l *Log) olderThan(ctx context.Context, c *class, stamp uint64, n int) ([]db.Entry, error) {
	from, to := span{before: idFrom(stamp)}.keys(classPrefix(c.name))
	rows, _, err := l.o.Store.Range(ctx, from, to, n)
	return rows, err
}

// remove deletes rows of the class and counts them out. Its mu is held.
func (l *Log) remove(ctx context.Context, c *class, rows []row) (int, error) {
	removed := 0
	for some := range slices.Chunk(rows, eventsPerTxn*txnsAtOnce) {
		n, err := l.removeSome(ctx, c, some)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (l *Log) removeSome(ctx context.Context, c *class, rows []row) (int, error) {
	var all sync.WaitGroup
	errs := make([]error, txnsAtOnce)
	txns := slices.Collect(slices.Chunk(rows, eventsPerTxn))
	for i, some := range txns {
		all.Go(func() { _, errs[i] = l.o.Store.Commit(ctx, deletion(some)) })
	}
	all.Wait()
	removed := 0
	for i, some := range txns {
		if errs[i] != nil {
			continue
		}
		removed += len(some)
		for _, r := range some {
			l.counts.removed(c, r)
		}
	}
	return removed, errors.Join(errs...)
}

func deletion(rows []row) db.Txn {
	var txn db.Txn
	for _, r := range rows {
		for _, key := range r.keys {
			txn.Writes = append(txn.Writes, db.Delete(key))
		}
	}
	return txn
}
