package lockout

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/safetext"
)

const (
	schema  = 1
	maxName = 600 // bytes of a name that are stored
)

// record is one counter as it is stored. Its zero value is a counter that does not exist. Times are UTC,
// to the millisecond.
type record struct {
	Schema      int       `json:"schema"`
	Name        string    `json:"name"` // as it was sent last, bounded
	Network     string    `json:"network"`
	Device      uuid.UUID `json:"device,omitzero"`
	Failures    int       `json:"failures"` // 1 to math.MaxInt32
	LastFailure time.Time `json:"last_failure"`
	LockedUntil time.Time `json:"locked_until,omitzero"`
	Known       bool      `json:"known,omitempty"` // the name existed at the last failure
}

func (r record) encode() []byte {
	r.Schema = schema
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("a counter of plain values cannot fail to encode: %v", err))
	}
	return b
}

var errRange = errors.New("a value out of range")

// decodeRecord fails closed: a count below one would be more attempts for a guesser.
func decodeRecord(e db.Entry) (record, error) {
	var r record
	if err := json.Unmarshal(e.Value, &r); err != nil {
		return record{}, fmt.Errorf("the record %q cannot be read: %w", e.Key, err)
	}
	if r.Schema != schema {
		return record{}, fmt.Errorf("the record %q has schema %d, this version knows %d: use the version that wrote it or a newer one", e.Key, r.Schema, schema)
	}
	if r.Failures < 1 || r.Failures > math.MaxInt32 || r.LastFailure.IsZero() {
		return record{}, fmt.Errorf("the record %q cannot be read: %w", e.Key, errRange)
	}
	return r, nil
}

// fail returns the record after one more failure of the attempt.
func (r record) fail(o *Options, of counter, a *Attempt, now time.Time) record {
	r.Name, r.Network, r.Device, r.Known = safetext.Bound(a.Name, maxName), of.networkText(), of.device(), a.Known
	r.Failures = min(r.Failures+1, math.MaxInt32)
	r.LastFailure = now
	if over := r.Failures - o.threshold(of); over >= 0 {
		r.LockedUntil = now.Add(o.delay(over))
	}
	return r
}
