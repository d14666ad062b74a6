package lockout

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
)

// Attempt is one attempt to sign in, before its password was looked at.
type Attempt struct {
	Name     string     // as sent, to be shown; cut to 600 bytes where it is stored
	NameHash string     // of the normalised name, 64 hexadecimal characters in lower case; the key
	Known    bool       // a user of that name exists
	IP       netip.Addr // invalid: unknown (a unix socket), which is a network of its own
	Device   uuid.UUID  // not zero: the attempt proved to come from this known device of the named user
}

// counters returns what counts the attempt, in the order of their gates. A known device is exempt from the
// locks that others can cause, and has a counter of its own, so that a stolen cookie is no endless ticket.
func (a *Attempt) counters() ([]counter, error) {
	name, err := decodeHash(a.NameHash)
	if err != nil {
		return nil, err
	}
	if a.Device != (uuid.UUID{}) {
		return []counter{{name: name, kind: ofDevice, at: a.Device}}, nil
	}
	return []counter{ofNetwork(name, network(a.IP)), {name: name, kind: everywhere}}, nil
}

// Try is an attempt that may go on. It is used by one goroutine at a time.
type Try struct {
	c        *Counters
	attempt  Attempt
	counters []counter // none: exempt
	held     []*gate   // of the first counters, in their order
	failed   bool
	over     bool
}

var errOver = errors.New("the attempt is over: Done was called")

// Begin waits until the attempt may go on, or refuses it: *LockedError (the longest wait of its counters),
// ErrCrowded, ctx's error (wrapped), the store's. It writes nothing, so that a retry while locked never
// extends the lock, and does the same whether the name is known or not.
func (c *Counters) Begin(ctx context.Context, a Attempt) (*Try, error) {
	t := &Try{c: c, attempt: a}
	counters, err := a.counters()
	if err != nil {
		return nil, err
	}
	if c.o.exempts(a.IP) {
		return t, nil
	}
	t.counters = counters
	for _, of := range counters {
		g, err := c.gates.enter(ctx, of, func() (int, error) { return t.allowed(ctx, of) })
		if err != nil {
			t.Done()
			return nil, err
		}
		t.held = append(t.held, g)
	}
	return t, nil
}

// allowed returns how many attempts may run at the counter, or *LockedError where any counter of the attempt is
// locked. All are read, so that the wait is the longest.
func (t *Try) allowed(ctx context.Context, of counter) (int, error) {
	o, now := &t.c.o, t.c.now()
	most, wait := 0, time.Duration(0)
	for _, each := range t.counters {
		r, _, err := t.c.read(ctx, each, now)
		if err != nil {
			return 0, err
		}
		if until := o.lockedUntil(r, now); !until.IsZero() {
			wait = max(wait, until.Sub(now))
		}
		if each == of {
			most = max(o.threshold(of)-r.Failures, 1)
		}
	}
	if wait > 0 {
		return 0, &LockedError{RetryAfter: wait}
	}
	return most, nil
}

// Done gives the attempt's places back. It must be called on every path, after Fail or the commit of what
// Succeed returned: from then on others go on by what is stored. Further calls do nothing.
func (t *Try) Done() {
	t.over = true
	for i := len(t.held) - 1; i >= 0; i-- {
		t.c.gates.leave(t.counters[i], t.held[i])
	}
	t.held = nil
}

// Fail counts one failure, however often it is called: commit is called with the conditions and writes (at
// most 4 of each) to be committed with whatever else tells of the failure, and again while it returns
// db.ErrConflict, at most 100 times. Of an exempt attempt the transaction is empty. After an error nothing was
// counted (except where the store does not know it), so what came of the password must not be told.
//
// The end of ctx is not heeded: who hangs up before the answer is counted all the same.
func (t *Try) Fail(ctx context.Context, commit func(context.Context, db.Txn) error) error {
	if t.over {
		return errOver
	}
	if t.failed {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	if len(t.held) > 0 {
		last := t.held[len(t.held)-1] // every attempt that writes one of these records holds it
		last.counting.Lock()
		defer last.counting.Unlock()
	}
	err := again(func() error { return t.fail(ctx, commit) })
	t.failed = err == nil
	return err
}

func (t *Try) fail(ctx context.Context, commit func(context.Context, db.Txn) error) error {
	txn, err := t.failure(ctx)
	if err != nil {
		return err
	}
	if t.attempt.Known {
		if err := commit(ctx, txn); err != nil {
			return err
		}
		t.c.unknown.forget(t.counters...)
		return nil
	}
	room, err := t.c.unknown.makeRoom(ctx, t.counters)
	if err != nil {
		return err
	}
	committed := false
	defer func() { room.settle(committed) }()
	txn.If, txn.Writes = append(txn.If, room.conditions...), append(txn.Writes, room.writes...)
	err = commit(ctx, txn)
	committed = err == nil
	return err
}

// failure returns what counts one failure.
func (t *Try) failure(ctx context.Context) (txn db.Txn, err error) {
	now := t.c.now()
	for _, of := range t.counters {
		r, unchanged, err := t.c.read(ctx, of, now)
		if err != nil {
			return db.Txn{}, err
		}
		txn.If = append(txn.If, unchanged)
		txn.Writes = append(txn.Writes, db.Put(of.key(), r.fail(&t.c.o, of, &t.attempt, now).encode()))
	}
	return txn, nil
}

// Succeed returns what resets the counters that a success resets, to be put into the sign-in's own
// transaction: at most 2 conditions and 2 writes, none where there is nothing to reset. After a conflict
// call it again.
//
// The counter of the device, or of the name from this network, goes. The name's counter loses the failures from this
// network, which were the user's own, and keeps the others: an owner who signs in must not give
// those who guess from many networks a new budget.
func (t *Try) Succeed(ctx context.Context) (db.Txn, error) {
	if t.over {
		return db.Txn{}, errOver
	}
	if len(t.counters) == 0 {
		return db.Txn{}, nil
	}
	t.c.unknown.forget(t.counters...) // the name exists
	now := t.c.now()
	own, unchanged, err := t.c.read(ctx, t.counters[0], now)
	if err != nil || own.Failures == 0 {
		return db.Txn{}, err
	}
	txn := db.Txn{If: []db.Condition{unchanged}, Writes: []db.Write{db.Delete(unchanged.Key)}}
	if len(t.counters) == 1 {
		return txn, nil
	}
	all, unchanged, err := t.c.read(ctx, t.counters[1], now)
	if err != nil || all.Failures == 0 {
		return txn, err
	}
	txn.If = append(txn.If, unchanged)
	if all.Failures <= own.Failures {
		txn.Writes = append(txn.Writes, db.Delete(unchanged.Key))
		return txn, nil
	}
	all.Failures, all.Known = all.Failures-own.Failures, true
	txn.Writes = append(txn.Writes, db.Put(unchanged.Key, all.encode()))
	return txn, nil
}
