package activity

import (
	"context"
	"fmt"
)

// What the fuzz tests reach for.
var (
	DecodeEvent = decodeEvent
	IDIn        = idIn
	PlaceOf     = placeOf
)

// How many users are counted in memory, and how many wait for that.
const (
	MaxQuotas = maxQuotas
	MaxQueued = maxQueued
)

// Quotas returns how many users are counted.
func (l *Log) Quotas() int {
	l.counts.mu.Lock()
	defer l.counts.mu.Unlock()
	return len(l.counts.quotas)
}

// Queued returns how many jobs wait for the background, and whether it is at work.
func (l *Log) Queued() (jobs int, working bool) {
	l.counts.mu.Lock()
	defer l.counts.mu.Unlock()
	return len(l.counts.queued), l.counts.working
}

// Rest waits until the background has nothing to do. Nothing is committed meanwhile.
func (l *Log) Rest() { l.worker.Wait() }

// Miscounted returns the users whose events are counted otherwise than they are stored, and those who wait to be
// counted and are forgotten. Nothing is under way.
func (l *Log) Miscounted(ctx context.Context) (wrong []string, err error) {
	for s, q := range l.counts.quotas {
		places, err := l.places(ctx, s)
		if err != nil {
			return nil, err
		}
		if q.pending != 0 || q.counted && q.n != len(places) || !q.counted && q.n != len(q.fresh) {
			wrong = append(wrong, fmt.Sprintf("%s of %v: %d, stored %d, pending %d", s.class.name, s.user, q.n, len(places), q.pending))
		}
	}
	for j := range l.counts.queued {
		if !j.whole && l.counts.quotas[j.share] == nil {
			wrong = append(wrong, fmt.Sprintf("%s of %v: forgotten", j.class.name, j.user))
		}
	}
	return wrong, nil
}

// Encode returns the record of an event.
func Encode(ev Event) []byte { return ev.encode() }
