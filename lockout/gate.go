package lockout

import (
	"context"
	"fmt"
	"sync"
)

// maxWaiters bounds the attempts that wait at one gate, and with it what a flood on one name holds in memory.
const maxWaiters = 512

// gates holds a gate for every counter that is in use, and none for any other.
type gates struct {
	mu   sync.Mutex
	used map[counter]*gate
}

// gate lets as many attempts at one counter run as may still fail before the lock.
type gate struct {
	admission chan struct{} // holds one: who is next, and reads the store
	counting  sync.Mutex    // one failure is written at a time, since they would only conflict

	// Guarded by gates.mu.
	waiting int
	running int
	changed chan struct{} // closed when a wait may have ended; nil while nobody waits for that
}

// enter waits until fewer attempts run at the counter than allowed says, and takes a place, which must be
// given back by leave. allowed reads the store; its error ends the wait.
//
// It is exact: how many run is noted before the store is read, and only who holds the admission adds to it.
// An attempt that ends meanwhile is in the number, or in the record, or in both, never in neither.
func (gs *gates) enter(ctx context.Context, of counter, allowed func() (int, error)) (*gate, error) {
	g, err := gs.join(of)
	if err != nil {
		return nil, err
	}
	entered := false
	defer func() {
		if !entered {
			gs.giveUp(of, g)
		}
	}()
	select {
	case g.admission <- struct{}{}:
	case <-ctx.Done():
		return nil, waitError(ctx)
	}
	defer func() { <-g.admission }()
	for {
		if ctx.Err() != nil {
			return nil, waitError(ctx)
		}
		running, changed := gs.look(g)
		most, err := allowed()
		if err != nil {
			return nil, err
		}
		if running < most {
			gs.start(g)
			entered = true
			return g, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, waitError(ctx)
		}
	}
}

func waitError(ctx context.Context) error {
	return fmt.Errorf("waiting for a turn to sign in: %w", ctx.Err())
}

func (gs *gates) join(of counter) (*gate, error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := gs.used[of]
	if g == nil {
		g = &gate{admission: make(chan struct{}, 1)}
		gs.used[of] = g
	}
	if g.waiting >= maxWaiters {
		return nil, ErrCrowded
	}
	g.waiting++
	return g, nil
}

func (gs *gates) look(g *gate) (running int, changed <-chan struct{}) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.running, g.changed
}

func (gs *gates) start(g *gate) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g.waiting--
	g.running++
}

func (gs *gates) giveUp(of counter, g *gate) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g.waiting--
	gs.forgetUnused(of, g)
}

// leave gives a place back and wakes who waits for it.
func (gs *gates) leave(of counter, g *gate) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g.running--
	g.wake()
	gs.forgetUnused(of, g)
}

// wake lets who waits at the counter look again: its record was changed by other than an attempt.
func (gs *gates) wake(of counter) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g := gs.used[of]; g != nil {
		g.wake()
	}
}

func (g *gate) wake() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

func (gs *gates) forgetUnused(of counter, g *gate) {
	if g.waiting == 0 && g.running == 0 {
		delete(gs.used, of)
	}
}
