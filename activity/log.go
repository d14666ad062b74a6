package activity

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
)

// The limits where Options have none.
const (
	defaultRetention  = 90 * 24 * time.Hour
	defaultMaxPerUser = 1000
	defaultMaxTotal   = 1_000_000
)

// Options is what a Log works with.
type Options struct {
	Store db.Store
	Now   func() time.Time
	Rand  io.Reader

	// The limits; zero takes the default of the configuration.
	Retention  time.Duration // events older than this go
	MaxPerUser int           // events of one user; failures take at most half of it. Acts on no user have the rest together
	MaxTotal   int           // events in all; failures at most half, those of no known user at most a tenth

	// Sink is told of every event once it is committed, and of those that could not be (Told). It must not block.
	Sink func(Event) // nil: nobody is told
}

// Log keeps events in the store. It is safe for concurrent use. The only one of its store: counts are kept
// in memory.
type Log struct {
	o   Options
	ids ids

	unknown, failures, kept *class
	counts                  counts
	base                    base
	worker                  sync.WaitGroup

	sweeping sync.Mutex
	swept    string // where the next sweep goes on looking at users
}

// Open returns a log. Nothing is read yet.
func Open(o Options) *Log {
	o.Retention = cmp.Or(o.Retention, defaultRetention)
	o.MaxPerUser = cmp.Or(o.MaxPerUser, defaultMaxPerUser)
	o.MaxTotal = cmp.Or(o.MaxTotal, defaultMaxTotal)
	unknown, failures, own := o.MaxTotal/10, o.MaxTotal/2, o.MaxPerUser/2
	return &Log{
		o:        o,
		ids:      ids{now: o.Now, rand: o.Rand},
		unknown:  &class{name: "u", tally: tally{limit: limitOf(unknown)}},
		failures: &class{name: "f", tally: tally{limit: limitOf(failures)}, perUser: limitOf(own)},
		kept:     &class{name: "k", tally: tally{limit: limitOf(o.MaxTotal - unknown - failures)}, perUser: limitOf(o.MaxPerUser - own)},
		counts:   counts{quotas: map[share]*quota{}, queue: queue{queued: map[job]bool{}}},
	}
}

// WritesPerEvent is how many of a transaction's writes one event takes.
const WritesPerEvent = 2

// Commit commits txn with the records of events, all or nothing, and tells the sink of them afterwards. The
// caller may give the same events again after an error: those without an id of NewID get a new one. Where
// events are over their limit older ones are removed in the background; only where that does not keep up it
// removes some first, or waits for another commit that does. Errors: the store's, and that of Options.Rand.
func (l *Log) Commit(ctx context.Context, txn db.Txn, events ...Event) (db.Revision, error) {
	if len(events) == 0 {
		return l.o.Store.Commit(ctx, txn)
	}
	events, err := l.named(events)
	if err != nil {
		return 0, err
	}
	writes := slices.Clone(txn.Writes)
	for _, ev := range events {
		c := l.classOf(ev)
		writes = append(writes,
			db.Put(eventKey(ev.User, c.name, ev.ID), ev.encode()),
			db.Put(classPrefix(c.name)+placeOf(ev.ID), ev.User[:]))
	}
	txn = db.Txn{If: txn.If, Writes: writes}
	// Also so that no more are claimed than the slack has room for.
	if err := txn.Validate(); err != nil {
		return 0, err
	}
	cl := l.claimOf(events)
	if err := l.reserve(ctx, cl); err != nil {
		return 0, err
	}
	revision, err := l.o.Store.Commit(ctx, txn)
	l.counts.settle(cl, err == nil)
	l.counts.begin(&l.worker, l.work) // not before the commit, which it would hold up
	if err != nil {
		return 0, err
	}
	for _, ev := range events {
		l.tell(ev)
	}
	return revision, nil
}

// named returns events with their ids and times, bounded. The caller's own stay as they are.
func (l *Log) named(events []Event) ([]Event, error) {
	named := make([]Event, 0, len(events))
	for _, ev := range events {
		ev = ev.bounded()
		if ev.ID == (uuid.UUID{}) {
			id, err := l.ids.next()
			if err != nil {
				return nil, err
			}
			ev.ID = id
		}
		ev.Time = timeOf(ev.ID)
		named = append(named, ev)
	}
	return named, nil
}

// Told tells the sink, and nobody else, of an event that could not be stored. It gets an id and a time.
func (l *Log) Told(ev Event) {
	named, err := l.named([]Event{ev})
	if err != nil { // better told without an id than not at all
		ev = ev.bounded()
		ev.ID, ev.Time = uuid.UUID{}, l.o.Now().UTC().Truncate(time.Millisecond)
		named = []Event{ev}
	}
	l.tell(named[0])
}

func (l *Log) tell(ev Event) {
	if l.o.Sink != nil {
		l.o.Sink(ev)
	}
}

// Counts returns how many events there are, those about to be stored included: failures of no known user,
// failures of a user, all others. Until Fill is done those from before Open are missing.
func (l *Log) Counts() (unknown, failures, kept int64) {
	u, _ := l.counts.in(l.unknown)
	f, _ := l.counts.in(l.failures)
	k, _ := l.counts.in(l.kept)
	return int64(u), int64(f), int64(k)
}

// classOf decides by the outcome alone: what fails may be done by anybody, as often as he likes.
func (l *Log) classOf(ev Event) *class {
	switch {
	case ev.Outcome != Failure:
		return l.kept
	case ev.User == uuid.UUID{}:
		return l.unknown
	}
	return l.failures
}

// classesOf returns the classes that events of user may be in.
func (l *Log) classesOf(user uuid.UUID) []*class {
	if user == (uuid.UUID{}) {
		return []*class{l.unknown, l.kept}
	}
	return []*class{l.failures, l.kept}
}

func (l *Log) classes() []*class { return []*class{l.unknown, l.failures, l.kept} }
