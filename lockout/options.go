package lockout

import (
	"context"
	"net/netip"
	"time"

	"devicegate/db"
)

// Options is what Counters works with. Numbers and durations that are too small to mean anything are raised
// to the smallest that do: nothing that is left out leaves guessing free.
type Options struct {
	Store db.Store
	Now   func() time.Time

	Threshold     int // failures of one name from one network, or of one known device
	NameThreshold int // failures of one name from everywhere but known devices

	BaseDelay time.Duration // the lock at the threshold, doubled by each further failure
	MaxDelay  time.Duration // the longest lock
	Window    time.Duration // a counter is forgotten so long after its last failure; at least MaxDelay

	Exempt []netip.Prefix // from these nothing is counted nor locked

	MaxUnknown int // records of names that do not exist; 0 = 100000. More only where more are being written at once
	// Exists says whether a user of the name exists now; nil: none does.
	Exists func(ctx context.Context, nameHash string) (bool, error)
}

func (o Options) raised() Options {
	o.Threshold, o.NameThreshold = max(o.Threshold, 1), max(o.NameThreshold, 1)
	o.BaseDelay = max(o.BaseDelay, time.Millisecond)
	o.MaxDelay = max(o.MaxDelay, o.BaseDelay)
	o.Window = max(o.Window, o.MaxDelay)
	if o.MaxUnknown == 0 {
		o.MaxUnknown = 100_000
	}
	o.MaxUnknown = max(o.MaxUnknown, 2) // one failure writes two records
	if o.Exists == nil {
		o.Exists = func(context.Context, string) (bool, error) { return false, nil }
	}
	exempt := make([]netip.Prefix, 0, len(o.Exempt))
	for _, p := range o.Exempt {
		exempt = append(exempt, plainPrefix(p))
	}
	o.Exempt = exempt
	return o
}

func (o *Options) exempts(ip netip.Addr) bool {
	ip = plain(ip)
	for _, p := range o.Exempt {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

func (o *Options) threshold(of counter) int {
	if of.kind == everywhere {
		return o.NameThreshold
	}
	return o.Threshold
}

// delay returns the lock after so many failures over the threshold (0: at it).
func (o *Options) delay(over int) time.Duration {
	if over >= 63 || o.BaseDelay > o.MaxDelay>>over {
		return o.MaxDelay
	}
	return o.BaseDelay << over
}

// lockedUntil returns when the lock of the record ends; the zero time where it is not locked now. The lock's
// length is at most MaxDelay and runs from the last failure, or from now where the clock was set back since
// and the last failure lies in the future.
func (o *Options) lockedUntil(r record, now time.Time) time.Time {
	from := r.LastFailure
	if from.After(now) {
		from = now
	}
	end := from.Add(min(r.LockedUntil.Sub(r.LastFailure), o.MaxDelay))
	if !end.After(now) {
		return time.Time{}
	}
	return end
}

// forgotten says whether the window of the record is over.
func (o *Options) forgotten(r record, now time.Time) bool {
	return !now.Before(r.LastFailure.Add(o.Window))
}
