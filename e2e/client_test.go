package e2e_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// clientIP is where the tests' clients come from: not an address that the examples trust as a proxy.
const clientIP = "127.0.0.2"

// response is what a client got.
type response struct {
	status int
	header http.Header
	body   string
}

// sendRaw writes bytes to addr, from the address from, and reads one final response. Nothing is
// added to the bytes. A connection that is closed without a response has status 0.
func sendRaw(t *testing.T, from, addr, raw string, limit time.Duration) response {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("connecting from %s (on macOS: sudo ifconfig lo0 alias %s): %v", from, clientIP, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(limit))
	// In the background: a proxy may answer before it has taken the whole body.
	go func() { _, _ = io.WriteString(conn, raw) }()
	method, _, _ := strings.Cut(raw, " ")
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return response{}
		}
		if r.StatusCode >= 100 && r.StatusCode < 200 && r.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		body, _ := io.ReadAll(r.Body)
		return response{r.StatusCode, r.Header, string(body)}
	}
}
