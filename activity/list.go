package activity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
)

// maxLooks bounds how many events one List looks at.
const maxLooks = 5000

// Query says which events are wanted. The zero Query wants all.
type Query struct {
	User    *uuid.UUID // nil: of everybody; the zero id: of no known user
	Kind    Kind
	Outcome Outcome
	Reason  string
	Network netip.Prefix // invalid: everywhere
	Since   time.Time    // inclusive
	Until   time.Time    // exclusive
}

func (q Query) wants(ev Event) bool {
	return (q.Kind == "" || ev.Kind == q.Kind) &&
		(q.Outcome == "" || ev.Outcome == q.Outcome) &&
		(q.Reason == "" || ev.Reason == q.Reason) &&
		(!q.Network.IsValid() || q.Network.Contains(ev.IP))
}

// span narrows what is read to the wanted time: ids carry it.
func (q Query) span(before uuid.UUID) span {
	var s span
	if before != (uuid.UUID{}) {
		s = s.narrow(before)
	}
	if !q.Until.IsZero() {
		s = s.narrow(idFrom(stampAt(q.Until)))
	}
	if !q.Since.IsZero() {
		s.from = idFrom(stampAt(q.Since))
	}
	return s
}

// List returns up to limit (at least 1) events, newest first, that are older than before (zero: from the
// newest), and the id to go on from (zero: that was all). A page may be short, even empty, though more
// follow: the work of one call is bounded. Events that arrive meanwhile shift nothing.
func (l *Log) List(ctx context.Context, q Query, before uuid.UUID, limit int) (events []Event, next uuid.UUID, err error) {
	if limit < 1 {
		return nil, uuid.UUID{}, fmt.Errorf("%w: a list of %d events, at least 1", db.ErrLimit, limit)
	}
	m := l.merge(q, before, limit)
	for looks := 0; ; looks++ {
		s, err := m.first(ctx)
		if err != nil {
			return nil, uuid.UUID{}, err
		}
		if s == nil {
			return events, uuid.UUID{}, nil
		}
		if len(events) == limit || looks == maxLooks {
			return events, next, nil
		}
		ev, id, err := l.take(ctx, s)
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return nil, uuid.UUID{}, err
		}
		next = id
		if err == nil && q.wants(ev) {
			events = append(events, ev)
		}
	}
}

// take reads the first event of the stream and steps over it. With db.ErrNotFound it has vanished since
// its row was read; its id is returned all the same.
func (l *Log) take(ctx context.Context, s *stream) (Event, uuid.UUID, error) {
	e := s.page[0]
	s.page = s.page[1:]
	id, err := idIn(e.Key, s.prefix)
	if err != nil {
		return Event{}, id, err
	}
	if s.user != nil {
		ev, err := decodeEvent(e, *s.user, id)
		return ev, id, err
	}
	user, err := uuid.FromBytes(e.Value)
	if err != nil {
		return Event{}, id, fmt.Errorf("the record %q cannot be read: %w", e.Key, err)
	}
	if e, err = l.o.Store.Get(ctx, eventKey(user, s.class, id)); err != nil {
		return Event{}, id, err
	}
	ev, err := decodeEvent(e, user, id)
	return ev, id, err
}

// stream reads one range of keys, newest first, a page at a time.
type stream struct {
	store    db.Store
	user     *uuid.UUID // whose events these are; nil: rows of everybody
	class    string
	prefix   string
	from, to string
	atOnce   int
	page     []db.Entry
	ended    bool
}

// more makes sure that the page has an entry, unless the range has ended.
func (s *stream) more(ctx context.Context) (err error) {
	if len(s.page) > 0 || s.ended {
		return nil
	}
	if s.page, _, err = s.store.Range(ctx, s.from, s.to, s.atOnce); err != nil {
		return err
	}
	s.ended = len(s.page) < s.atOnce
	if n := len(s.page); n > 0 {
		s.from = s.page[n-1].Key + "\x00"
	}
	return nil
}

// place is where the first entry stands in the order of events.
func (s *stream) place() string { return s.page[0].Key[len(s.prefix):] }

// merged are streams read as one, newest first.
type merged []*stream

// merge returns the streams that hold what q wants: of its user, and of the classes its outcome may be in.
func (l *Log) merge(q Query, before uuid.UUID, limit int) merged {
	classes := l.classes()
	if q.User != nil {
		classes = l.classesOf(*q.User)
	}
	var m merged
	for _, c := range classes {
		if q.Outcome != "" && (q.Outcome == Failure) == (c == l.kept) {
			continue
		}
		s := &stream{store: l.o.Store, user: q.User, class: c.name, prefix: classPrefix(c.name), atOnce: min(limit+1, rowsAtOnce)}
		if q.User != nil {
			s.prefix = userPrefix(*q.User, c.name)
		}
		s.from, s.to = q.span(before).keys(s.prefix)
		m = append(m, s)
	}
	return m
}

// first returns the stream whose first event is the newest of all; nil when all have ended.
func (m merged) first(ctx context.Context) (*stream, error) {
	var first *stream
	for _, s := range m {
		if err := s.more(ctx); err != nil {
			return nil, err
		}
		if len(s.page) > 0 && (first == nil || s.place() < first.place()) {
			first = s
		}
	}
	return first, nil
}
