package login

import (
	"net/netip"
	"time"
)

// NameKey returns the key of the record that holds name.
func NameKey(name string) string { return nameKey(name) }

// Cut is what bounds the text that a client sends.
func Cut(s string, n int) string { return cut(s, n) }

// Rates are the rates of networks alone.
type Rates struct{ r *rates }

// NewRates returns rates of networks of which nothing is known.
func NewRates(r Rate, now func() time.Time) Rates { return Rates{newRates(r, now)} }

// Take takes one attempt, or returns how long it has to wait.
func (r Rates) Take(ip netip.Addr) time.Duration { return r.r.take(ip) }

// Len returns how many networks are remembered, and how many there may be.
func (r Rates) Len() (n, most int) {
	return r.r.seen.Len() + r.r.waiting.Len(), rateNetworks + waitingNetworks
}
