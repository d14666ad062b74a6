package probe

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Backend stands for the application behind the proxy and keeps the head of every probe that reaches it, byte
// by byte: a library would clean, join or sort what tells. It speaks HTTP/1.1, and answers 404 to whatever is
// no probe. It is safe for concurrent use.
type Backend struct {
	listener net.Listener

	mu    sync.Mutex
	conns map[net.Conn]bool
	seen  map[string][]arrival // by mark; a mark that is no key is none of ours
}

const (
	// backendIdle is how long the backend waits for bytes.
	backendIdle = 30 * time.Second
	// maxLineBytes and maxLines bound the head that the backend reads, maxBody the body: bytes, lines, bytes.
	maxLineBytes = 16 << 10
	maxLines     = 500
	maxBody      = 1 << 20
	// maxBackendConns bounds the connections that are served at once, maxArrivals what is kept of one probe.
	maxBackendConns = 256
	maxArrivals     = 16
)

// arrival is a request as the backend got it.
type arrival struct {
	line    string   // GET /path HTTP/1.1
	headers []string // "Name: value" as they stood, in their order
}

// target returns the request target, undecoded.
func (a arrival) target() string {
	_, rest, _ := strings.Cut(a.line, " ")
	target, _, _ := strings.Cut(rest, " ")
	return target
}

// values returns the values of a header by its exact name, without regard to letter case.
func (a arrival) values(name string) []string {
	var all []string
	for _, h := range a.headers {
		n, v, _ := strings.Cut(h, ":")
		if strings.EqualFold(n, name) {
			all = append(all, strings.TrimSpace(v))
		}
	}
	return all
}

func (a arrival) value(name string) string { return strings.Join(a.values(name), ", ") }

// ListenBackend starts a backend at address, host:port. Close ends it.
func ListenBackend(address string) (*Backend, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	b := &Backend{listener: l, conns: map[net.Conn]bool{}, seen: map[string][]arrival{}}
	go b.accept()
	return b, nil
}

// Addr is where the backend listens, host:port.
func (b *Backend) Addr() string { return b.listener.Addr().String() }

// Close stops listening and closes every connection. A nil Backend has nothing to close.
func (b *Backend) Close() error {
	if b == nil {
		return nil
	}
	err := b.listener.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.conns {
		_ = conn.Close()
	}
	b.conns = nil
	return err
}

// expect makes a mark one that is answered to. Others cannot fill the backend with marks of their own.
func (b *Backend) expect(mark string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.seen[mark]; !known {
		b.seen[mark] = nil
	}
}

// arrivals returns the requests with a mark, in the order in which they came.
func (b *Backend) arrivals(mark string) []arrival {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]arrival(nil), b.seen[mark]...)
}

func (b *Backend) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		if b.keep(conn) {
			go b.serve(conn)
		} else {
			_ = conn.Close()
		}
	}
}

// keep notes an open connection; false says that there is no room for it, or that the backend is closed.
func (b *Backend) keep(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conns == nil || len(b.conns) >= maxBackendConns {
		return false
	}
	b.conns[conn] = true
	return true
}

func (b *Backend) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.conns, conn)
	}()
	in := bufio.NewReaderSize(conn, maxLineBytes)
	for {
		_ = conn.SetDeadline(time.Now().Add(backendIdle))
		a, err := readHead(in)
		if err != nil {
			return
		}
		if a.value("Expect") != "" {
			fmt.Fprint(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		if discardBody(in, a) != nil || !b.answer(conn, a) {
			return
		}
	}
}

// answer keeps a probe and answers it, and reports whether the connection can be used again.
func (b *Backend) answer(conn net.Conn, a arrival) bool {
	switch {
	case !b.note(a):
		fmt.Fprint(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return false
	case strings.EqualFold(a.value("Upgrade"), "websocket"):
		// Some proxies look whether the key was answered (RFC 6455, 4.2.2).
		sum := sha1.Sum([]byte(a.value("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		return false
	}
	fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n")
	if !strings.HasPrefix(a.line, "HEAD ") {
		fmt.Fprint(conn, "probe\n")
	}
	return strings.HasSuffix(a.line, "HTTP/1.1") && !strings.EqualFold(a.value("Connection"), "close")
}

// note keeps a request with a mark that was handed out; false says that it has none.
func (b *Backend) note(a arrival) bool {
	mark := markIn.FindString(a.value(markHeader))
	if mark == "" {
		mark = markIn.FindString(a.target())
	}
	if mark == "" {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	seen, ours := b.seen[mark]
	if ours && len(seen) < maxArrivals {
		b.seen[mark] = append(seen, a)
	}
	return ours
}

// markHeader carries the mark of a probe; its path does as well, for proxies that pass no header on.
const markHeader = "X-Devicegate-Doctor"

const markStart = "dgp"

var markIn = regexp.MustCompile(markStart + "[0-9a-f]{20}")

var errHead = errors.New("the head is too long")

// readHead reads a request up to its empty line.
func readHead(in *bufio.Reader) (arrival, error) {
	var a arrival
	for range maxLines {
		line, err := in.ReadSlice('\n') // a line that does not fit is an error
		if err != nil {
			return a, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		switch n := len(a.headers); {
		case a.line == "" && text == "": // RFC 9112, section 2.2
		case a.line == "":
			a.line = text
		case text == "":
			return a, nil
		case n > 0 && strings.TrimLeft(text, " \t") != text: // obs-fold, RFC 9112 section 5.2
			a.headers[n-1] += " " + strings.TrimSpace(text)
		default:
			a.headers = append(a.headers, text)
		}
	}
	return a, errHead
}

var errBody = errors.New("the body is too long or has no length")

// discardBody reads past the body.
func discardBody(in *bufio.Reader, a arrival) error {
	if a.value("Transfer-Encoding") != "" {
		if n, err := io.Copy(io.Discard, io.LimitReader(httputil.NewChunkedReader(in), maxBody)); err != nil || n == maxBody {
			return errBody
		}
		_, err := in.Discard(len("\r\n"))
		return err
	}
	length := a.value("Content-Length")
	if length == "" {
		return nil
	}
	n, err := strconv.ParseUint(length, 10, 32)
	if err != nil || n > maxBody {
		return errBody
	}
	_, err = io.CopyN(io.Discard, in, int64(n))
	return err
}
