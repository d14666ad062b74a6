package envoy_test

import (
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/status"

	"devicegate/envoy"
)

// The bounds, written down once more, so that none is moved unnoticed.
const (
	maxMessage   = 1 << 20
	largeMessage = 16 << 10
	piece        = 256
	callCost     = 8 << 10
	readingBytes = 16 << 20
	little       = 64 << 10
	oldest       = 64
	leavingBytes = 32 << 20
	streamWindow = 64 << 10
	callTimeout  = 5 * time.Second
	leastLeaving = 250 * time.Millisecond
)

// answered returns which of the calls have an answer.
func answered(all []*caller) (which []int) {
	synctest.Wait()
	for i, c := range all {
		if c.answers > 0 {
			which = append(which, i)
		}
	}
	return which
}

// TestCallHoldsAndLeaves: what a call holds on its way, from its headers to the end of its answer.
func TestCallHoldsAndLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		c := s.callWith(t, newLine(t), &caller{head: 100})
		s.holds(t, callCost+3300, 0)
		c.message(10, 1000)
		s.holds(t, callCost+3300+1000, 0)
		c.coming <- make([]byte, 990)
		s.holds(t, callCost+3300+1000, 0) // its client has not ended it, and may go on
		if c.answers > 0 {
			t.Error("it is answered before its end")
		}
		close(c.coming)
		s.holds(t, 0, callCost)
		c.take(t)
		s.holds(t, 0, 0)
		if c.most > piece {
			t.Errorf("%d bytes are read at once, which a client can send one by one; want %d at most", c.most, piece)
		}
		s.callWith(t, newLine(t), &caller{head: 64 << 10})
		s.holds(t, callCost+96<<10, 0)
	})
}

// TestCallsThatAreNotRead: each is answered by a refusal, and says why. One that goes on holds its window.
func TestCallsThatAreNotRead(t *testing.T) {
	head := func(flag byte, length uint32) []byte { return binary.BigEndian.AppendUint32([]byte{flag}, length) }
	for name, c := range map[string]struct {
		sent  []byte
		end   bool
		holds int
	}{
		"packed":                    {head(1, 5), false, callCost + streamWindow},
		"a byte too long":           {head(0, maxMessage+1), false, callCost + streamWindow},
		"more than one":             {append(head(0, 1), 1, 0), false, callCost + streamWindow},
		"nothing":                   {nil, true, callCost},
		"cut within its length":     {head(0, 5)[:3], true, callCost + streamWindow}, // who knows
		"cut at the end of a piece": {append(head(0, 2*piece), make([]byte, piece)...), true, callCost},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *service) {
				call := s.call(t, newLine(t))
				call.coming <- c.sent
				if c.end {
					close(call.coming)
				}
				s.holds(t, 0, c.holds)
				call.take(t)
				s.holds(t, 0, 0)
				if len(s.refused) != 1 || s.refused[0] == nil || call.ended != nil {
					t.Errorf("the log is told %v; the call ends with %v, which failure_mode_allow lets pass", s.refused, call.ended)
				}
			})
		})
	}
}

// TestUnfinishedCallsGiveWay: 16 MB may be held by calls that are not whole, and not a byte more. The oldest is answered.
func TestUnfinishedCallsGiveWay(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		on := newLine(t)
		var all []*caller
		for range readingBytes / maxMessage {
			c := s.call(t, on)
			c.message(1, maxMessage-callCost)
			all = append(all, c)
		}
		s.holds(t, readingBytes, 0)
		all = append(all, s.call(t, on)) // by beginning
		if got := answered(all); !slices.Equal(got, []int{0}) {
			t.Errorf("answered are %v, want the oldest", got)
		}
		all[0].take(t)
		s.holds(t, readingBytes-maxMessage+callCost, 0)
		all[len(all)-1].message(0, maxMessage-2*callCost)
		s.holds(t, readingBytes-callCost, 0)
		more := s.call(t, on)
		s.holds(t, readingBytes, 0)
		more.message(0, 1) // by growing
		if got := answered(all); !slices.Equal(got, []int{0, 1}) {
			t.Errorf("answered are %v, want the two oldest", got)
		}
		all[1].take(t)
		for _, c := range all[:2] {
			if synctest.Wait(); !c.over || c.ended != nil || c.answers != 1 {
				t.Errorf("its handler has returned: %v, %v, after %d answers", c.over, c.ended, c.answers)
			}
		}
		if s.decided != 2 || len(s.refused) != 2 {
			t.Errorf("%d are decided, and the log is told %v", s.decided, s.refused)
		}
	})
}

// TestCallThatGivesWayToItself: the oldest is the one that grows.
func TestCallThatGivesWayToItself(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		on := newLine(t)
		first := s.call(t, on)
		for range readingBytes/maxMessage - 1 {
			s.call(t, on).message(1, maxMessage-callCost)
		}
		s.holds(t, readingBytes-maxMessage+callCost, 0)
		first.message(maxMessage, maxMessage)
		first.take(t)
		s.holds(t, readingBytes-maxMessage, 0)
		if s.decided != 1 || len(s.refused) != 1 || !first.over || first.ended != nil {
			t.Errorf("%d are decided, the log is told %v, the call ends with %v", s.decided, s.refused, first.ended)
		}
	})
}

// TestManyGiveWayToOne: as many as it takes.
func TestManyGiveWayToOne(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		on := newLine(t)
		var all []*caller
		for range readingBytes / callCost {
			all = append(all, s.call(t, on))
		}
		s.holds(t, readingBytes, 0)
		all[len(all)-1].message(0, maxMessage-callCost+1)
		if got := answered(all); len(got) != maxMessage/callCost || got[len(got)-1] != len(got)-1 {
			t.Errorf("answered are %v, want the %d oldest", got, maxMessage/callCost)
		}
		s.holds(t, readingBytes-callCost+1, maxMessage/callCost*(callCost+streamWindow))
	})
}

// TestCallThatIsWholeTooLate: it became whole while somebody else was answering it. Its handler ends nothing before.
func TestCallThatIsWholeTooLate(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		c := s.callWith(t, newLine(t), &caller{slow: make(chan struct{})})
		c.message(1, 100)
		pass(2 * callTimeout)
		c.coming <- make([]byte, 99)
		close(c.coming)
		if synctest.Wait(); c.over {
			t.Errorf("its handler ends the call without an answer: %v", c.ended)
		}
		close(c.slow)
		c.take(t)
		if s.holds(t, 0, 0); !c.over || c.ended != nil || c.status.Code() != codes.OK {
			t.Errorf("its handler has returned: %v, %v; its status is %v", c.over, c.ended, c.status)
		}
	})
}

// TestCallThatGrowsTooLate: the length of its message comes while somebody else is answering it.
func TestCallThatGrowsTooLate(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		c := s.callWith(t, newLine(t), &caller{slow: make(chan struct{})})
		pass(2 * callTimeout)
		c.message(100, 100)
		s.holds(t, 0, callCost+streamWindow)
		close(c.slow)
		c.take(t)
		s.holds(t, 0, 0)
	})
}

// TestAnswerThatCannotBeSent holds nothing.
func TestAnswerThatCannotBeSent(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		c := s.callWith(t, newLine(t), &caller{fails: errors.New("the headers are longer than the client takes")})
		c.check(t, 0)
		if s.holds(t, 0, 0); !errors.Is(c.ended, c.fails) {
			t.Errorf("its handler ends with %v, want %v", c.ended, c.fails)
		}
	})
}

// TestHealthIsWithinTheBounds: what is not read is no question about the whole service, and what is evicted ends with
// an error as well.
func TestHealthIsWithinTheBounds(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		s.RegisterHealth(s, health.NewServer())
		packed, late := s.call(t, newLine(t)), s.call(t, newLine(t))
		packed.coming <- []byte{1, 0, 0, 0, 0}
		s.holds(t, callCost, 0)
		if packed.answers > 0 || status.Code(packed.ended) != codes.InvalidArgument {
			t.Errorf("one that was not read has %d answers and ends with %v", packed.answers, packed.ended)
		}
		pass(2 * callTimeout)
		if s.holds(t, 0, 0); late.answers > 0 || late.status.Code() != codes.InvalidArgument || !late.over {
			t.Errorf("one that was evicted has %d answers and the status %v", late.answers, late.status)
		}
	})
}

// TestWhoHoldsLittleIsSpared: while one of the oldest is of a connection that holds much, that gives way; and the oldest
// where none is.
func TestWhoHoldsLittleIsSpared(t *testing.T) {
	for _, c := range []struct{ before, gone int }{{1, 1}, {oldest - 1, oldest - 1}, {oldest, 0}} {
		bubble(t, func(t *testing.T, s *service) {
			var all []*caller
			for range c.before {
				all = append(all, s.call(t, newLine(t)))
			}
			greedy := newLine(t)
			for range readingBytes / maxMessage {
				call := s.call(t, greedy)
				call.message(1, maxMessage-callCost)
				all = append(all, call)
				synctest.Wait()
			}
			if got := answered(all); len(got) < 1 || got[0] != c.gone {
				t.Errorf("behind %d honest calls those answered are %v, want %d first", c.before, got, c.gone)
			}
		})
	}
	bubble(t, func(t *testing.T, s *service) {
		on := newLine(t)
		first := s.call(t, on)    // with what it holds, its connection holds just so little
		s.call(t, on).check(t, 0) // an answer is nothing that is left lying
		for range little/callCost - 1 {
			s.call(t, on)
		}
		for range readingBytes / maxMessage {
			other := newLine(t)
			s.call(t, other).message(1, maxMessage-callCost)
			synctest.Wait()
		}
		if first.answers > 0 {
			t.Error("the call of a connection that holds no more than little gives way to one that holds much")
		}
	})
}

// TestCallsThatTakeTooLong: a message has its time, and no more.
func TestCallsThatTakeTooLong(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		c := s.call(t, newLine(t))
		c.message(10, 1000)
		pass(callTimeout)
		s.holds(t, callCost+1000, 0)
		pass(callTimeout / 5)
		s.holds(t, 0, callCost+streamWindow)
		c.take(t)
		if s.holds(t, 0, 0); !c.over || c.ended != nil {
			t.Errorf("its handler has returned: %v, %v", c.over, c.ended)
		}
	})
}

// TestAnswersThatAreNotTaken: whoever takes none is hung up on when the time is over, and nobody else.
func TestAnswersThatAreNotTaken(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		idle, honest, away := newLine(t), newLine(t), newLine(t)
		untaken := s.call(t, idle)
		untaken.check(t, 0)
		for range 2 {
			s.call(t, idle).check(t, 0)
		}
		left := s.callWith(t, away, &caller{dropped: true})
		left.check(t, 0)
		s.holds(t, 0, 3*callCost) // an answer that gRPC has dropped holds nothing
		pass(callTimeout)
		c := s.call(t, honest)
		c.check(t, 0)
		pass(callTimeout / 5)
		s.holds(t, 0, callCost)
		if !idle.closed || honest.closed || away.closed {
			t.Errorf("hung up on: who takes nothing %v, who is asked to wait %v, who has cancelled %v", idle.closed, honest.closed, away.closed)
		}
		c.take(t)
		untaken.take(t) // gRPC gives it back with the connection
		s.holds(t, 0, 0)
	})
}

// TestTooManyAnswersLeaving: over the bound those are hung up on who leave the most lying, until half of it is free. Not
// before the least time, not more of them, and not with what is younger than that.
func TestTooManyAnswersLeaving(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		const each = callCost + streamWindow
		packed := binary.BigEndian.AppendUint32([]byte{1}, 5)
		refused := func(on *line, count int) {
			for range count {
				s.call(t, on).coming <- packed
			}
			synctest.Wait()
		}
		little, more, most, young := newLine(t), newLine(t), newLine(t), newLine(t)
		const half = leavingBytes / each / 2
		refused(little, half/4)
		refused(more, half/2)
		refused(most, half)
		pass(leastLeaving)
		refused(young, half)
		s.holds(t, 0, (half/4+half/2+half+half)*each)
		if most.closed {
			t.Error("it is hung up on before the least time")
		}
		pass(50 * time.Millisecond)
		refused(young, 1)
		s.holds(t, 0, (half/4+half/2+half+1)*each)
		if !most.closed || more.closed || little.closed || young.closed {
			t.Errorf("hung up on: most %v, more %v, little %v, young %v", most.closed, more.closed, little.closed, young.closed)
		}
	})
}

// TestAnswersLeavingWithinTheBound: it takes their whole time, or too many, to be hung up on.
func TestAnswersLeavingWithinTheBound(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		on, other := newLine(t), newLine(t)
		for range leavingBytes/callCost - 1 {
			s.call(t, on).check(t, 0)
		}
		pass(2 * leastLeaving)
		s.call(t, other).check(t, 0)
		s.holds(t, 0, leavingBytes)
		if on.closed {
			t.Error("it is hung up on while there is room")
		}
		s.call(t, other).check(t, 0)
		if s.holds(t, 0, 2*callCost); !on.closed || other.closed {
			t.Errorf("over the bound, hung up on is who left much lying %v, who did not %v", on.closed, other.closed)
		}
	})
}

// TestLargeMessagesAreDecodedInTurn: of large ones one at a time, and small ones beside it. Who cancels while he waits is
// not decided about.
func TestLargeMessagesAreDecodedInTurn(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		on := newLine(t)
		s.hold = make(chan struct{})
		send := func(length int) *caller {
			c := s.call(t, on)
			c.check(t, length)
			synctest.Wait()
			return c
		}
		send(largeMessage + 1)
		large, gone := send(largeMessage+1), send(largeMessage+1)
		small := send(largeMessage)
		s.holds(t, 2*(callCost+largeMessage+1), 0)
		gone.cancel()
		if s.holds(t, callCost+largeMessage+1, 0); !gone.over || gone.answers > 0 || gone.ended == nil {
			t.Errorf("who has cancelled is answered %d times, with %v", gone.answers, gone.ended)
		}
		close(s.hold)
		large.take(t)
		small.take(t)
		if s.decided != 3 {
			t.Errorf("%d are decided, want 3", s.decided)
		}
		late := s.call(t, on)
		late.cancel()
		late.check(t, 0)
		if synctest.Wait(); s.decided != 3 || late.answers > 0 {
			t.Error("a call that was cancelled before its end is decided")
		}
	})
}

// farewell is TLS on a connection whose client takes nothing: its Close waits.
type farewell struct{ net.Conn }

// Close implements net.Conn.
func (farewell) Close() error { select {} }

// encrypted is credentials that put something on top of a connection.
type encrypted struct {
	credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (encrypted) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return farewell{raw}, credentials.TLSInfo{}, nil
}

// TestHangingUpWaitsForNobody: who hangs up is another's call.
func TestHangingUpWaitsForNobody(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		l := &line{}
		var err error
		if _, l.info, err = envoy.Credentials(encrypted{insecure.NewCredentials()}).ServerHandshake(l); err != nil {
			t.Fatal(err)
		}
		s.call(t, l).check(t, 0)
		s.call(t, &line{}).check(t, 0) // one that nobody remembered, which cannot be hung up on
		pass(2 * callTimeout)
		if s.holds(t, 0, 0); !l.closed {
			t.Error("it is not hung up on")
		}
	})
}
