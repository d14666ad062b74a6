package device

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
)

// ErrCallerGone means: the device that asks has ended meanwhile, or its token has, because the device was
// signed in on again.
var ErrCallerGone = errors.New("the device that asks has ended")

// acting loads the devices of the caller's user and finds the caller among them. Rights, ages and devices
// are all read there, and every change of one of them rewrites the user's list, so a transaction that
// demands the list unchanged does what was decided.
func (r *Registry) acting(ctx context.Context, caller Subject) (set, Record, error) {
	s, err := r.load(ctx, caller.User)
	if err != nil {
		return set{}, Record{}, err
	}
	actor := s.find(caller.Device)
	if actor == nil || actor.Tokens != caller.Generation {
		return set{}, Record{}, ErrCallerGone
	}
	return s, *actor, nil
}

func (s set) find(device uuid.UUID) *Record {
	for i := range s.live {
		if s.live[i].UID == device {
			return &s.live[i]
		}
	}
	return nil
}

// EndOther ends another device of the caller's user. Errors: ErrNotFound, ErrCallerGone, *RuleError, and
// the store's.
func (r *Registry) EndOther(ctx context.Context, caller Subject, target uuid.UUID, by activity.By) error {
	_, err := retry(func() (struct{}, error) {
		s, actor, err := r.acting(ctx, caller)
		if err != nil {
			return struct{}{}, err
		}
		other := s.find(target)
		if other == nil {
			return struct{}{}, ErrNotFound
		}
		if err := r.Rules.May(Delete, actor, other, Change{}, r.Now()); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, r.commitEnds(ctx, s, db.Txn{}, []Record{*other}, Cause{RevokedByDevice, by})
	})
	return err
}

// EndOthers ends every other device that the caller may end, and returns how many were ended and how many
// kept. More than a few are ended in several transactions; on an error those already ended stay ended.
// Errors: as EndOther, without ErrNotFound.
func (r *Registry) EndOthers(ctx context.Context, caller Subject, by activity.By) (ended, kept int, err error) {
	for {
		type round struct{ ended, kept int }
		done, err := retry(func() (round, error) {
			out, kept, err := r.endOthersOnce(ctx, caller, by)
			return round{out, kept}, err
		})
		ended += done.ended
		if err != nil || done.ended < endsPerTxn {
			return ended, done.kept, err
		}
	}
}

func (r *Registry) endOthersOnce(ctx context.Context, caller Subject, by activity.By) (ended, kept int, err error) {
	s, actor, err := r.acting(ctx, caller)
	if err != nil {
		return 0, 0, err
	}
	if err := r.Rules.May(EndAll, actor, nil, Change{}, r.Now()); err != nil {
		return 0, 0, err
	}
	var out []Record
	for i := range s.live {
		other := &s.live[i]
		switch {
		case other.UID == actor.UID:
		case r.Rules.May(EndAll, actor, other, Change{}, r.Now()) != nil:
			kept++
		case len(out) < endsPerTxn:
			out = append(out, *other)
		}
	}
	if len(out) == 0 {
		return 0, kept, nil
	}
	if err := r.commitEnds(ctx, s, db.Txn{}, out, Cause{RevokeAll, by}); err != nil {
		return 0, 0, err
	}
	return len(out), kept, nil
}

// Change changes a device of the caller's user. Errors: as EndOther.
func (r *Registry) Change(ctx context.Context, caller Subject, target uuid.UUID, change Change) (Record, error) {
	return retry(func() (Record, error) {
		s, actor, err := r.acting(ctx, caller)
		if err != nil {
			return Record{}, err
		}
		other := s.find(target)
		if other == nil {
			return Record{}, ErrNotFound
		}
		if err := r.Rules.May(Update, actor, other, change, r.Now()); err != nil {
			return Record{}, err
		}
		next := change.apply(*other)
		_, err = r.Store.Commit(ctx, s.txn(s.ordinal, db.Txn{}, db.Put(deviceKey(next.User, next.UID), next.encode())))
		return next, err
	})
}

func (c Change) apply(rec Record) Record {
	if c.Name != nil {
		rec.Name = *c.Name
	}
	if c.CanUpdateOthers != nil {
		rec.CanUpdateOthers = *c.CanUpdateOthers
	}
	if c.CanDeleteOthers != nil {
		rec.CanDeleteOthers = *c.CanDeleteOthers
	}
	return rec
}

// MayChangePassword decides whether the caller may change the password: not while an older device lives
// that he is too young to act on. Errors: ErrCallerGone, *RuleError, and the store's.
func (r *Registry) MayChangePassword(ctx context.Context, caller Subject) error {
	s, actor, err := r.acting(ctx, caller)
	if err != nil {
		return err
	}
	return r.mayChangePassword(s, actor)
}

func (r *Registry) mayChangePassword(s set, actor Record) error {
	var oldest *Record
	for i := range s.live {
		if s.live[i].UID != actor.UID && (oldest == nil || s.live[i].Ordinal < oldest.Ordinal) {
			oldest = &s.live[i]
		}
	}
	if err := r.Rules.May(ChangePassword, actor, oldest, Change{}, r.Now()); err != nil {
		return err
	}
	return nil
}

// KeepOnly ends every device of the caller's user but the caller's own in the transaction of guard, which
// raises the user's generation to generation: one write ends them all, and the caller's device is taken
// over into the new generation. Where others end, one event tells so. It decides as MayChangePassword does,
// on the same state. Errors: as there; db.ErrConflict when something changed meanwhile.
func (r *Registry) KeepOnly(ctx context.Context, caller Subject, generation uint32, guard db.Txn, cause Cause, events ...activity.Event) error {
	s, actor, err := r.acting(ctx, caller)
	if err != nil {
		return err
	}
	if err := r.mayChangePassword(s, actor); err != nil {
		return err
	}
	_, err = r.Activity.Commit(ctx, s.txn(s.ordinal, guard, r.takeOver(actor, generation)...), s.ending(cause, caller.User, 1, events)...)
	return err
}

// takeOver returns the writes that keep a device when its user's generation is raised.
func (r *Registry) takeOver(rec Record, generation uint32) []db.Write {
	rec.Generation = generation
	return []db.Write{db.Put(deviceKey(rec.User, rec.UID), rec.encode()), db.Put(deviceRowKey(rec.UID), rec.row().encode())}
}

// Trim ends what is over limit, the least recent first whatever limit.On says, in the transaction of
// guard and events. Where too many would have to end for one transaction, a part of them ends before, each
// while guard's conditions hold; on an error those already ended stay ended.
func (r *Registry) Trim(ctx context.Context, user uuid.UUID, limit Limit, guard db.Txn, by activity.By, events ...activity.Event) error {
	limit.On = EvictLeastRecent
	for {
		s, err := r.load(ctx, user)
		if err != nil {
			return err
		}
		out, _ := limit.surplus(s.live, 0, r.seen)
		if len(out) <= endsPerTxn {
			return r.commitEnds(ctx, s, guard, out, Cause{Replaced, by}, events...)
		}
		if err := r.commitEnds(ctx, s, db.Txn{If: guard.If}, out[:endsPerTxn], Cause{Replaced, by}); err != nil {
			return err
		}
	}
}

// Override changes a device for an admin: no rule is asked. Errors: ErrNotFound, and the store's.
func (r *Registry) Override(ctx context.Context, user, target uuid.UUID, change Change, events ...activity.Event) (Record, error) {
	return retry(func() (Record, error) {
		s, err := r.load(ctx, user)
		if err != nil {
			return Record{}, err
		}
		rec := s.find(target)
		if rec == nil {
			return Record{}, ErrNotFound
		}
		next := change.apply(*rec)
		_, err = r.Activity.Commit(ctx, s.txn(s.ordinal, db.Txn{}, db.Put(deviceKey(next.User, next.UID), next.encode())), events...)
		return next, err
	})
}

// StillLives returns the condition that the caller's device goes on to live, unless all of its user's end at
// once. Errors: ErrCallerGone, and the store's.
func (r *Registry) StillLives(ctx context.Context, caller Subject) (db.Condition, error) {
	rec, entry, err := r.get(ctx, caller.User, caller.Device)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && rec.Tokens != caller.Generation:
		return db.Condition{}, ErrCallerGone
	case err != nil:
		return db.Condition{}, err
	}
	return db.Unchanged(entry), nil
}
