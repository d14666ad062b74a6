package abuse_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// The frames of HTTP/2 (RFC 9113), written by hand: no library sends what is sent here.
const (
	frameData         = 0
	frameHeaders      = 1
	frameReset        = 3
	frameSettings     = 4
	framePing         = 6
	frameGoAway       = 7
	frameWindow       = 8
	frameContinuation = 9

	flagEndStream  = 1
	flagAck        = 1 // of SETTINGS and PING
	flagEndHeaders = 4
)

// h2 is one connection, which a goroutine reads to its end.
type h2 struct {
	conn   net.Conn
	rpc    bool // what counts as an allow is in the message, not in the status
	closed chan struct{}

	writing sync.Mutex
	w       *bufio.Writer

	mu      sync.Mutex
	changed *sync.Cond
	first   int               // what may be sent on each stream at first
	window  map[uint32]int    // what more may be sent on each stream than that; 0: on the connection
	data    map[uint32][]byte // what came on each stream
	ended   map[uint32]bool   // by headers or data with END_STREAM, or by a reset
	seen    h2Seen
}

// h2Seen is what a connection was answered.
type h2Seen struct {
	allows, answers, resets int
	gone                    bool // GOAWAY, or closed
}

// dialH2 begins HTTP/2 with a listener.
func (g *gate) dialH2(t *testing.T, listener string) *h2 {
	t.Helper()
	c, err := g.openH2(listener)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.conn.Close() })
	return c
}

func (g *gate) openH2(listener string) (*h2, error) {
	conn, err := g.dial(listener)
	if err != nil {
		return nil, err
	}
	if secure, ok := conn.(*tls.Conn); ok {
		again := g.secure.Clone()
		again.NextProtos = []string{"h2"}
		conn = tls.Client(secure.NetConn(), again)
	}
	c := &h2{conn: conn, rpc: listener == "checks.grpc", closed: make(chan struct{}), w: bufio.NewWriterSize(conn, 32<<10), first: firstWindow, window: map[uint32]int{}, data: map[uint32][]byte{}, ended: map[uint32]bool{}}
	c.changed = sync.NewCond(&c.mu)
	_, _ = c.w.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") // an error stays with the writer, and comes with the flush
	c.frame(frameSettings, 0, 0, nil)
	go c.read()
	return c, c.flush()
}

// frame writes one frame into the buffer. It leaves errors to flush.
func (c *h2) frame(kind, flags byte, stream uint32, payload []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	head := [9]byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	binary.BigEndian.PutUint32(head[5:], stream)
	_, _ = c.w.Write(head[:])
	_, _ = c.w.Write(payload)
}

func (c *h2) flush() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	return c.w.Flush()
}

// read takes what the gate says until it says no more.
func (c *h2) read() {
	defer func() {
		c.mu.Lock()
		c.seen.gone = true
		c.changed.Broadcast()
		c.mu.Unlock()
		close(c.closed)
	}()
	r := bufio.NewReader(c.conn)
	for {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		c.take(head[3], head[4], binary.BigEndian.Uint32(head[5:])&^(1<<31), payload)
	}
}

func (c *h2) take(kind, flags byte, stream uint32, payload []byte) {
	if (kind == frameSettings || kind == framePing) && flags&flagAck == 0 {
		if kind == frameSettings {
			c.settle(payload)
			payload = nil
		}
		c.frame(kind, flagAck, 0, payload)
		_ = c.flush() // a connection that is gone is noticed by its reader
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch kind {
	case frameData:
		c.data[stream] = append(c.data[stream], payload...)
	case frameHeaders:
		c.seen.answers++ // of a message's end as well, which does no harm
		if !c.rpc && len(payload) > 0 && payload[0] == status200 {
			c.seen.allows++
		}
	case frameWindow:
		c.window[stream] += int(binary.BigEndian.Uint32(payload))
	case frameReset:
		c.seen.resets++
		c.ended[stream] = true
	case frameGoAway:
		c.seen.gone = true
	}
	if (kind == frameData || kind == frameHeaders) && flags&flagEndStream != 0 {
		c.end(stream)
	}
	c.changed.Broadcast()
}

// status200 is :status 200 as HPACK's static table has it; Go's servers send it as the first byte of the block.
const status200 = 0x88

// end notes that all of a stream has come.
func (c *h2) end(stream uint32) {
	c.ended[stream] = true
	if message := c.data[stream]; c.rpc && len(message) >= 5 {
		if allow, readable := allowed(message[5:]); allow && readable {
			c.seen.allows++
		}
	}
}

// firstWindow is what may be sent unasked on the connection, and on a stream until a setting says more.
const firstWindow = 65535

// settle takes over how much may be sent on a stream at first (SETTINGS_INITIAL_WINDOW_SIZE).
func (c *h2) settle(settings []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; len(settings) >= 6; settings = settings[6:] {
		if binary.BigEndian.Uint16(settings) == 4 {
			c.first = int(binary.BigEndian.Uint32(settings[2:]))
		}
	}
	c.changed.Broadcast()
}

// room waits until so many bytes may be sent on the stream, and takes them. It is false where the gate takes no more.
func (c *h2) room(stream uint32, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for firstWindow+c.window[0] < n || c.first+c.window[stream] < n {
		if c.ended[stream] || c.seen.gone {
			return false
		}
		c.changed.Wait()
	}
	c.window[0], c.window[stream] = c.window[0]-n, c.window[stream]-n
	return true
}

// roomNow says whether so many bytes may be sent without waiting.
func (c *h2) roomNow(stream uint32, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return firstWindow+c.window[0] >= n && c.first+c.window[stream] >= n
}

// result returns what was seen so far.
func (c *h2) result() h2Seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// finished waits until the stream has ended, or the connection, and returns what came on the stream.
func (c *h2) finished(stream uint32) (data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.ended[stream] && !c.seen.gone {
		c.changed.Wait()
	}
	return c.data[stream]
}

// literal encodes one header field without any table (RFC 7541, 6.2.2).
func literal(name, value string) []byte {
	b := []byte{0}
	for _, text := range []string{name, value} {
		b = append(prefixed(b, len(text)), text...)
	}
	return b
}

// prefixed encodes a length with a prefix of seven bits (RFC 7541, 5.1).
func prefixed(b []byte, n int) []byte {
	if n < 127 {
		return append(b, byte(n))
	}
	b, n = append(b, 127), n-127
	for ; n >= 128; n >>= 7 {
		b = append(b, byte(n)|128)
	}
	return append(b, byte(n))
}

func block(fields ...string) (b []byte) {
	for i := 0; i < len(fields); i += 2 {
		b = append(b, literal(fields[i], fields[i+1])...)
	}
	return b
}
