package login

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"devicegate/lockout"
)

// Bounds of the networks whose rate is remembered: of those that may go on, and of those that were told to wait. Of each
// the one seen longest ago is forgotten, and begins anew: what must not be forgotten is the lockout's. They are apart so that
// whoever has networks without number (an IPv6 /48 is 65,536 of them) cannot free one that waits by one attempt from each of
// the others.
const (
	rateNetworks    = 1 << 16
	waitingNetworks = 1 << 14
)

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

	mu            sync.Mutex
	seen, waiting *limiters
}

type limiters = simplelru.LRU[string, *rate.Limiter]

func newRates(r Rate, now func() time.Time) *rates {
	return &rates{rate: r, now: now, seen: newLimiters(rateNetworks), waiting: newLimiters(waitingNetworks)}
}

func newLimiters(size int) *limiters {
	l, err := simplelru.NewLRU[string, *rate.Limiter](size, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return l
}

// take takes one attempt of the network of ip, or returns how long it has to wait for the next.
func (r *rates) take(ip netip.Addr) (wait time.Duration) {
	if r.rate.Count <= 0 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	network, now := lockout.Network(ip), r.now()
	limiter := r.limiter(network)
	reserved := limiter.ReserveN(now, 1)
	if wait = reserved.DelayFrom(now); wait > 0 {
		reserved.CancelAt(now) // a refused attempt takes nothing from the next
		r.seen.Remove(network)
		r.waiting.Add(network, limiter)
		return wait
	}
	r.waiting.Remove(network)
	r.seen.Add(network, limiter)
	return 0
}

func (r *rates) limiter(network string) *rate.Limiter {
	for _, known := range []*limiters{r.waiting, r.seen} {
		if limiter, is := known.Get(network); is {
			return limiter
		}
	}
	return rate.NewLimiter(rate.Every(r.rate.Per/time.Duration(r.rate.Count)), r.rate.Count)
}
