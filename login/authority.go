package login

import (
	"context"
	"errors"

	"devicegate/db"
	"devicegate/device"
	"devicegate/reason"
)

// Authority returns what must still hold, at the moment of a commit, for whoever acts to act, or why he may
// not any more. Between the moment he was let in and the commit lie the rest of his request and perhaps a
// password hash: long enough to lose his role, his account or his device.
type Authority func(ctx context.Context) ([]db.Condition, error)

type authorityKey struct{}

// Acting returns a context whose commits through Accountable hold only while the authority does.
func Acting(ctx context.Context, authority Authority) context.Context {
	return context.WithValue(ctx, authorityKey{}, authority)
}

// Accountable returns store with the authority of each commit's context among its conditions. When somebody
// has just lost it the commit is db.ErrConflict, and the next one tells why.
func Accountable(store db.Store) db.Store { return accountable{store} }

type accountable struct{ db.Store }

func (a accountable) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	if authority, _ := ctx.Value(authorityKey{}).(Authority); authority != nil {
		held, err := authority(ctx)
		if err != nil {
			return 0, err
		}
		txn.If = append(txn.If[:len(txn.If):len(txn.If)], held...)
	}
	return a.Store.Commit(ctx, txn)
}

// AdminAuthority is the authority of an admin with the token of caller: that he is an enabled admin, and that
// the device lives. Every change of an account rewrites its mark, so what is read here holds at the commit.
func (s *Service) AdminAuthority(caller device.Subject) Authority {
	return func(ctx context.Context) ([]db.Condition, error) {
		mark, err := s.Users.Store.Get(ctx, adminKey(caller.User))
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return nil, err
		}
		lives, gone := s.Devices.StillLives(ctx, caller)
		switch {
		case errors.Is(gone, device.ErrCallerGone):
			return nil, s.refusal(caller, gone)
		case gone != nil:
			return nil, gone
		case err != nil:
			return nil, &RefusedError{Reason: reason.RoleMissing}
		}
		return []db.Condition{db.Unchanged(mark), lives}, nil
	}
}
