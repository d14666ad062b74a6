package e2e_test

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// seenRequest is a request as the backend got it: no library has cleaned, joined or sorted it.
type seenRequest struct {
	line    string   // GET /path HTTP/1.1
	headers []string // "Name: value", in their order
	body    int64    // bytes
}

// values returns the values of a header by its exact name, without regard to letter case.
func (r seenRequest) values(name string) []string {
	var all []string
	for _, h := range r.headers {
		n, v, _ := strings.Cut(h, ":")
		if strings.EqualFold(n, name) {
			all = append(all, strings.TrimSpace(v))
		}
	}
	return all
}

// target returns the request target, undecoded.
func (r seenRequest) target() string {
	parts := strings.SplitN(r.line, " ", 3)
	if len(parts) != 3 {
		return ""
	}
	return parts[1]
}

// backend is the application behind the proxy. It answers everything with 200.
type backend struct {
	addr string
	mu   sync.Mutex
	seen []seenRequest
}

func startBackend(t *testing.T) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := &backend{addr: l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(conn)
		}
	}()
	return b
}

// count returns how many requests have arrived so far.
func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.seen)
}

// since returns the requests after the first n.
func (b *backend) since(n int) []seenRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]seenRequest(nil), b.seen[n:]...)
}

func (b *backend) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		request, err := readHead(in)
		if err != nil {
			return
		}
		if len(request.values("Expect")) > 0 {
			fmt.Fprint(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		if request.body, err = discardBody(in, request); err != nil {
			return
		}
		b.mu.Lock()
		b.seen = append(b.seen, request)
		n := len(b.seen)
		b.mu.Unlock()
		if !answer(conn, request, n) {
			return
		}
	}
}

// answer writes the answer and reports whether the connection stays open.
func answer(conn net.Conn, request seenRequest, n int) bool {
	if len(request.values("Upgrade")) > 0 {
		// HAProxy looks whether the key was answered (RFC 6455, 4.2.2), and takes the answer for broken otherwise.
		key := strings.Join(request.values("Sec-WebSocket-Key"), "")
		sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		return false
	}
	body := fmt.Sprintf(`{"request":%d}`, n)
	fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
	if !strings.HasPrefix(request.line, "HEAD ") {
		fmt.Fprint(conn, body)
	}
	return !strings.HasSuffix(request.line, "HTTP/1.0")
}

func readHead(in *bufio.Reader) (seenRequest, error) {
	var r seenRequest
	lines := textproto.NewReader(in)
	var err error
	if r.line, err = lines.ReadLine(); err != nil {
		return r, err
	}
	for {
		line, err := lines.ReadLine()
		if err != nil || line == "" {
			return r, err
		}
		r.headers = append(r.headers, line)
	}
}

func discardBody(in *bufio.Reader, r seenRequest) (int64, error) {
	if len(r.values("Transfer-Encoding")) > 0 {
		n, err := io.Copy(io.Discard, httputil.NewChunkedReader(in))
		if err != nil {
			return n, err
		}
		_, err = in.Discard(len("\r\n"))
		return n, err
	}
	length := r.values("Content-Length")
	if len(length) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseInt(length[0], 10, 64)
	if err != nil {
		return 0, err
	}
	return io.CopyN(io.Discard, in, n)
}
