package activity

// What the fuzz tests reach for.
var (
	DecodeEvent = decodeEvent
	IDIn        = idIn
	PlaceOf     = placeOf
)

// MaxQuotas is how many users are counted in memory.
const MaxQuotas = maxQuotas

// Quotas returns how many users are counted.
func (l *Log) Quotas() int {
	l.counts.mu.Lock()
	defer l.counts.mu.Unlock()
	return len(l.counts.quotas)
}

// Encode returns the record of an event.
func Encode(ev Event) []byte { return ev.encode() }
