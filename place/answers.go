package place

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	maxAnswers = 10_000
	keepFound  = 24 * time.Hour
	// keepUnknown is short, because providers learn of new networks.
	keepUnknown = time.Hour
)

// answers is what the provider said, the least recently used forgotten first.
type answers struct {
	now func() time.Time

	mu  sync.Mutex
	lru *simplelru.LRU[netip.Addr, answer]
}

type answer struct {
	place Place // the zero Place: it does not know
	until time.Time
}

func newAnswers(now func() time.Time) *answers {
	lru, err := simplelru.NewLRU[netip.Addr, answer](maxAnswers, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &answers{now: now, lru: lru}
}

// get returns the answer about ip, if there is one that still counts.
func (a *answers) get(ip netip.Addr) (Place, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	got, ok := a.lru.Get(ip)
	if ok && !a.now().Before(got.until) {
		a.lru.Remove(ip)
		ok = false
	}
	if !ok {
		return Place{}, false
	}
	return got.place, true
}

func (a *answers) put(ip netip.Addr, p Place) {
	keep := keepUnknown
	if p.Known() {
		keep = keepFound
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lru.Add(ip, answer{place: p, until: a.now().Add(keep)})
}
