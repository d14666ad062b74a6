package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
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
	for name, c := range map[string]struct {
		listener string
		text     string
		answers  int
	}{
		"nothing odd":                     {"checks.http", lastHead, 1},
		"both lengths":                    {"checks.http", firstHead + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + lastHead, 0},
		"a fold":                          {"checks.http", firstHead + "X-A: a\r\n b\r\n\r\n" + lastHead, 0},
		"a fold after an answer":          {"api", firstHead + "\r\n" + firstHead + "X-A: a\r\n\tb\r\n\r\n", -1},
		"lines that end without CR":       {"checks.http", strings.ReplaceAll(firstHead, "\r", "") + "\n" + lastHead, 2},
		"a length in one, chunks after":   {"checks.http", firstHead + "Content-Length: 1\r\n\r\nx" + firstHead + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + lastHead, 3},
		"a body like a fold":              {"checks.http", firstHead + "Content-Length: 9\r\n\r\n{\n  \"a\":1" + lastHead, 2},
		"a body like a head":              {"checks.http", firstHead + "Content-Length: 42\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n" + lastHead, 2},
		"chunks like a fold":              {"checks.http", firstHead + "Transfer-Encoding: chunked\r\n\r\n4\r\n\n  x\r\n0\r\n\r\n" + lastHead, 2},
		"a body like a fold, to the API":  {"api", "POST /api/token HTTP/1.1\r\nHost: gate.example\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n{\n  \"a\":1" + lastHead, 2},
		"names that are only nearly such": {"checks.http", firstHead + "X-Content-Length: 1\r\nTransfer-Encodings: chunked\r\nContent-Length: 0\r\n\r\n" + lastHead, 2},
	} {
		t.Run(name, func(t *testing.T) {
			for _, step := range []int{len(c.text), 1} {
				got := answersTo(t, s.address(t, c.listener).Addr, c.text, step)
				if c.answers >= 0 && got != c.answers || c.answers < 0 && got >= 2 {
					t.Errorf("%d bytes at a time: %d answers, want %d (-1: at most one)", step, got, c.answers)
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
