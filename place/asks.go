package place

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

const (
	maxAsking  = 4  // requests at a time
	maxWaiting = 64 // addresses that wait for their turn
	maxJoined  = 64 // callbacks that wait for one address: somebody may sign in from it over and over
)

// asks are the addresses that somebody waits for, each once, with those who wait.
type asks struct {
	queue   chan netip.Addr // those whose turn has not come
	dropped atomic.Uint64

	mu      sync.Mutex
	waiting map[netip.Addr][]func(Place) // in the queue or being asked
}

func newAsks() *asks {
	return &asks{queue: make(chan netip.Addr, maxWaiting), waiting: map[netip.Addr][]func(Place){}}
}

// add has then wait for ip. It never blocks; over a limit it drops then and counts.
func (a *asks) add(ip netip.Addr, then func(Place)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if joined := a.waiting[ip]; joined != nil {
		if len(joined) >= maxJoined {
			a.dropped.Add(1)
			return
		}
		a.waiting[ip] = append(joined, then)
		return
	}
	select {
	case a.queue <- ip:
		a.waiting[ip] = []func(Place){then}
	default:
		a.dropped.Add(1)
	}
}

// take returns those who wait for ip and forgets it.
func (a *asks) take(ip netip.Addr) []func(Place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	joined := a.waiting[ip]
	delete(a.waiting, ip)
	return joined
}
