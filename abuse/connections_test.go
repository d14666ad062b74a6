package abuse_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crowd is connections that are held open.
type crowd []net.Conn

// connect opens so many connections to a listener, some at a time, and begins each with what begin does.
func (g *gate) connect(t *testing.T, listener string, count int, begin func(c net.Conn) error) crowd {
	t.Helper()
	all, errs := make(crowd, count), make([]error, count)
	inTurn(count, func(i int) {
		if all[i], errs[i] = g.dial(listener); errs[i] == nil && begin != nil {
			errs[i] = begin(all[i])
		}
	})
	t.Cleanup(all.hangUp)
	for i, err := range errs {
		if err != nil {
			t.Fatalf("connection %d of %d: %v", i, count, err)
		}
	}
	return all
}

// lanes is how many things a test does at once.
const lanes = 64

// inTurn does something for each number below count, lanes at a time.
func inTurn(count int, each func(i int)) {
	var (
		next  atomic.Int64
		group sync.WaitGroup
	)
	for range lanes {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(count); i = next.Add(1) - 1 {
				each(int(i))
			}
		})
	}
	group.Wait()
}

func (all crowd) hangUp() {
	for _, c := range all {
		if c != nil {
			_ = c.Close()
		}
	}
}

// hungUp waits until the gate has closed every connection, and returns how many of its answers allow.
func (all crowd) hungUp(t *testing.T) {
	t.Helper()
	var open, allows atomic.Int64
	var group sync.WaitGroup
	for _, c := range all {
		group.Go(func() {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			said, err := io.ReadAll(c)
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				open.Add(1)
			}
			if statusOf(said) == http.StatusOK {
				allows.Add(1)
			}
		})
	}
	group.Wait()
	if open.Load() > 0 || allows.Load() > 0 {
		t.Errorf("%d of %d connections are still open, %d were allowed something", open.Load(), len(all), allows.Load())
	}
}

// statusOf reads the status of an answer, 0 where there is none.
func statusOf(said []byte) (status int) {
	_, _ = fmt.Sscanf(string(said), "HTTP/1.1 %d", &status)
	return status
}

func say(text string) func(net.Conn) error {
	return func(c net.Conn) error {
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		_, err := io.WriteString(c, text)
		return err
	}
}

const slowConnections = 2000

// TestSlowHeaders: slowloris. Each connection has the beginning of a request, and goes on with it byte by byte.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	for _, listener := range []string{"checks.http", "api"} {
		t.Run(listener, func(t *testing.T) {
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				slow := g.connect(t, listener, slowConnections, say("GET /auth/traefik HTTP/1.1\r\nHost: gate.example\r\nAuthorization: Bearer "+g.anna.Access+"\r\nX-Slow: "))
				stop := slow.drip()
				defer stop()
				served()
				slow.hungUp(t)
			}})
		})
	}
}

// TestSlowBodies: a head that is whole, and a body that never comes.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ listener, head string }{
		{"checks.http", "GET /auth/traefik HTTP/1.1\r\nHost: gate.example\r\nContent-Length: 100000\r\n\r\n{"},
		{"api", "POST /api/token HTTP/1.1\r\nHost: gate.example\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n{"},
		{"api", "POST /api/token HTTP/1.1\r\nHost: gate.example\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"},
	} {
		t.Run(c.listener, func(t *testing.T) {
			t.Parallel()
			g := startGate(t, nil)
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				slow := g.connect(t, c.listener, slowConnections/2, say(c.head))
				served()
				slow.hungUp(t)
			}})
		})
	}
}

// TestNoHello: a listener with TLS whose clients never say hello, or never end it.
func TestNoHello(t *testing.T) {
	t.Parallel()
	g := startSecure(t)
	plain := *g
	plain.secure = nil
	for _, listener := range []string{"checks.http", "checks.grpc", "api"} {
		for name, hello := range map[string]string{"nothing": "", "a piece": "\x16\x03\x01\x02\x00\x01\x00", "HTTP": "GET / HTTP/1.1\r\n\r\n"} {
			t.Run(listener+", "+name, func(t *testing.T) {
				g.withstand(t, attack{run: func(t *testing.T, served func()) {
					silent := plain.connect(t, listener, slowConnections/4, say(hello))
					served()
					silent.hungUp(t)
				}})
			})
		}
	}
}

// drip has every connection send one more byte, again and again, until stop.
func (all crowd) drip() (stop func()) {
	var group sync.WaitGroup
	end := make(chan struct{})
	group.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			for _, c := range all {
				_ = c.SetWriteDeadline(time.Now().Add(time.Second))
				_, _ = c.Write([]byte("a")) // those that were hung up on fail
			}
		}
	})
	return func() { close(end); group.Wait() }
}

// TestManyConnections: V2. 10,000 connections that ask, rest while others come and go, and ask again.
func TestManyConnections(t *testing.T) {
	count := connections(t)
	g := startGate(t, nil)
	g.withstand(t, attack{memory: memoryMany, run: func(t *testing.T, served func()) {
		many := g.connect(t, "checks.http", count, g.askOn)
		served() // they are idle
		errs := make([]error, count)
		inTurn(count, func(i int) { errs[i] = g.askOn(many[i]) })
		served()
		for i, err := range errs {
			if err != nil {
				t.Fatalf("connection %d of %d, when it was asked again: %v", i, count, err)
			}
		}
	}})
}

// askOn asks one check with a token and one without over a connection of HTTP/1.1, and leaves it open.
func (g *gate) askOn(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	for token, want := range map[string]int{"": 401, "Authorization: Bearer " + g.anna.Access + "\r\n": 200} {
		if _, err := io.WriteString(c, checkHead+token+"\r\n"); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
			return fmt.Errorf("answered %d (%v), want %d", resp.StatusCode, err, want)
		}
	}
	return nil
}

// checkHead is the head of an ordinary check, without the token and without its end.
const checkHead = "GET /auth/traefik HTTP/1.1\r\nHost: gate.example\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n" +
	"X-Forwarded-Host: app.example\r\nX-Forwarded-Uri: /orders/1\r\nX-Forwarded-For: 203.0.113.9\r\n"

// TestManyCallers: the same over gRPC, where a connection costs the most.
func TestManyCallers(t *testing.T) {
	count := connections(t)
	g := startGate(t, nil)
	g.withstand(t, attack{memory: memoryMany, run: func(t *testing.T, served func()) {
		all, errs := make([]*h2, count), make([]error, count)
		defer func() {
			for _, c := range all {
				if c != nil {
					_ = c.conn.Close()
				}
			}
		}()
		inTurn(count, func(i int) {
			if all[i], errs[i] = g.openH2("checks.grpc"); errs[i] == nil {
				errs[i] = g.askRPC(all[i], 1)
			}
		})
		served() // they are idle
		inTurn(count, func(i int) {
			if errs[i] == nil {
				errs[i] = g.askRPC(all[i], 5)
			}
		})
		served()
		for i, err := range errs {
			if err != nil {
				t.Fatalf("connection %d of %d: %v", i, count, err)
			}
		}
	}})
}

// askRPC asks one check with a token and one without, on the stream and the next.
func (g *gate) askRPC(c *h2, stream uint32) error {
	for _, ask := range []struct {
		token string
		want  bool
	}{{g.anna.Access, true}, {"", false}} {
		c.call(stream, message(checkRequest(ask.token)))
		if err := c.flush(); err != nil {
			return err
		}
		data := c.finished(stream)
		if len(data) < 5 {
			return fmt.Errorf("a check has no answer: %x, %+v", data, c.result())
		}
		if allow, readable := allowed(data[5:]); allow != ask.want || !readable {
			return fmt.Errorf("a check is answered %x, want allow: %v", data, ask.want)
		}
		stream += 2
	}
	return nil
}

// TestNoMoreFiles: connections take every file that the process may open. Those who are connected are answered
// meanwhile, and newcomers afterwards.
func TestNoMoreFiles(t *testing.T) {
	t.Parallel()
	const files = 256
	for _, listener := range []string{"checks.http", "api"} {
		t.Run(listener, func(t *testing.T) {
			g := start(t, nil, nil, "/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, files))
			g.withstand(t, attack{noNewcomers: true, run: func(t *testing.T, served func()) {
				for round := range 2 {
					greedy := g.connect(t, listener, 2*files, say("GET /auth/traefik HTTP/1.1\r\n"))
					eventually(t, "the gate has no more files", func() bool { return g.openFiles() >= files-1 })
					served()
					if round == 0 {
						greedy.hangUp()
						continue
					}
					greedy.hungUp(t) // by itself as well
				}
			}})
		})
	}
}
