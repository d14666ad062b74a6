package activity

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"devicegate/db"
)

// maxRetries bounds how often a change is tried again because the event was changed meanwhile.
const maxRetries = 100

// Get returns the event of user (the zero id: of no known one), or db.ErrNotFound.
func (l *Log) Get(ctx context.Context, user, id uuid.UUID) (Event, error) {
	ev, _, err := l.get(ctx, user, id)
	return ev, err
}

func (l *Log) get(ctx context.Context, user, id uuid.UUID) (ev Event, e db.Entry, err error) {
	for _, c := range l.classesOf(user) {
		e, err = l.o.Store.Get(ctx, eventKey(user, c.name, id))
		if errors.Is(err, db.ErrNotFound) {
			continue
		}
		if err == nil {
			ev, err = decodeEvent(e, user, id)
		}
		return ev, e, err
	}
	return Event{}, db.Entry{}, err
}

// Amend lets change add to an event what was not known when it happened. Who, what and when stay whatever
// change does: id, time, kind, outcome, reason, user and device. An event that is gone, also meanwhile, is
// no error and stays gone. change may be called more than once. The sink is not told.
func (l *Log) Amend(ctx context.Context, user, id uuid.UUID, change func(*Event)) error {
	for range maxRetries {
		was, e, err := l.get(ctx, user, id)
		if errors.Is(err, db.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		ev := was
		change(&ev)
		ev.ID, ev.Time, ev.Kind, ev.Outcome, ev.Reason = was.ID, was.Time, was.Kind, was.Outcome, was.Reason
		ev.User, ev.Device = was.User, was.Device
		_, err = l.o.Store.Commit(ctx, db.Txn{
			If:     []db.Condition{db.Unchanged(e)},
			Writes: []db.Write{db.Put(e.Key, ev.bounded().encode())},
		})
		if !errors.Is(err, db.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d tries: %w", maxRetries, db.ErrUnavailable)
}
