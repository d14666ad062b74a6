package abuse_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// malformed are requests that no server has to take, each with a good token where it can have one: what is refused is
// the request. Two lines are one more header; the empty line is added.
func malformed(good string) map[string]string {
	lines := func(more string) string { return checkHead + good + more + "\r\n" }
	return map[string]string{
		"a header of 1 MB":            lines("X-Long: " + strings.Repeat("a", 1<<20) + "\r\n"),
		"a name of 1 MB":              lines(strings.Repeat("a", 1<<20) + ": x\r\n"),
		"no end of a header":          checkHead + good + "X-Long: " + strings.Repeat("a", 1<<20),
		"100,000 headers":             lines(strings.Repeat("X-Many: a\r\n", 100_000)),
		"100 cookies of 4 KB":         lines(strings.Repeat("Cookie: a="+strings.Repeat("b", 4<<10)+"\r\n", 100)),
		"a NUL in a value":            lines("X-Nul: a\x00b\r\n"),
		"a NUL in a name":             lines("X-\x00Nul: a\r\n"),
		"a CR in a value":             lines("X-Cr: a\rX-Forwarded-Uri: /b\r\n"),
		"a space before the colon":    lines("X-Space : a\r\n"),
		"a folded header":             lines("X-Folded: a\r\n b\r\n"),
		"a header folded by a tab":    lines("X-Folded: a\r\n\tb\r\n"),
		"a fold of nothing":           lines("X-Folded: a\r\n \r\n"),
		"a fold without CR":           lines("X-Folded: a\n b\r\n"),
		"a folded token":              lines("") + checkHead + strings.Replace(good, "Bearer ", "Bearer\r\n ", 1) + "\r\n",
		"chunks and a length":         lines("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
		"a length and chunks":         lines("transfer-encoding: chunked\r\nX-More: a\r\nCONTENT-LENGTH: 0\r\n") + "0\r\n\r\n",
		"a length far behind":         lines("Transfer-Encoding: chunked\r\n"+strings.Repeat("X-Many: a\r\n", 1000)+"Content-Length: 5\r\n") + "0\r\n\r\n",
		"a fold before any header":    "GET /auth/traefik HTTP/1.1\r\n Host: gate.example\r\n\r\n",
		"a line without a colon":      lines("X-Nothing\r\n"),
		"an empty name":               lines(": a\r\n"),
		"a name that is no token":     lines("X(Paren): a\r\n"),
		"two Content-Length":          lines("Content-Length: 0\r\nContent-Length: 1\r\n") + "a",
		"a list of Content-Length":    lines("Content-Length: 0, 1\r\n") + "a",
		"a negative Content-Length":   lines("Content-Length: -1\r\n"),
		"a signed Content-Length":     lines("Content-Length: +1\r\n") + "a",
		"a huge Content-Length":       lines("Content-Length: 99999999999999999999\r\n"),
		"an unknown coding":           lines("Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n",
		"two Transfer-Encoding":       lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") + "0\r\n\r\n",
		"a spelled Transfer-Encoding": lines("Transfer-Encoding: \x0bchunked\r\n") + "0\r\n\r\n",
		"two Host":                    lines("Host: other.example\r\n"),
		"no Host":                     strings.Replace(lines(""), "Host: gate.example\r\n", "", 1),
		"a Host with a space":         strings.Replace(lines(""), "Host: gate.example", "Host: gate example", 1),
		"HTTP/0.9":                    "GET /auth/traefik\r\n\r\n",
		"HTTP/1.1 in small letters":   strings.Replace(lines(""), "HTTP/1.1", "http/1.1", 1),
		"HTTP/3.0":                    strings.Replace(lines(""), "HTTP/1.1", "HTTP/3.0", 1),
		"HTTP/1.10":                   strings.Replace(lines(""), "HTTP/1.1", "HTTP/1.10", 1),
		"two spaces":                  strings.Replace(lines(""), "GET ", "GET  ", 1),
		"a method that is no token":   strings.Replace(lines(""), "GET", "G(T", 1),
		"no method":                   strings.Replace(lines(""), "GET", "", 1),
		"the beginning of HTTP/2":     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"a hello of TLS":              "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"noise":                       strings.Repeat("\xff\x00\x80", 10_000) + "\r\n\r\n",
		"a URI of 1 MB":               strings.Replace(lines(""), "/auth/traefik", "/auth/traefik?"+strings.Repeat("a", 1<<20), 1),
		"a bad escape":                strings.Replace(lines(""), "/auth/traefik", "/auth/%zz", 1),
	}
}

// TestMalformedRequests: V3. Each is answered 4xx (or that the server does not know such a thing), or the connection is
// closed, and nothing behind it on the connection is answered either.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	good := "Authorization: Bearer " + g.anna.Access + "\r\n"
	if got := g.sayAll(t, "checks.http", checkHead+good+"Connection: close\r\n\r\n"); len(got) != 1 || got[0] != 200 {
		t.Fatalf("the request that is well formed is answered %v", got)
	}
	for _, listener := range []string{"checks.http", "api", "operations"} {
		t.Run(listener, func(t *testing.T) {
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				for name, request := range malformed(good) {
					for _, status := range g.sayAll(t, listener, request+checkHead+good+"\r\n") {
						if !refusal(status) {
							t.Errorf("%s: answered %d", name, status)
						}
					}
				}
				served()
			}})
		})
	}
}

func refusal(status int) bool {
	return status/100 == 4 || status == http.StatusNotImplemented || status == http.StatusHTTPVersionNotSupported
}

// sayAll sends bytes over a connection of their own and returns the status of each answer, until the gate hangs up.
// What it does not read any more is not sent.
func (g *gate) sayAll(t *testing.T, listener, text string) (statuses []int) {
	t.Helper()
	c, err := g.dial(listener)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	go func() {
		_, _ = io.WriteString(c, text)
		if plain, ok := c.(*net.TCPConn); ok {
			_ = plain.CloseWrite()
		}
	}()
	r := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses
		}
		statuses = append(statuses, resp.StatusCode)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return statuses
		}
	}
}

// TestOddRequests: what is well formed, odd, and answered by what it says: with a good token it may pass, without one never.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	good := "Authorization: Bearer " + g.anna.Access + "\r\n"
	uri := func(uri string) string {
		return strings.Replace(checkHead, "X-Forwarded-Uri: /orders/1", "X-Forwarded-Uri: "+uri, 1)
	}
	for name, c := range map[string]struct {
		head string
		want int // with the token
	}{
		"HTTP/1.0, as nginx asks": {strings.Replace(checkHead, "HTTP/1.1", "HTTP/1.0", 1), 200},
		"1,000 headers":           {checkHead + strings.Repeat("X-Many: a\r\n", 1000), 200},
		"a URI of 64 KB":          {uri("/" + strings.Repeat("a", 64<<10)), 200},
		"a body":                  {checkHead + "Content-Length: 0\r\n", 200},
		"two Authorization":       {checkHead + "Authorization: Basic eDp5\r\n", 401},
		"two X-Forwarded-Uri":     {checkHead + "X-Forwarded-Uri: /other\r\n", 403},
	} {
		t.Run(name, func(t *testing.T) {
			for token, want := range map[string]int{good: c.want, "": 0, "Authorization: Bearer x.y.z\r\n": 0} {
				got := g.sayAll(t, "checks.http", c.head+token+"Connection: close\r\n\r\n")
				if len(got) != 1 || want != 0 && got[0] != want || want == 0 && !refusal(got[0]) {
					t.Errorf("answered %v, want %d (0: a refusal)", got, want)
				}
			}
		})
	}
}

// TestManyHugeHeaders: as many connections as slowloris has, each with as much of a header as the gate takes, and no end.
func TestManyHugeHeaders(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	g.withstand(t, attack{run: func(t *testing.T, served func()) {
		huge := g.connect(t, "checks.http", slowConnections, func(c net.Conn) error {
			_ = say(checkHead + "X-Long: " + strings.Repeat("a", 200<<10))(c) // most are hung up on meanwhile
			return nil
		})
		served()
		huge.hungUp(t)
	}})
	// The room that they had is given back, and so is that of requests which were answered, on whatever connection.
	long := checkHead + "Authorization: Bearer " + g.anna.Access + "\r\nX-Long: " + strings.Repeat("a", 200<<10) + "\r\n"
	for what, statuses := range map[string][]int{
		"over one connection": g.sayAll(t, "checks.http", strings.Repeat(long+"\r\n", 60)+long+"Connection: close\r\n\r\n"),
		"each over its own":   g.sayEach(t, long+"Connection: close\r\n\r\n", 61),
	} {
		if len(statuses) != 61 || slices.ContainsFunc(statuses, func(status int) bool { return status != http.StatusOK }) {
			t.Errorf("afterwards, %s: 61 long heads are answered %v", what, statuses)
		}
	}
}

// sayEach is sayAll so many times.
func (g *gate) sayEach(t *testing.T, text string, times int) (statuses []int) {
	t.Helper()
	for range times {
		statuses = append(statuses, g.sayAll(t, "checks.http", text)...)
	}
	return statuses
}

// TestBodies: V5. Bodies that are huge, endless, deep or packed are refused at the API, and mean nothing to a check.
func TestBodies(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	bodies := map[string]func() io.Reader{
		"100 MB":      func() io.Reader { return io.LimitReader(repeated(`{"username":"a"}`), 100<<20) },
		"no end":      func() io.Reader { return repeated(`{"username":`) },
		"deep":        func() io.Reader { return strings.NewReader(strings.Repeat("[", 100_000)) },
		"just deep":   func() io.Reader { return strings.NewReader(strings.Repeat(`{"a":`, 3000)) },
		"a long name": func() io.Reader { return strings.NewReader(`{"username":"` + strings.Repeat("a", 1<<20)) },
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				var allows atomic.Int64
				inTurn(lanes, func(i int) {
					if got := g.post([]string{"/api/token", "/api/token/refresh", "/api/password/reset"}[i%3], body(), g.anna.Access); got != 0 && !refusal(got) {
						allows.Add(1)
						t.Errorf("answered %d", got)
					}
				})
				served()
			}})
		})
	}
}

// post sends a body in chunks and returns the answer's status, 0 where the gate hung up first.
func (g *gate) post(path string, body io.Reader, token string) int {
	r, err := http.NewRequest("POST", "http://gate.example"+path, body)
	if err != nil {
		return -1
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	got, _ := do(g.client("api", false), r) // an error is a connection that was closed
	return got.status
}

// repeated is a text again and again, without end.
func repeated(text string) io.Reader { return &repeating{strings.Repeat(text, 1000), 0} }

type repeating struct {
	text string
	at   int
}

func (r *repeating) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}
