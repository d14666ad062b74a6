package device

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"devicegate/db"
)

// sightingRows is the root of the flushed sightings. It is not watched: nobody but the process that wrote
// them needs them.
const sightingRows = "s/"

const sightingRowSize = 1 + 8 + 16 + 4

func sightingKey(device uuid.UUID) string { return sightingRows + string(device[:]) }

func (s sighting) encode() []byte {
	b := append(make([]byte, 0, sightingRowSize), rowVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(s.at))
	b = append(b, s.from[:]...)
	return binary.BigEndian.AppendUint32(b, s.tokens)
}

func decodeSighting(b []byte) (sighting, error) {
	if len(b) != sightingRowSize || b[0] != rowVersion {
		return sighting{}, fmt.Errorf("a sighting of %d bytes is not of a form that this version knows", len(b))
	}
	s := sighting{at: int64(binary.BigEndian.Uint64(b[1:]))}
	copy(s.from[:], b[9:25])
	s.tokens = binary.BigEndian.Uint32(b[25:])
	return s, nil
}

// fillSightings reads what was flushed. A sighting of a device that is gone is left to the sweep.
func (x *Index) fillSightings(ctx context.Context, store db.Store) error {
	_, err := db.Each(ctx, store, sightingRows, func(e db.Entry) error {
		uid, ok := rowID(e.Key, sightingRows)
		s, err := decodeSighting(e.Value)
		if !ok || err != nil {
			return fmt.Errorf("the row %q cannot be read: %w", e.Key, err)
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		if at, known := x.devices[uid]; known {
			x.slots[at].last = s
		}
		return nil
	})
	return err
}

// flushers bounds the transactions of one flush that are under way at once; the engine groups them.
const flushers = 8

// Flush writes the sightings since the last flush, in batches, and ends the devices that must end for
// their change of address. What could not be written is tried again at the next flush. Sightings are not
// worth an error to anybody but the log.
func (r *Registry) Flush(ctx context.Context) error {
	seen, ending := r.Index.takeSightings()
	var errs []error
	for uid, s := range ending {
		errs = append(errs, r.endMoved(ctx, uid, s))
	}
	var g errgroup.Group
	g.SetLimit(flushers)
	for batch := range slices.Chunk(slices.Collect(maps.Keys(seen)), db.MaxWrites) {
		g.Go(func() error { return r.writeSightings(ctx, batch, seen) })
	}
	return errors.Join(append(errs, g.Wait())...)
}

func (r *Registry) writeSightings(ctx context.Context, batch []uuid.UUID, seen map[uuid.UUID]sighting) error {
	writes := make([]db.Write, 0, len(batch))
	for _, uid := range batch {
		writes = append(writes, db.Put(sightingKey(uid), seen[uid].encode()))
	}
	_, err := r.Store.Commit(ctx, db.Txn{Writes: writes})
	if err != nil {
		for _, uid := range batch {
			r.Index.sightings.restore(uid, seen[uid])
		}
	}
	return err
}

// takeSightings moves the sightings into the slots, from where they are shown from now on: a shard at a
// time, so that checks never wait for all of them. What is of a device that is gone is dropped.
func (x *Index) takeSightings() (seen, ending map[uuid.UUID]sighting) {
	seen, ending = map[uuid.UUID]sighting{}, map[uuid.UUID]sighting{}
	for i := range x.sightings.shards {
		x.takeShard(&x.sightings.shards[i], seen, ending)
	}
	return seen, ending
}

func (x *Index) takeShard(shard *sightingShard, seen, ending map[uuid.UUID]sighting) {
	x.mu.Lock()
	defer x.mu.Unlock()
	taken := map[uuid.UUID]sighting{}
	maps.Copy(ending, shard.take(taken))
	for uid, s := range taken {
		if at, known := x.devices[uid]; known && x.slots[at].ended == 0 {
			x.slots[at].last, seen[uid] = s, s
		}
	}
}

// endMoved ends one device for its change of address, while its tokens are still those of that. Until it is
// written, its checks are refused from memory; so the mark goes only afterwards.
func (r *Registry) endMoved(ctx context.Context, uid uuid.UUID, s sighting) error {
	user, known := r.Index.Owner(uid)
	if known {
		cause := ofService(IPChanged)
		cause.By.IP = s.addr()
		if err := r.EndTokens(ctx, user, uid, s.tokens, cause); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	r.Index.sightings.forget(uid, s.tokens)
	return nil
}

// Urgent delivers when a device must end now, so that Flush is called at once.
func (x *Index) Urgent() <-chan struct{} { return x.urgent }
