package abuse_test

import (
	"bytes"
	"testing"
	"time"
)

// mostMessage is what the gate reads of one message.
const mostMessage = 1 << 20

// padded returns a message around a CheckRequest that is so long altogether, with a token that passes.
func (g *gate) padded(size int) []byte {
	body := checkRequest(g.anna.Access)
	return message(join(body, field(2000, make([]byte, size-len(body)-paddingHead(size))))) // a field that nobody knows
}

// paddingHead is how long tag and length of the padding are.
func paddingHead(size int) int {
	if size < 2<<20 {
		return 2 + 3
	}
	return 2 + 4
}

// TestHugeCalls: messages as large as one may be, larger ones, and much larger ones. What is not read is answered by a refusal,
// however much of it is still to come.
func TestHugeCalls(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	for size, allow := range map[int]bool{mostMessage: true, mostMessage + 1: false, 4 << 20: false, 64 << 20: false} {
		conn := g.dialH2(t, "checks.grpc")
		body := g.padded(size)
		if got := len(body) - 5; got != size {
			t.Fatalf("the message has %d bytes, want %d", got, size)
		}
		conn.call(1, body)
		_ = conn.flush()
		data := conn.finished(1)
		if got := conn.result(); len(data) < 5 || got.allows > 0 != allow || got.gone {
			t.Errorf("a message of %d bytes: %+v and %d bytes of an answer, want it allowed: %v", size, got, len(data), allow)
		}
	}
}

// TestHugeCallsAtOnce: V4. Memory is bounded for all calls together, whatever it is that they send, and honest checks go on.
func TestHugeCallsAtOnce(t *testing.T) {
	t.Parallel()
	huge := message(make([]byte, 60<<20))
	// Each entry of the list is two bytes here, and an object in memory.
	entries := checkOf(field(fieldHeaderMap, bytes.Repeat([]byte{0x0a, 0}, (mostMessage-200)/2)))
	for name, c := range map[string]struct {
		conns, calls int
		body         []byte
		frame        int // bytes at a time
		end          bool
	}{
		"60 MB, at full speed":              {8, 16, huge, maxFrame, true},
		"1 MB, at full speed":               {8, 16, message(make([]byte, mostMessage)), maxFrame, true},
		"1 MB, but for its last byte":       {8, 100, message(make([]byte, mostMessage))[:mostMessage], maxFrame, false},
		"1 MB, left lying in small frames":  {8, 100, message(make([]byte, mostMessage))[:mostMessage/4], 1024, false},
		"16 KB, left lying":                 {40, 100, message(make([]byte, 16<<10))[:8<<10], maxFrame, false},
		"left lying byte by byte":           {40, 100, message(make([]byte, 1000))[:500], 1, false},
		"the head of a message, left lying": {40, 100, message(make([]byte, mostMessage))[:4], maxFrame, false},
		"a list of half a million nothings": {8, 16, message(entries), maxFrame, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := startGate(t, nil)
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				all := make([]*h2, c.conns)
				for i := range all {
					all[i] = g.dialH2(t, "checks.grpc")
					all[i].frame(frameWindow, 0, 0, []byte{0x3f, 0xff, 0, 0}) // every answer is taken
				}
				begun := time.Now()
				inTurn(c.conns, func(i int) { all[i].callMany(c.calls, c.body, c.frame, c.end) })
				sent := time.Since(begun)
				served()
				for _, conn := range all {
					conn.demandAnswers(t, c.calls)
				}
				t.Logf("sent in %v, answered in %v", sent, time.Since(begun))
			}})
		})
	}
}

// callMany makes calls whose messages come in turn, piece by piece.
func (c *h2) callMany(calls int, body []byte, frame int, end bool) {
	for i := range calls {
		c.frame(frameHeaders, flagEndHeaders, uint32(1+2*i), callHead())
	}
	for len(body) > 0 {
		n := min(frame, len(body))
		for i := range calls {
			c.piece(uint32(1+2*i), body[:n])
		}
		body = body[n:]
	}
	for i := range calls {
		if end {
			c.frame(frameData, flagEndStream, uint32(1+2*i), nil)
		}
	}
	_ = c.flush() // an error: it was hung up on
}

// piece sends some data on a stream, unless it has been answered.
func (c *h2) piece(stream uint32, data []byte) {
	if c.over(stream) {
		return
	}
	if !c.roomNow(stream, len(data)) {
		_ = c.flush()
	}
	if !c.room(stream, len(data)) {
		return
	}
	c.frame(frameData, 0, stream, data)
}

// over says that the stream has ended, or the connection.
func (c *h2) over(stream uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended[stream] || c.seen.gone
}

// demandAnswers demands that every call has been answered by a message, or that the gate has hung up, and that nothing was
// allowed.
func (c *h2) demandAnswers(t *testing.T, calls int) {
	t.Helper()
	var silent int
	for i := range calls {
		if len(c.finished(uint32(1+2*i))) < 5 && !c.result().gone {
			silent++
		}
	}
	if silent > 0 {
		t.Errorf("%d of %d calls have no message for an answer: %+v", silent, calls, c.result())
	}
	c.demandNoAllow(t)
}

// TestAnswersNotTaken: clients that let no answer be sent to them. What the gate holds for them it does not hold for long.
func TestAnswersNotTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body []byte
		fill int // bytes of the next message
		end  bool
	}{
		"of whole calls":                    {message(checkRequest("")), 0, true},
		"of refused calls that go on":       {message(make([]byte, 2<<20))[:5], 60 << 10, false},
		"of calls that they have not ended": {message(checkRequest("")), 60 << 10, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startGate(t, nil)
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				const conns, calls = 80, 100
				all := make([]*h2, conns)
				for i := range all {
					all[i] = g.dialH2(t, "checks.grpc")
					all[i].frame(frameSettings, 0, 0, []byte{0, 4, 0, 0, 0, 0})
				}
				inTurn(conns, func(i int) {
					all[i].callMany(calls, c.body, maxFrame, c.end)
					for left := c.fill; left > 0; left -= maxFrame {
						for n := range calls {
							all[i].piece(uint32(1+2*n), make([]byte, min(left, maxFrame)))
						}
					}
					_ = all[i].flush()
				})
				served()
				for _, conn := range all {
					<-conn.closed
					conn.demandNoAllow(t)
				}
			}})
		})
	}
}

// TestHealthFloods: the other methods of the listener hold no more than checks do.
func TestHealthFloods(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Check", "Watch", "List"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			g := startGate(t, nil)
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				const conns, calls = 80, 100
				all := make([]*h2, conns)
				for i := range all {
					all[i] = g.dialH2(t, "checks.grpc")
				}
				head := block(":method", "POST", ":scheme", "http", ":path", "/grpc.health.v1.Health/"+method, ":authority", "gate.example",
					"content-type", "application/grpc", "te", "trailers")
				body := message(make([]byte, 4<<10))
				inTurn(conns, func(i int) {
					for n := range calls {
						all[i].frame(frameHeaders, flagEndHeaders, uint32(1+2*n), head)
						all[i].piece(uint32(1+2*n), body[:len(body)-1])
					}
					_ = all[i].flush()
				})
				served()
			}})
		})
	}
}
