package journal

import (
	"sync"

	"github.com/rs/zerolog"
)

// refusalsPerSecond bounds the lines of one reason, so that a flood of bad tokens does not become a flood
// of log.
const refusalsPerSecond = 100

// refusals counts the lines of the current second per reason, of one kind of line.
type refusals struct {
	log  zerolog.Logger
	left string // what to call the lines that were left out

	mu     sync.Mutex
	counts map[string]int
}

// admit reports whether one more line of this reason may be written now.
func (r *refusals) admit(why string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	r.counts[why]++
	return r.counts[why] <= refusalsPerSecond
}

// flush starts the next second, and says how many lines the last one left out.
func (r *refusals) flush() {
	r.mu.Lock()
	counts := r.counts
	r.counts = nil
	r.mu.Unlock()
	for why, n := range counts {
		if left := n - refusalsPerSecond; left > 0 {
			r.log.Warn().Str("reason", why).Int("count", left).Msg(r.left)
		}
	}
}
