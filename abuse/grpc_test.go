package abuse_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
)

// TestMalformedCalls: V4. None of these messages has a good token where Envoy's would be, so none may pass; those
// that can be read as a CheckRequest, or as anything at all, are answered by a CheckResponse.
func TestMalformedCalls(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	token := "Bearer " + g.anna.Access
	whole := checkRequest(g.anna.Access)
	pair := func(name, value string) []byte {
		return field(fieldHeaderMap, field(1, join(field(1, name), field(2, value))))
	}
	raw := func(name, value string) []byte {
		return field(fieldHeaderMap, field(1, join(field(1, name), field(3, value))))
	}
	for name, c := range map[string]struct {
		body     []byte
		more     []string // headers of the call
		answered bool     // by a message
	}{
		"empty":                        {body: message(nil), answered: true},
		"no attributes":                {body: message(field(9, "x")), answered: true},
		"empty attributes":             {body: message(field(fieldAttributes, "")), answered: true},
		"no http":                      {body: message(field(fieldAttributes, field(fieldRequest, ""))), answered: true},
		"an empty http":                {body: message(checkOf()), answered: true},
		"no token":                     {body: message(checkRequest("")), answered: true},
		"cut in the middle":            {body: message(whole[:len(whole)/2]), answered: true},
		"cut before its end":           {body: message(whole)[:len(whole)/2], answered: true},
		"cut within its length":        {body: message(whole)[:3], answered: true},
		"nothing at all":               {body: nil, answered: true},
		"a field that ends too late":   {body: message([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}), answered: true},
		"a tag without an end":         {body: message(bytes.Repeat([]byte{0xff}, 20)), answered: true},
		"groups, deep":                 {body: message(bytes.Repeat([]byte{0x0b}, 100_000)), answered: true},
		"messages, deep":               {body: message(deep(5000)), answered: true},
		"unknown fields alone":         {body: message(bytes.Repeat(field(2000, "x"), 100_000)), answered: true},
		"not UTF-8":                    {body: message(checkRequest("", header("authorization", "Bearer \xff"))), answered: true},
		"100,000 headers":              {body: message(checkRequest("", manyHeaders(100_000))), answered: true},
		"100,000 times the same":       {body: message(checkRequest("", bytes.Repeat(header("x-same", "x"), 100_000))), answered: true},
		"a header of 1 MB":             {body: message(checkRequest("", header("x-long", strings.Repeat("a", 1<<20)))), answered: true},
		"two Authorization":            {body: message(checkRequest(g.anna.Access, header("Authorization", "Bearer x.y.z"))), answered: true},
		"the token under a false name": {body: message(checkRequest("", header("authorization ", token))), answered: true},
		"both forms of headers":        {body: message(checkRequest(g.anna.Access, pair("authorization", token))), answered: true},
		"two in the other form":        {body: message(checkRequest("", pair("authorization", token), raw("AUTHORIZATION", token))), answered: true},
		"a raw value that is no text":  {body: message(checkRequest("", raw("authorization", "Bearer \xff\x00"))), answered: true},
		"a path without a slash":       {body: message(checkOf(field(fieldMethod, "GET"), field(fieldHost, "app.example"), field(fieldPath, "orders"))), answered: true},
		"a length of 1 MB and one":     {body: []byte{0, 0, 16, 0, 1, 0x0a}, answered: true},
		"a length of 4 GB":             {body: []byte{0, 0xff, 0xff, 0xff, 0xff, 0x0a}, answered: true},
		"two messages":                 {body: append(message(checkRequest("")), message(whole)...), answered: true},
		"a good one, and a byte more":  {body: append(message(whole), 0), answered: true},
		"packed, and nothing says how": {body: packed(whole), answered: true},
		"a bomb":                       {body: packed(make([]byte, 100<<20)), more: []string{"grpc-encoding", "gzip"}},
		"packed by who knows what":     {body: packed(whole), more: []string{"grpc-encoding", "who-knows"}},
		"a flag of 255":                {body: append([]byte{255, 0, 0, 0, byte(len("x"))}, 'x'), answered: true},
		"JSON":                         {body: message([]byte(`{"attributes":{}}`)), more: []string{"content-type", "application/grpc+json"}},
		"a time that is none":          {body: message(whole), more: []string{"grpc-timeout", "99999999999999H"}},
		"a time that is over":          {body: message(checkRequest("")), more: []string{"grpc-timeout", "0n"}},
	} {
		t.Run(name, func(t *testing.T) {
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				const times = 4
				conn := g.dialH2(t, "checks.grpc")
				for i := range times {
					conn.call(uint32(1+2*i), c.body, c.more...)
				}
				if err := conn.flush(); err != nil {
					t.Logf("the gate has hung up: %v", err)
				}
				for i := range times {
					data := conn.finished(uint32(1 + 2*i))
					if c.answered && len(data) < 5 {
						t.Errorf("call %d has no message for an answer: %+v", i, conn.result())
					}
				}
				conn.demandNoAllow(t)
				served()
			}})
		})
	}
}

func (c *h2) demandNoAllow(t *testing.T) {
	t.Helper()
	if got := c.result(); got.allows > 0 {
		t.Errorf("%d were allowed: %+v", got.allows, got)
	}
}

func packed(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body)
	_ = w.Close()
	framed := message(b.Bytes())
	framed[0] = 1
	return framed
}

// deep returns messages within the first field of each other.
func deep(levels int) (b []byte) {
	for range levels {
		b = field(fieldAttributes, b)
	}
	return b
}

func manyHeaders(count int) (all []byte) {
	for i := range count {
		all = append(all, header(fmt.Sprintf("x-%d", i), "a")...)
	}
	return all
}

// TestCallFloods: what costs by the frame, the stream or the header and not by the message. A hang-up is an answer.
func TestCallFloods(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	for name, flood := range frameFloods(callHead(), message(checkRequest(""))) {
		t.Run(name, func(t *testing.T) { g.floodFrames(t, "checks.grpc", flood) })
	}
}

// TestFrameFloods: the same over TLS, where net/http speaks HTTP/2.
func TestFrameFloods(t *testing.T) {
	t.Parallel()
	g := startSecure(t)
	get := []string{":method", "GET", ":scheme", "https", ":path", "/auth/traefik", ":authority", "gate.example"}
	for name, value := range forwarded {
		get = append(get, strings.ToLower(name), value)
	}
	conn := g.dialH2(t, "checks.http")
	conn.frame(frameHeaders, flagEndHeaders|flagEndStream, 1, block(append(get, "authorization", "Bearer "+g.anna.Access)...))
	if err := conn.flush(); err != nil {
		t.Fatal(err)
	}
	if conn.finished(1); conn.result().allows != 1 {
		t.Fatalf("a good token over HTTP/2: %+v", conn.result())
	}
	for name, flood := range frameFloods(block(get...), make([]byte, 20)) {
		t.Run(name, func(t *testing.T) { g.floodFrames(t, "checks.http", flood) })
	}
}

// frameFloods are floods of HTTP/2 with these headers, and this body where one is sent.
func frameFloods(no, body []byte) map[string]func(c *h2) error {
	call := func(c *h2, i int) {
		c.frame(frameHeaders, flagEndHeaders, uint32(1+2*i), no)
		c.frame(frameData, flagEndStream, uint32(1+2*i), body)
	}
	return map[string]func(c *h2) error{
		"1-byte frames": func(c *h2) error {
			for i := range uint32(20) {
				c.frame(frameHeaders, flagEndHeaders, 1+2*i, no)
				for range 1000 {
					c.frame(frameData, 0, 1+2*i, body[:1])
				}
				c.frame(frameData, flagEndStream, 1+2*i, nil)
			}
			return c.flush()
		},
		"frames of nothing": func(c *h2) error {
			c.frame(frameHeaders, flagEndHeaders, 1, no)
			return c.repeat(100_000, func(int) { c.frame(frameData, 0, 1, nil) })
		},
		"rapid reset": func(c *h2) error {
			return c.repeat(20_000, func(i int) {
				c.frame(frameHeaders, flagEndHeaders|flagEndStream, uint32(1+2*i), no)
				c.frame(frameReset, 0, uint32(1+2*i), []byte{0, 0, 0, 8})
			})
		},
		"rapid reset of whole calls": func(c *h2) error {
			return c.repeat(10_000, func(i int) {
				call(c, i)
				c.frame(frameReset, 0, uint32(1+2*i), []byte{0, 0, 0, 8})
			})
		},
		"10,000 streams": func(c *h2) error {
			return c.repeat(10_000, func(i int) { call(c, i) })
		},
		"streams without an end": func(c *h2) error {
			return c.repeat(10_000, func(i int) {
				c.frame(frameHeaders, flagEndHeaders, uint32(1+2*i), no)
				c.frame(frameData, 0, uint32(1+2*i), body[:20])
			})
		},
		"CONTINUATION": func(c *h2) error {
			c.frame(frameHeaders, 0, 1, no)
			return c.repeat(4000, func(int) { c.frame(frameContinuation, 0, 1, literal("x-more", strings.Repeat("a", 16_000))) })
		},
		"CONTINUATION of nothing": func(c *h2) error {
			c.frame(frameHeaders, 0, 1, no)
			return c.repeat(100_000, func(int) { c.frame(frameContinuation, 0, 1, nil) })
		},
		"100,000 headers": func(c *h2) error {
			c.frame(frameHeaders, 0, 1, no)
			_ = c.repeat(100, func(int) { c.frame(frameContinuation, 0, 1, bytes.Repeat(literal("x", "a"), 1000)) })
			c.frame(frameContinuation, flagEndHeaders, 1, nil)
			return c.flush()
		},
		// One entry of 4 KB in the table, named 10,000 times by a byte (CVE-2016-1544).
		"a bomb of headers": func(c *h2) error {
			long := append([]byte{0x40}, literal("x", strings.Repeat("a", 4000))[1:]...)
			c.frame(frameHeaders, flagEndHeaders|flagEndStream, 1, join(no, long, bytes.Repeat([]byte{0x80 | 62}, 10_000)))
			return c.flush()
		},
		"PING":     func(c *h2) error { return c.repeat(100_000, func(int) { c.frame(framePing, 0, 0, make([]byte, 8)) }) },
		"SETTINGS": func(c *h2) error { return c.repeat(100_000, func(int) { c.frame(frameSettings, 0, 0, nil) }) },
		"WINDOW_UPDATE": func(c *h2) error {
			return c.repeat(100_000, func(int) { c.frame(frameWindow, 0, 0, []byte{0, 0, 0, 1}) })
		},
		"a frame of 16 MB": func(c *h2) error {
			c.frame(frameData, 0, 1, make([]byte, 1<<24-1))
			return c.flush()
		},
		"noise": func(c *h2) error {
			return c.repeat(1000, func(i int) { c.frame(byte(i), byte(i*7), uint32(i), bytes.Repeat([]byte{byte(i)}, i)) })
		},
	}
}

// floodFrames floods a listener over some connections at once.
func (g *gate) floodFrames(t *testing.T, listener string, flood func(c *h2) error) {
	g.withstand(t, attack{run: func(t *testing.T, served func()) {
		const conns = 4
		all := make([]*h2, conns)
		for i := range all {
			all[i] = g.dialH2(t, listener)
		}
		inTurn(conns, func(i int) { _ = flood(all[i]) }) // an error: it was hung up on
		served()
		for _, c := range all {
			c.demandNoAllow(t)
			t.Logf("%+v", c.result())
		}
	}})
}

// repeat does something so many times, sending now and then, until the gate hangs up.
func (c *h2) repeat(count int, each func(i int)) error {
	for i := range count {
		each(i)
		if i%64 == 63 {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	return c.flush()
}
