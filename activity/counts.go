package activity

import (
	"sync"
)

// maxQuotas bounds how many users are counted in memory. Whoever is not is counted anew at his next event.
const maxQuotas = 4096

// quota counts a share.
type quota struct {
	tally
	fresh   map[string]bool // until it is counted: the places of the events that are in n
	pending int             // transactions about to be stored
}

// counts are what the limits are held against. Nothing waits while mu is held.
type counts struct {
	mu      sync.Mutex
	quotas  map[share]*quota // of those who were active lately
	settled chan struct{}    // closed at the next settle; nil while nobody waits for it
	queue
}

// claim is what the events of one transaction add.
type claim struct {
	classes map[*class]int
	shares  map[share][]string // the places of their events
	paid    map[share]bool     // more was removed for them than they add
}

func (l *Log) claimOf(events []Event) claim {
	cl := claim{map[*class]int{}, map[share][]string{}, map[share]bool{}}
	for _, ev := range events {
		s := share{l.classOf(ev), ev.User}
		cl.classes[s.class]++
		cl.shares[s] = append(cl.shares[s], placeOf(ev.ID))
	}
	return cl
}

// admit counts the whole claim if none of it has to wait, and queues what is to be done about it in the
// background. Else it counts nothing and returns a share in whose way something is.
func (c *counts) admit(cl claim) (inTheWay share, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := maxQueued - len(c.queued)
	for s, places := range cl.shares {
		own := c.tally(s)
		if !cl.paid[s] && (s.class.full(cl.classes[s.class]) || s.limited() && own.full(len(places))) {
			return s, false
		}
		own.n += len(places)
		if s.limited() && own.due() && !c.queued[job{share: s}] {
			if room <= 0 { // else more and more would be on credit
				return s, false
			}
			room--
		}
	}
	for s, places := range cl.shares {
		s.class.n += len(places)
		c.enqueue(job{share{class: s.class}, true})
		if s.limited() {
			c.quota(s).add(places)
			c.enqueue(job{share: s})
		}
	}
	return share{}, true
}

func (q *quota) add(places []string) {
	q.n += len(places)
	q.pending++
	if q.counted {
		return
	}
	for _, place := range places {
		q.fresh[place] = true
	}
}

// settle ends what admit began, and wakes who waits for it.
func (c *counts) settle(cl claim, stored bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s, places := range cl.shares {
		if !stored {
			s.class.n -= len(places)
		}
		if s.limited() {
			c.quotas[s].settle(places, stored)
		}
	}
	if c.settled != nil {
		close(c.settled)
		c.settled = nil
	}
}

func (q *quota) settle(places []string, stored bool) {
	q.pending--
	if stored {
		return
	}
	q.n -= len(places)
	for _, place := range places {
		delete(q.fresh, place)
	}
}

// nextSettle returns a channel that is closed at the next settle.
func (c *counts) nextSettle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settled == nil {
		c.settled = make(chan struct{})
	}
	return c.settled
}

// find notes what the store holds of a share that was not counted. Of its fresh events some may be among
// the places and some not, depending on when those were read. The class's mu is held.
func (c *counts) find(s share, places []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.quota(s)
	for _, place := range places {
		if !q.fresh[place] {
			q.n++
		}
	}
	q.counted, q.fresh = true, nil
}

// quota returns the share's quota, which may be a new one. mu is held.
func (c *counts) quota(s share) *quota {
	q := c.quotas[s]
	if q == nil {
		c.forgetOne()
		q = &quota{tally: tally{limit: s.class.perUser}, fresh: map[string]bool{}}
		c.quotas[s] = q
	}
	return q
}

// tally returns the share's, of a new quota if it has none. mu is held.
func (c *counts) tally(s share) tally {
	if q := c.quotas[s]; q != nil {
		return q.tally
	}
	return tally{limit: s.class.perUser}
}

// forgetOne makes room for a quota. More than maxQuotas are kept only while as many are pending. Who is in
// the queue is kept: whoever is forgotten is within the slack, and what he then gets on credit leaves him
// within twice the slack.
func (c *counts) forgetOne() {
	if len(c.quotas) < maxQuotas {
		return
	}
	for s, q := range c.quotas {
		if q.pending == 0 && !c.queued[job{share: s}] {
			delete(c.quotas, s)
			return
		}
	}
}

// known returns how many events the share has, if that is counted.
func (c *counts) known(s share) (n int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.tally(s)
	return own.n, own.counted
}

// removed notes that an event is gone. The class's mu is held.
func (c *counts) removed(x *class, r row) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x.n--
	if !r.owned {
		return
	}
	if q := c.quotas[share{x, r.user}]; q != nil && (q.counted || q.fresh[r.place]) {
		q.n--
		delete(q.fresh, r.place)
	}
}

// in returns how many events the class has, and whether those from before Open are among them.
func (c *counts) in(x *class) (n int, filled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return x.n, x.counted
}

// fill notes what the class had before Open.
func (c *counts) fill(x *class) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x.n += x.walked
	x.counted = true
}

// overMost returns the shares of the class that a sweep has to trim, or to count first.
func (c *counts) overMost(x *class) []share {
	c.mu.Lock()
	defer c.mu.Unlock()
	var over []share
	for s, q := range c.quotas {
		if s.class == x && (!q.counted || q.n > q.most) {
			over = append(over, s)
		}
	}
	return over
}

// over returns how many events are to be removed of the share's class and of the share with those of the
// claim.
func (c *counts) over(s share, cl claim) (class, own int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.limited() {
		own = c.tally(s).over(len(cl.shares[s]))
	}
	return s.class.over(cl.classes[s.class]), own
}
