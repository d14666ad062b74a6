package lockout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"devicegate/db"
)

var (
	// ErrCrowded means: too many attempts of the same name wait for their turn.
	ErrCrowded = errors.New("too many attempts wait for their turn")
	// ErrNotFound means: there is no such lockout.
	ErrNotFound = errors.New("no such lockout")
)

// LockedError means: guessing has to wait, so no hash is to be computed.
type LockedError struct {
	RetryAfter time.Duration // > 0
}

// Error implements error.
func (e *LockedError) Error() string { return fmt.Sprintf("locked for another %v", e.RetryAfter) }

// Counters are the counters of one store. They are safe for concurrent use.
type Counters struct {
	o       Options
	gates   gates
	unknown *unknown

	sweeping sync.Mutex
	swept    string // the key that the next sweep starts from
}

// New returns the counters. Nothing is read yet.
func New(o Options) *Counters {
	o = o.raised()
	return &Counters{o: o, gates: gates{used: make(map[counter]*gate)}, unknown: newUnknown(o), swept: root}
}

// Dropped returns how many records of unknown names were dropped for want of room.
func (c *Counters) Dropped() uint64 { return c.unknown.dropped.Load() }

// Unknown returns how many records of unknown names are kept, as far as Fill has come.
func (c *Counters) Unknown() int { return c.unknown.len() }

func (c *Counters) now() time.Time { return c.o.Now().UTC().Truncate(time.Millisecond) }

// read returns the record as it counts now (the zero one where there is none, or its window is over) and
// the condition that it is still so.
func (c *Counters) read(ctx context.Context, of counter, now time.Time) (record, db.Condition, error) {
	e, err := c.o.Store.Get(ctx, of.key())
	if errors.Is(err, db.ErrNotFound) {
		return record{}, db.Absent(of.key()), nil
	}
	if err != nil {
		return record{}, db.Condition{}, fmt.Errorf("reading a counter: %w", err)
	}
	r, err := decodeRecord(e)
	if err != nil {
		return record{}, db.Condition{}, err
	}
	if c.o.forgotten(r, now) {
		r = record{}
	}
	return r, db.Unchanged(e), nil
}

const maxTries = 100

// again calls try until it meets no conflict, at most maxTries times.
func again(try func() error) (err error) {
	for range maxTries {
		if err = try(); !errors.Is(err, db.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d tries: %w", maxTries, db.ErrUnavailable)
}
