package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	firstHead = "GET /auth/traefik HTTP/1.1\r\nHost: gate.example\r\n"
	lastHead  = firstHead + "Connection: close\r\n\r\n"
)

// Heads that hide a request, wherever they come on a connection, and what looks like them and is a body. Each row is sent as
// it is, and byte by byte.
func TestHeadsThatHideARequest(t *testing.T) {
	s := start(t, settings(t))
	const (
		plainFold = firstHead + "X-A: a\r\n b\r\n\r\n"
		both      = firstHead + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		chunks    = firstHead + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		// A body that says how long the next one is, to whoever takes it for a head.
		swallow = "Content-Length: 9999\r\n\r\n"
	)
	fill := func(with string) string {
		return strings.Repeat(with, 60) + strconv.Itoa(len(swallow)) + "\r\n\r\n" + swallow
	}
	for name, c := range map[string]struct {
		listener    string
		text        string
		least, most int // answers
	}{
		"nothing odd":                     {"checks.http", lastHead, 1, 1},
		"two of them":                     {"checks.http", firstHead + "\r\n" + lastHead, 2, 2},
		"both lengths":                    {"checks.http", both + lastHead, 0, 0},
		"both, with a name between":       {"checks.http", strings.Replace(both, "Content-Length", "X-Forwarded-Proto: a\r\nContent-Length", 1), 0, 0},
		"both the other way round":        {"checks.http", firstHead + "Transfer-Encoding: chunked\r\nX-Forwarded-Proto: a\r\nContent-Length: 0\r\n\r\n0\r\n\r\n" + lastHead, 0, 0},
		"a fold":                          {"checks.http", plainFold + lastHead, 0, 0},
		"a fold after an answer":          {"api", firstHead + "\r\n" + firstHead + "X-A: a\r\n\tb\r\n\r\n", 0, 1},
		"lines that end without CR":       {"checks.http", strings.ReplaceAll(firstHead, "\r", "") + "\n" + lastHead, 2, 2},
		"a body like a fold":              {"checks.http", firstHead + "Content-Length: 9\r\n\r\n{\n  \"a\":1" + lastHead, 2, 2},
		"a body like a head":              {"checks.http", firstHead + "Content-Length: 42\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n" + lastHead, 2, 2},
		"a body like a fold, to the API":  {"api", "POST /api/token HTTP/1.1\r\nHost: gate.example\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n{\n  \"a\":1" + lastHead, 2, 2},
		"names that are only nearly such": {"checks.http", firstHead + "X-Content-Length: 1\r\nTransfer-Encodings: chunked\r\nContent-Length: 0\r\n\r\n" + lastHead, 2, 2},
		"a long line of another name":     {"checks.http", firstHead + "X-A: " + strings.Repeat("a", 100) + "\r\nContent-Length: 1\r\n\r\nx" + lastHead, 2, 2},
		// Behind chunks nothing is looked at, so nothing is answered.
		"chunks":                        {"checks.http", chunks, 1, 1},
		"chunks like a fold":            {"checks.http", firstHead + "Transfer-Encoding: chunked\r\n\r\n4\r\n\n  x\r\n0\r\n\r\n" + lastHead, 1, 1},
		"both lengths behind chunks":    {"checks.http", chunks + both, 1, 1},
		"a fold behind chunks":          {"api", chunks + plainFold, 1, 1},
		"chunks that HTTP/1.0 has not":  {"checks.http", strings.Replace(chunks, "1.1\r\n", "1.0\r\nConnection: keep-alive\r\n", 1) + both, 1, 1},
		"a length in one, chunks after": {"checks.http", firstHead + "Content-Length: 1\r\n\r\nx" + chunks + both, 1, 2},
		"a length behind zeros":         {"checks.http", firstHead + "Content-Length: " + fill("0") + both, 0, 0},
		"a length of a byte too much":   {"checks.http", firstHead + "Content-Length: " + strings.Repeat("0", 47) + "26\n\r\nxx" + swallow + both, 0, 0}, // read as 2
		"a length that is as long":      {"checks.http", firstHead + "Content-Length: " + strings.Repeat("0", 46) + strconv.Itoa(len(swallow)) + "\n\r\n" + swallow + lastHead, 2, 2},
		"a length behind spaces":        {"checks.http", firstHead + "Content-Length:" + fill(" ") + plainFold, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, step := range []int{len(c.text), 1} {
				if got := answersTo(t, s.address(t, c.listener).Addr, c.text, step); got < c.least || got > c.most {
					t.Errorf("%d bytes at a time: %d answers, want %d to %d", step, got, c.least, c.most)
				}
			}
		})
	}
}

// answersTo sends a text and returns how many answers come until the gate hangs up.
func answersTo(t *testing.T, addr, text string, step int) (count int) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	go func() {
		for at := 0; at < len(text); at += step {
			if _, err := io.WriteString(c, text[at:min(at+step, len(text))]); err != nil {
				return // it hung up
			}
		}
	}()
	r := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return count
		}
		count++
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return count
		}
	}
}
