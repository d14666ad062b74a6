package login

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"devicegate/lockout"
)

// rateNetworks bounds the networks whose rate is remembered. The one seen longest ago is forgotten, and
// begins anew: what must not be forgotten is the lockout's.
const rateNetworks = 1 << 16

// Rate is how many attempts a network may make at once; they come back one by one, all of them within Per. The
// zero Rate, which no configuration has, bounds nothing.
type Rate struct {
	Count int
	Per   time.Duration
}

// rates bounds the attempts of each network: IPv4 address, or IPv6 /64.
type rates struct {
	rate Rate
	now  func() time.Time

	mu   sync.Mutex
	seen *simplelru.LRU[string, *rate.Limiter]
}

func newRates(r Rate, now func() time.Time) *rates {
	seen, err := simplelru.NewLRU[string, *rate.Limiter](rateNetworks, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &rates{rate: r, now: now, seen: seen}
}

// take takes one attempt of the network of ip, or returns how long it has to wait for the next.
func (r *rates) take(ip netip.Addr) (wait time.Duration) {
	if r.rate.Count <= 0 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	network, now := lockout.Network(ip), r.now()
	limiter, known := r.seen.Get(network)
	if !known {
		limiter = rate.NewLimiter(rate.Every(r.rate.Per/time.Duration(r.rate.Count)), r.rate.Count)
		r.seen.Add(network, limiter)
	}
	reserved := limiter.ReserveN(now, 1)
	if wait = reserved.DelayFrom(now); wait > 0 {
		reserved.CancelAt(now) // a refused attempt takes nothing from the next
	}
	return wait
}
