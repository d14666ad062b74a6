package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
)

// Bounds of what heads of requests that have not come whole may hold. net/http bounds each, and that for
// thousands of connections at once is the memory of a small machine. Buffers that grow make it about 2.4
// times as much.
//
// A connection whose head outgrows what it has takes from the shared room in two steps: a little, which a thousand can have at
// once, and then as much as any head may have. Were it given room as it comes, thousands of long heads would each get
// most of the way before there was no more, and the gate would be busy with reading what it then throws away.
const (
	ownHead    = 8 << 10        // of every connection
	sharedHead = 8 << 20        // of all connections together, besides
	firstStep  = 8 << 10        // of a connection in the shared room
	nextStep   = maxHeaderBytes // likewise, once it needs more
)

// headroom is what all connections of the HTTP listeners share. The zero value has given nothing away.
type headroom struct {
	mu    sync.Mutex
	given int64
}

// take gives n bytes, or says that so many are not left.
func (h *headroom) take(n int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.given+n > sharedHead {
		return false
	}
	h.given += n
	return true
}

func (h *headroom) giveBack(n int64) {
	if n == 0 {
		return
	}
	h.mu.Lock()
	h.given -= n
	h.mu.Unlock()
}

// listener returns l with connections that are hung up on when there is no room for what they send, or, where they
// are plain, when it may not be answered.
func (h *headroom) listener(l net.Listener, plain bool) net.Listener {
	return roomyListener{l, h, plain}
}

type roomyListener struct {
	net.Listener
	room  *headroom
	plain bool
}

// Accept returns the next connection.
func (l roomyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &roomyConn{Conn: c, room: l.room, plain: l.plain}, nil
}

// roomyConn counts what comes between two requests, which is the head of the next.
type roomyConn struct {
	net.Conn
	room  *headroom
	plain bool

	mu      sync.Mutex
	head    int64 // bytes since the last request began, or the connection rested after it
	taken   int64 // of the shared room
	serving int   // requests under way
	framed  bool  // HTTP/2: the next head comes while others are served
	closed  bool
	heads   heads
}

var errNoHeadroom = errors.New("the heads of requests that have not come whole hold too much memory")

// Read hangs up on a connection whose head finds no more room, or may not be answered.
func (c *roomyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		if wrong := c.look(p[:n]); wrong != nil {
			_ = c.Close()
			return 0, wrong
		}
	}
	return n, err
}

// look judges what has been read.
func (c *roomyConn) look(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.fits(int64(len(p))) {
		return errNoHeadroom
	}
	if !c.plain {
		return nil
	}
	return c.heads.read(p)
}

// fits says whether there is room for n more bytes. The lock is held.
func (c *roomyConn) fits(n int64) bool {
	if c.closed || c.serving > 0 && !c.framed { // a body, which its reader bounds
		return true
	}
	c.head += n
	lacking := c.head - ownHead - c.taken
	if lacking <= 0 {
		return true
	}
	more := int64(firstStep)
	if c.taken > 0 || lacking > more {
		more = max(lacking, nextStep)
	}
	if !c.room.take(more) {
		return false
	}
	c.taken += more
	return true
}

// begin says that a head has come whole. last says that nothing behind its request may be answered.
func (c *roomyConn) begin(framed bool) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serving++
	c.framed = framed
	c.empty()
	return c.heads.lost
}

func (c *roomyConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serving--
}

// empty gives back what the connection has of the shared room. The lock is held.
func (c *roomyConn) empty() {
	c.room.giveBack(c.taken)
	c.head, c.taken = 0, 0
}

// Close gives back what the connection holds.
func (c *roomyConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.empty()
	c.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets net/http end an answer before it stops to read: a client that still sends would lose it.
func (c *roomyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// rest is the ConnState of a server whose listener is roomy. What net/http reads of a body that nobody wanted comes after
// the request has ended, and is no head: without this thousands of resting connections would keep the room that they took.
func (h *headroom) rest(c net.Conn, state http.ConnState) {
	if state != http.StateIdle {
		return
	}
	if over, ok := c.(*tls.Conn); ok {
		c = over.NetConn()
	}
	if roomy, ok := c.(*roomyConn); ok {
		roomy.mu.Lock()
		defer roomy.mu.Unlock()
		roomy.empty()
	}
}

type connKey struct{}

// remember is the ConnContext of a server whose listener is roomy.
func (h *headroom) remember(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// around says when the head of a request has come whole, and when the request has been answered.
func (h *headroom) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*roomyConn); ok {
			if last := c.begin(r.ProtoMajor == 2); last {
				w.Header().Set("Connection", "close")
			}
			defer c.end()
		}
		next.ServeHTTP(w, r)
	})
}
