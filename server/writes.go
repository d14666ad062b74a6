package server

import (
	"context"
	"errors"
	"sync/atomic"

	"devicegate/db"
)

// writes is the store, and remembers whether it took the last write: with a full disk it goes on answering checks,
// which need no write, and somebody has to be told that nobody can sign in.
type writes struct {
	db.Store
	refused atomic.Bool
}

// Commit implements db.Store.
func (w *writes) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	revision, err := w.Store.Commit(ctx, txn)
	switch {
	case err == nil:
		w.refused.Store(false)
	case ctx.Err() != nil || w.Health() != nil: // the caller left; or it is more than a lack of room, which Ready tells
	case errors.Is(err, db.ErrUnavailable):
		w.refused.Store(true)
	}
	return revision, err
}
