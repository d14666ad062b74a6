package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

// net/http would answer "OPTIONS *" with 200 by itself, before any handler, and 200 is what allows.
func TestOptionsStarIsNotAnswered200(t *testing.T) {
	s := start(t, settings(t))
	for _, listener := range []string{"checks.http", "api", "operations", "admin"} {
		at := s.address(t, listener)
		conn, err := net.Dial(at.Network, at.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		got, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", listener, err)
		}
		_ = got.Body.Close()
		if got.StatusCode < 400 {
			t.Errorf("%s answers OPTIONS * with %d", listener, got.StatusCode)
		}
	}
}
