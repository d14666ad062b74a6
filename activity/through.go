package activity

import (
	"context"

	"devicegate/db"
)

type tellingKey struct{}

// Telling returns a context whose commits through Through carry events.
func Telling(ctx context.Context, events ...Event) context.Context {
	return context.WithValue(ctx, tellingKey{}, events)
}

// Through returns a store whose commits carry the events of their context, in the same transaction: for a
// package that knows of no events, and whose act is one.
func (l *Log) Through(store db.Store) db.Store { return through{store, l} }

type through struct {
	db.Store
	log *Log
}

func (t through) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	if events, _ := ctx.Value(tellingKey{}).([]Event); len(events) > 0 {
		return t.log.Commit(ctx, txn, events...)
	}
	return t.Store.Commit(ctx, txn)
}
