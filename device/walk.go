package device

import (
	"time"

	"github.com/google/uuid"

	"devicegate/reason"
)

// walkPiece is how many slots are looked at before the lock is let go: with a million devices a walk takes
// a quarter of a second, and one commit that waits for it would hold up every check behind it.
const walkPiece = 1024

// walk calls visit with every device and its user, in pieces; visit returns false to end it. Devices that
// come or go meanwhile may be seen or not.
func (x *Index) walk(visit func(d *deviceSlot, u userSlot, known bool) bool) {
	for from := 0; ; from += walkPiece {
		if more := x.walkPiece(from, visit); !more {
			return
		}
	}
}

func (x *Index) walkPiece(from int, visit func(d *deviceSlot, u userSlot, known bool) bool) (more bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	to := min(from+walkPiece, len(x.slots))
	for at := from; at < to; at++ {
		d := &x.slots[at]
		if d.uid == (uuid.UUID{}) {
			continue
		}
		u, known := x.users[d.user]
		if !visit(d, u, known) {
			return false
		}
	}
	return to < len(x.slots)
}

// Live returns how many devices live at now. It walks all of them: for metrics, not for checks.
func (x *Index) Live(now time.Time) int {
	n := 0
	x.walk(func(d *deviceSlot, u userSlot, known bool) bool {
		if known && x.alive(d, u, now) == reason.OK {
			n++
		}
		return true
	})
	return n
}

// due returns up to limit devices whose rows can go: ended long enough ago, expired, or ended with
// their user.
func (x *Index) due(now time.Time, limit int) []uuid.UUID {
	var uids []uuid.UUID
	x.walk(func(d *deviceSlot, u userSlot, known bool) bool {
		if d.mark() {
			return true
		}
		if !known || x.alive(d, u, now) == reason.DeviceNotRecognized && x.forgettable(d, u, now) {
			uids = append(uids, d.uid)
		}
		return len(uids) < limit
	})
	return uids
}

// forgettable tells an end that may be forgotten from one that is merely not told apart (a logout):
// the latter's row still keeps a revoked device from ever being registered anew meanwhile.
func (x *Index) forgettable(d *deviceSlot, u userSlot, now time.Time) bool {
	ms := now.UnixMilli()
	if d.ended == 0 && d.generation < u.generation {
		return ms >= u.endedAt+x.keepOf(d.foreign).Milliseconds()
	}
	return ms >= d.until
}
