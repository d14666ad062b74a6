package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// abuse is one attack: attackers who go on until their context ends.
type abuse struct {
	name      string
	attackers int
	attack    func(ctx context.Context, i int, begun func()) error // begun is to be called once it is at its height
}

// begin lets all attackers begin and returns once each has; end waits until all have stopped.
func begin(ctx context.Context, a abuse) (end func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var group, ready sync.WaitGroup
	var fault atomic.Pointer[error]
	ready.Add(a.attackers)
	for i := range a.attackers {
		group.Go(func() {
			begun := sync.OnceFunc(ready.Done)
			defer begun()
			if err := a.attack(ctx, i, begun); err != nil && ctx.Err() == nil {
				fault.CompareAndSwap(nil, &err)
			}
		})
	}
	ready.Wait()
	end = func() { cancel(); group.Wait() }
	if err := fault.Load(); err != nil {
		end()
		return nil, *err
	}
	return end, nil
}

// abuses are the attacks, so many and so fast as the plan has it: as fast as they can they would measure the client,
// which shares the gate's cores.
func (r *rig) abuses(p abusePlan) []abuse {
	token := r.all()[0].Token
	parts := strings.Split(token, ".")
	const lanes = 8
	each := time.Second * lanes / time.Duration(p.flood)
	var n atomic.Int64
	tokens := func(name string, next func(i int64) string) abuse {
		return abuse{fmt.Sprintf("%s, %d/s", name, p.flood), lanes, func(ctx context.Context, _ int, begun func()) error {
			return r.tokenFlood(ctx, each, begun, func() string { return next(n.Add(1)) })
		}}
	}
	guesses := func(name string, who func(i int64) string) abuse {
		return abuse{name + ", 32 at once", 32, func(ctx context.Context, _ int, begun func()) error {
			return r.guessOn(ctx, begun, func() string { return who(n.Add(1)) })
		}}
	}
	return []abuse{
		{fmt.Sprintf("slow headers, %d connections", p.slow), p.slow, r.slowHead("X-Slow: ")},
		tokens("distinct invalid tokens", func(i int64) string { return parts[0] + "." + parts[1] + "." + someSignature(i) }),
		tokens("spellings of one token", func(i int64) string { return token + strings.Repeat("=", 1+int(i%100)) }),
		tokens("unknown kids", func(i int64) string {
			return encode(fmt.Sprintf(`{"alg":"EdDSA","kid":"k%d","typ":"at+jwt"}`, i)) + "." + parts[1] + "." + parts[2]
		}),
		{fmt.Sprintf("gRPC rapid reset, %d/s", p.flood), lanes, func(ctx context.Context, _ int, begun func()) error { return r.rapidReset(ctx, each, begun) }},
		{fmt.Sprintf("gRPC noise for messages, %d/s", p.flood), lanes, func(ctx context.Context, _ int, begun func()) error { return r.noise(ctx, each, begun) }},
		{"bodies without an end, 16 at once", 16, r.endless},
		guesses("made-up names", func(i int64) string { return fmt.Sprintf("made-up-%d", i) }),
		guesses("wrong passwords of one name", func(int64) string { return "user-0" }),
		// Last, because it takes a while until memory that was let go of is the system's again.
		{fmt.Sprintf("slow headers of 200 KB, %d connections", p.slow), p.slow, r.slowHead("X-Long: " + strings.Repeat("a", 200<<10))},
		{fmt.Sprintf("%d idle connections", p.idle), p.idle, r.rest},
	}
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func someSignature(i int64) string {
	raw := make([]byte, 64)
	binary.BigEndian.PutUint64(raw, uint64(i))
	return encode(string(raw))
}

// paced does something again and again, so often, until ctx ends.
func paced(ctx context.Context, every time.Duration, act func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := act(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// dialUntil dials, and hangs up when ctx ends.
func dialUntil(ctx context.Context, address string) (net.Conn, func(), error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	_ = c.(*net.TCPConn).SetLinger(0) // thousands of connections leave no ports behind that wait for their time
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	return c, func() { stop(); _ = c.Close() }, nil
}

// redial is how often a slow attacker begins anew at most: the gate hangs up on him after as long at the latest.
const redial = 5 * time.Second

// slowHead begins a request, goes on byte by byte until it is hung up on, and begins anew.
func (r *rig) slowHead(head string) func(context.Context, int, func()) error {
	return func(ctx context.Context, _ int, begun func()) error {
		return paced(ctx, redial, func() error {
			c, hangUp, err := dialUntil(ctx, r.gateHTTP().address)
			if err != nil {
				return err
			}
			defer hangUp()
			_, _ = io.WriteString(c, "GET /auth/traefik HTTP/1.1\r\nHost: a\r\n"+head)
			begun()
			_ = paced(ctx, time.Second, func() error { _, err := c.Write([]byte("a")); return err })
			return nil
		})
	}
}

// rest asks one check and keeps the connection.
func (r *rig) rest(ctx context.Context, _ int, begun func()) error {
	c, hangUp, err := dialUntil(ctx, r.gateHTTP().address)
	if err != nil {
		return err
	}
	defer hangUp()
	asker := &httpCaller{conn: c, reader: bufio.NewReaderSize(c, 512), requests: r.requests}
	if allowed, err := asker.check(ctx, r.all()[0]); err != nil || !allowed {
		return fmt.Errorf("a check of an idle connection: allowed %v, %w", allowed, err)
	}
	begun()
	<-ctx.Done()
	return nil
}

// tokenFlood asks checks with tokens of which none may pass.
func (r *rig) tokenFlood(ctx context.Context, every time.Duration, begun func(), next func() string) error {
	c, hangUp, err := dialUntil(ctx, r.gateHTTP().address)
	if err != nil {
		return err
	}
	defer hangUp()
	answers := bufio.NewReader(c)
	return paced(ctx, every, func() error {
		request := checkRequests([]device{{UID: "bad", Token: next()}})["bad"]
		if _, err := c.Write(request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		begun()
		if resp.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("a bad token is answered %s", resp.Status)
		}
		return nil
	})
}

// rapidReset opens calls and takes them back (CVE-2023-44487), and begins anew when it is hung up on.
func (r *rig) rapidReset(ctx context.Context, every time.Duration, begun func()) error {
	for ctx.Err() == nil {
		c, hangUp, err := dialUntil(ctx, r.gateGRPC().address)
		if err != nil {
			return err
		}
		go func() { _, _ = io.Copy(io.Discard, c) }() // ends with the connection
		_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		stream := uint32(1)
		_ = paced(ctx, every, func() error {
			_, err := c.Write(append(frame(1, 4, stream, callHead), frame(3, 0, stream, []byte{0, 0, 0, 8})...))
			stream += 2
			begun()
			return err
		})
		hangUp()
	}
	return nil
}

// callHead is the headers of a call, in HPACK without any table.
var callHead = func() (b []byte) {
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/envoy.service.auth.v3.Authorization/Check"}, {":authority", "a"},
		{"content-type", "application/grpc"}, {"te", "trailers"}} {
		b = append(b, 0, byte(len(f[0])))
		b = append(append(append(b, f[0]...), byte(len(f[1]))), f[1]...)
	}
	return b
}()

// frame is one frame of HTTP/2: HEADERS is 1 and its end 4, RST_STREAM 3.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// noise calls with bytes that are no message.
func (r *rig) noise(ctx context.Context, every time.Duration, begun func()) error {
	callers, hangUp, err := dialGRPC(r.gateGRPC().address, 1, 1, map[string][]byte{"bad": bytes.Repeat([]byte{0xff}, 1000)})
	if err != nil {
		return err
	}
	defer hangUp()
	return paced(ctx, every, func() error {
		allowed, err := callers[0].check(ctx, device{UID: "bad"})
		begun()
		if allowed {
			return errors.New("noise is allowed")
		}
		return err
	})
}

// endless sends bodies that do not end, until it is hung up on.
func (r *rig) endless(ctx context.Context, _ int, begun func()) error {
	for ctx.Err() == nil {
		c, hangUp, err := dialUntil(ctx, r.gate.addresses["api"])
		if err != nil {
			return err
		}
		_, _ = io.WriteString(c, "POST /api/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n")
		begun()
		_ = paced(ctx, 10*time.Millisecond, func() error { _, err := c.Write(bytes.Repeat([]byte(`{"a":`), 10_000)); return err })
		hangUp()
	}
	return nil
}

// guessOn tries wrong passwords, one after the other.
func (r *rig) guessOn(ctx context.Context, begun func(), who func() string) error {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		body, _ := json.Marshal(map[string]string{"username": who(), "password": "no " + password})
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.gate.addresses["api"]+"/api/token", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		begun()
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return errors.New("a wrong password signs in")
		}
	}
	return nil
}
