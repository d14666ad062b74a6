package bolt

import (
	"context"
	"fmt"
	"sync"

	"devicegate/db"
)

// Bounds of what the feed remembers for watchers that come back.
const (
	ringBatches = 4096
	ringBytes   = 8 << 20
)

// feed hands every commit to every watcher, in order, and remembers the last ones.
type feed struct {
	mu       sync.Mutex // held while apply runs: that is what makes one goroutine at a time, in order
	ring     []db.Batch // every commit above reach
	bytes    int
	reach    db.Revision
	watchers map[*watcher]struct{}
	ended    error
}

type watcher struct {
	ctx   context.Context
	apply func(db.Batch)
	after db.Revision // the last commit that it was given
	end   chan error
	stop  func() bool // of the wait for the context's end
}

func newFeed(opened db.Revision) *feed {
	return &feed{reach: opened, watchers: make(map[*watcher]struct{})}
}

// watch gives the new watcher what it missed before it returns: there is no moment at which an
// acknowledged commit is neither in what the caller listed nor applied.
func (f *feed) watch(ctx context.Context, after db.Revision, apply func(db.Batch)) (<-chan error, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != nil {
		return nil, f.ended
	}
	if after < f.reach {
		return nil, fmt.Errorf("%w: it starts at revision %d", db.ErrCompacted, f.reach)
	}
	w := &watcher{ctx: ctx, apply: apply, after: after, end: make(chan error, 1)}
	f.watchers[w] = struct{}{}
	w.stop = context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.remove(w, nil)
	})
	for _, b := range f.ring {
		w.give(b)
	}
	return w.end, nil
}

// publish returns when every watcher has applied every batch.
func (f *feed) publish(batches []db.Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range batches {
		f.ring = append(f.ring, b)
		f.bytes += size(b)
		for w := range f.watchers {
			w.give(b)
		}
	}
	f.forget()
}

// forget drops the oldest batches over the bounds.
func (f *feed) forget() {
	drop := 0
	for ; len(f.ring)-drop > ringBatches || f.bytes > ringBytes; drop++ {
		f.bytes -= size(f.ring[drop])
		f.reach = f.ring[drop].Revision
		f.ring[drop] = db.Batch{} // let go of the values now, of the slot when the slice moves
	}
	f.ring = f.ring[drop:]
}

// end tells every watcher why nothing follows. A later watch gets the same error.
func (f *feed) end(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended == nil {
		f.ended = why
	}
	for w := range f.watchers {
		f.remove(w, f.ended)
	}
	f.ring = nil
}

// remove ends one watcher, once. The lock is held.
func (f *feed) remove(w *watcher, why error) {
	if _, there := f.watchers[w]; !there {
		return
	}
	delete(f.watchers, w)
	w.stop()
	w.end <- why
	close(w.end)
}

// give applies b unless the watcher has seen it or has gone. A list may show a commit that is still
// on its way here, hence the first.
func (w *watcher) give(b db.Batch) {
	if b.Revision <= w.after || w.ctx.Err() != nil {
		return
	}
	w.apply(clone(b))
	w.after = b.Revision
}

// clone copies a batch with all its values: the receiver owns them.
func clone(b db.Batch) db.Batch {
	c := db.Batch{Revision: b.Revision}
	for _, w := range b.Writes {
		c.Writes = append(c.Writes, db.Write{Key: w.Key, Value: append([]byte(nil), w.Value...), Delete: w.Delete})
	}
	return c
}

func size(b db.Batch) int {
	n := 0
	for _, w := range b.Writes {
		n += len(w.Key) + len(w.Value)
	}
	return n
}
