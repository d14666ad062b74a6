package probe_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/doctor/probe"
)

func listen(t *testing.T) *probe.Backend {
	t.Helper()
	b, err := probe.ListenBackend("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// ask writes bytes and returns the status of the answer; 0: the connection was closed.
func ask(t *testing.T, in *bufio.Reader, conn net.Conn, raw string) int {
	t.Helper()
	go func() { _, _ = io.WriteString(conn, raw) }() // it need not take everything
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	return resp.StatusCode
}

func dial(t *testing.T, b *probe.Backend) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn, bufio.NewReader(conn)
}

// What arrives is kept as it stood, only for marks that were handed out, and nobody else gets an answer.
func TestBackendKeepsWhatArrives(t *testing.T) {
	b := listen(t)
	mark := b.Mark()
	for _, c := range []struct {
		name, raw string
		status    int
		kept      []string
	}{
		{"no mark", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404, nil},
		{"a mark of nobody's", "GET /dgp00000000000000000000 HTTP/1.1\r\nHost: a\r\n\r\n", 404, nil},
		{"in the path", "GET /x/{mark} HTTP/1.1\r\nHost: a\r\n\r\n", 200, []string{"GET /x/{mark} HTTP/1.1", "Host: a"}},
		{"in the header", "GET / HTTP/1.1\r\nX-Devicegate-Doctor: {mark}\r\nRemote~User:  evil\r\nremote_user : b\r\n\r\n", 200,
			[]string{"GET / HTTP/1.1", "X-Devicegate-Doctor: {mark}", "Remote~User:  evil", "remote_user : b"}},
		{"obs-fold", "GET /{mark} HTTP/1.1\r\nRemote-User:\r\n\tevil\r\n\r\n", 200, []string{"GET /{mark} HTTP/1.1", "Remote-User: evil"}},
		{"a body", "POST /{mark} HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", 200, []string{"POST /{mark} HTTP/1.1", "Content-Length: 4"}},
		{"a body in chunks", "POST /{mark} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", 200, []string{"POST /{mark} HTTP/1.1", "Transfer-Encoding: chunked"}},
		{"a body that is too long", "POST /{mark} HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n" + strings.Repeat("a", 2000000), 0, nil},
		{"a line without an end", "GET /{mark} HTTP/1.1\r\nA: " + strings.Repeat("a", 20000) + "\r\n\r\n", 0, nil},
		{"too many lines", "GET /{mark} HTTP/1.1\r\n" + strings.Repeat("A: a\r\n", 600) + "\r\n", 0, nil},
		{"a handshake", "GET /{mark} HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 101,
			[]string{"GET /{mark} HTTP/1.1", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, in := dial(t, b)
			before := len(b.Seen(mark))
			if got := ask(t, in, conn, strings.ReplaceAll(c.raw, "{mark}", mark)); got != c.status {
				t.Errorf("status %d, want %d", got, c.status)
			}
			var kept []string
			if seen := b.Seen(mark)[before:]; len(seen) > 0 {
				kept = seen[0]
			}
			for i := range kept {
				kept[i] = strings.ReplaceAll(kept[i], mark, "{mark}")
			}
			if diff := cmp.Diff(c.kept, kept); diff != "" {
				t.Errorf("kept (-want +got)\n%s", diff)
			}
		})
	}
}

// One connection serves several requests, and what is kept of one probe has an end.
func TestBackendKeepsConnectionsOpen(t *testing.T) {
	b := listen(t)
	mark := b.Mark()
	conn, in := dial(t, b)
	for range 40 {
		if got := ask(t, in, conn, "POST /"+mark+" HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"); got != 200 {
			t.Fatalf("status %d", got)
		}
	}
	if n := len(b.Seen(mark)); n != 16 {
		t.Errorf("%d requests of one probe are kept, want 16", n)
	}
}

func TestBackendCloses(t *testing.T) {
	b := listen(t)
	conn, in := dial(t, b)
	mark := b.Mark()
	if got := ask(t, in, conn, "GET /"+mark+" HTTP/1.1\r\n\r\n"); got != 200 {
		t.Fatalf("status %d", got)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("a connection outlives the backend")
	}
	if conn, err := net.Dial("tcp", b.Addr()); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
	if err := (*probe.Backend)(nil).Close(); err != nil {
		t.Errorf("closing none: %v", err)
	}
}
