package place

import (
	"sync"
	"time"
)

// notePause is how long the same trouble is kept quiet after it was told.
const notePause = time.Minute

// notes tells the operator what he should know, each message at most once a minute. The messages are
// constants of this package, so there are few of them.
type notes struct {
	log func(msg string, err error) // may be nil
	now func() time.Time

	mu   sync.Mutex
	last map[string]time.Time
}

func (n *notes) tell(msg string, err error) {
	if n.log != nil && n.due(msg) {
		n.log(msg, err)
	}
}

func (n *notes) due(msg string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if last, told := n.last[msg]; told && now.Sub(last) < notePause {
		return false
	}
	n.last[msg] = now
	return true
}
