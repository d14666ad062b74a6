package envoy

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Bounds of what calls may hold, in bytes, whoever makes them.
const (
	// callCost is what a call holds beside its message: stream, goroutine, headers.
	callCost = 8 << 10
	// readingBytes bounds the calls whose message is not whole. The oldest give way: a message of a proxy is whole
	// within a millisecond, so the oldest is one that was left lying.
	readingBytes = 16 << 20
	// little is what a connection may hold before its calls are the first to give way, as long as others hold more among
	// the oldest.
	little = 64 << 10
	oldest = 64
	// leavingBytes bounds the calls whose answer is not written. A client decides when it takes an answer, and
	// gRPC keeps the stream until then.
	leavingBytes = 32 << 20
	// streamWindow is what a client may send of a call that nobody reads: HTTP/2's own, and the least that gRPC knows.
	streamWindow = 64 << 10
)

// Bounds of time.
const (
	// callTimeout is how long a message may take, and an answer to be taken.
	callTimeout = 5 * time.Second
	// leastLeaving is how long an answer may take even if leavingBytes are used up: its price is the connection.
	leastLeaving = 250 * time.Millisecond
	// lookEvery is how often that is looked for: it goes through all that leave.
	lookEvery = 10 * time.Millisecond
)

// Calls is the account of all calls under way. Over its bounds a call that is not whole is refused, which
// failure_mode_allow does not let pass, and a client that does not take answers is hung up on.
type Calls struct {
	refused func(why error)

	mu      sync.Mutex
	reading queue
	leaving queue
	looked  time.Time     // when it was last looked for answers that are not taken
	large   chan struct{} // held by the one that decodes a large message
}

func newCalls(refused func(error)) *Calls {
	return &Calls{refused: refused, large: make(chan struct{}, 1)}
}

// queue holds calls, the oldest first.
type queue struct {
	first, last *call
	held        int
}

// call is one call. All but what is set once belongs to the lock of Calls.
type call struct {
	all     *Calls
	stream  grpc.ServerStream
	conn    *connection
	in      transport
	refusal func(why error) (proto.Message, error)

	on           *queue // nil: it holds nothing any more
	older, newer *call
	held         int
	since        time.Time
}

// connection is what calls come over.
type connection struct {
	io.Closer     // nil where it was not remembered
	reading   int // what its calls hold that are not whole; of the lock of Calls
}

func (q *queue) push(c *call, held int) {
	c.on, c.since, c.older, c.newer = q, time.Now(), q.last, nil
	if q.last != nil {
		q.last.newer = c
	} else {
		q.first = c
	}
	q.last = c
	c.hold(held)
}

// hold adds to what c holds.
func (c *call) hold(more int) {
	c.held += more
	c.on.held += more
	if c.on == &c.all.reading {
		c.conn.reading += more
	}
}

func (c *call) leave() {
	q := c.on
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		q.first = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		q.last = c.older
	}
	c.hold(-c.held)
	c.on, c.older, c.newer = nil, nil, nil
}

// begin enters a call, and lets older ones give way to it.
func (all *Calls) begin(c *call) {
	all.mu.Lock()
	all.reading.push(c, callCost+headerCost(c.in.HeaderWireLength()))
	over := all.over()
	all.mu.Unlock()
	all.end(over)
}

// headerCost is what headers of so many bytes on the wire may hold: one byte can name a header again.
func headerCost(wire int) int { return min(33*wire, 96<<10) }

// grow says that the message of c will hold so many bytes more. It is false when c had to give way.
func (c *call) grow(n int) bool {
	all := c.all
	all.mu.Lock()
	if c.on != &all.reading {
		all.mu.Unlock()
		return false
	}
	c.hold(n)
	over := all.over()
	stays := c.on == &all.reading
	all.mu.Unlock()
	all.end(over)
	return stays
}

// take says that c has been read and will be answered by its handler. It is false when somebody else answers it.
func (c *call) take() bool {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	if c.on != &c.all.reading {
		return false
	}
	c.leave()
	return true
}

// departs says that the answer of c is on its way. A call that the client has not ended may go on to fill its window.
func (c *call) departs(ended bool) {
	held := callCost
	if !ended {
		held += streamWindow
	}
	all := c.all
	all.mu.Lock()
	all.leaving.push(c, held)
	over := all.over()
	all.mu.Unlock()
	all.end(over)
}

// gone says that c holds nothing any more.
func (c *call) gone() {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	if c.on != nil {
		c.leave()
	}
}

// ending is what has to go: a call, with a refusal, or a whole connection.
type ending struct {
	refuse *call
	hangUp *connection
}

// over takes from the queues what is too much. The lock is held.
func (all *Calls) over() (over []ending) {
	for all.reading.held > readingBytes {
		over = append(over, ending{refuse: all.evict(all.lyingLongest())})
	}
	if now := time.Now(); all.leaving.held > leavingBytes && now.After(all.looked.Add(lookEvery)) {
		all.looked = now
		over = append(over, all.drop(all.mostLeft(now.Add(-leastLeaving)))...)
	}
	return over
}

// evict makes a call that is not whole one that is answered. The lock is held.
func (all *Calls) evict(c *call) *call {
	c.leave()
	all.leaving.push(c, callCost+streamWindow)
	return c
}

// lyingLongest returns the oldest call that is not whole, of a connection that holds more than little where one of the
// oldest is: on a machine that is busy an honest one is not whole for a while either. The lock is held.
func (all *Calls) lyingLongest() *call {
	c := all.reading.first
	for range oldest {
		if c == nil {
			break
		}
		if c.conn.reading > little {
			return c
		}
		c = c.newer
	}
	return all.reading.first
}

// mostLeft returns the connections with the most of what has been left lying since before, as many as it takes until it
// is not too much altogether: on a machine that is busy some of it is of honest ones. The lock is held.
func (all *Calls) mostLeft(before time.Time) []*connection {
	held, sum := map[*connection]int{}, 0
	for c := all.leaving.first; c != nil && c.since.Before(before); c = c.newer {
		held[c.conn] += c.held
		sum += c.held
	}
	conns := slices.SortedFunc(maps.Keys(held), func(a, b *connection) int { return held[b] - held[a] })
	for n, conn := range conns {
		if sum <= leavingBytes/2 {
			return conns[:n]
		}
		sum -= held[conn]
	}
	return conns
}

// drop gives up all calls of connections whose answers are not taken, and says that they are to be hung up on. It goes
// through the queue once: there may be as many connections as calls. The lock is held.
func (all *Calls) drop(conns []*connection) (over []ending) {
	if len(conns) == 0 {
		return nil
	}
	dropped := map[*connection]bool{}
	for _, conn := range conns {
		dropped[conn] = true
		over = append(over, ending{hangUp: conn})
	}
	for c := all.leaving.first; c != nil; {
		next := c.newer
		if dropped[c.conn] {
			c.leave()
		}
		c = next
	}
	return over
}

// end ends what has to go. The lock is not held.
func (all *Calls) end(over []ending) {
	for _, e := range over {
		if c := e.refuse; c != nil {
			all.refused(errLate)
			ended := okStatus
			if err := c.send(c.refusal(errLate)); err != nil {
				ended = status.Convert(err)
			}
			_ = c.in.WriteStatus(ended) // ends the reading of its handler
		} else if e.hangUp.Closer != nil {
			_ = e.hangUp.Close()
		}
	}
}

var okStatus = status.New(codes.OK, "")

// Run ends calls that take too long, until ctx ends.
func (all *Calls) Run(ctx context.Context) {
	tick := time.NewTicker(callTimeout / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			all.sweep(time.Now().Add(-callTimeout))
		}
	}
}

func (all *Calls) sweep(before time.Time) {
	var late []ending
	all.mu.Lock()
	for c := all.reading.first; c != nil && c.since.Before(before); c = all.reading.first {
		late = append(late, ending{refuse: all.evict(c)})
	}
	conns := map[*connection]bool{}
	for c := all.leaving.first; c != nil && c.since.Before(before); c = c.newer {
		conns[c.conn] = true
	}
	late = append(late, all.drop(slices.Collect(maps.Keys(conns)))...)
	all.mu.Unlock()
	all.end(late)
}
