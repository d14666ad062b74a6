package place

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	minPause      = time.Second
	maxPause      = 5 * time.Minute
	maxRetryAfter = time.Hour // whatever the provider says, we come back
)

// pause keeps us from a provider that fails: after each failure it is left alone twice as long as after the
// one before.
type pause struct {
	mu    sync.Mutex
	until time.Time
	delay time.Duration
	round int // the failures that counted
}

// over reports whether the provider may be asked, and the round that this belongs to.
func (p *pause) over(now time.Time) (round int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.round, !now.Before(p.until)
}

// failed begins a pause of atLeast. Requests that were under way together fail together: only the first of a
// round doubles the delay.
func (p *pause) failed(round int, now time.Time, atLeast time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if round == p.round {
		p.delay = min(max(2*p.delay, minPause), maxPause)
		p.round++
	}
	if until := now.Add(max(p.delay, atLeast)); until.After(p.until) {
		p.until = until
	}
}

// worked forgets the failures, unless one of the same round came first.
func (p *pause) worked(round int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if round == p.round {
		p.delay = 0
	}
}

// retryAfter reads a Retry-After header (RFC 9110 section 10.2.3), seconds or a date; zero for anything else.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
