package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"
)

// response is what the client got. Status 0: no answer.
type response struct {
	status   int
	header   http.Header
	timedOut bool
}

// maxResponse is how much of an answer is read, in bytes.
const maxResponse = 1 << 20

// exchange sends a request on a connection of its own and reads the answer.
func (r *run) exchange(ctx context.Context, q request) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	conn, err := r.dial(ctx, map[bool]string{false: "http/1.1", true: "h2"}[q.h2])
	if err != nil {
		return response{timedOut: isTimeout(err)}, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if q.h2 {
		return exchangeHTTP2(conn, q)
	}
	// In the background: a proxy may answer before it has taken everything.
	go func() { _, _ = io.WriteString(conn, q.raw()) }()
	return readResponse(conn, q.method)
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// raw is the request in HTTP/1.1, byte by byte.
func (q request) raw() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\n", q.method, q.target, q.version)
	fmt.Fprintf(&b, "Host: %s\r\n", q.host)
	for _, line := range q.lines {
		b.WriteString(line + "\r\n")
	}
	if q.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(q.body))
	}
	return b.String() + "\r\n" + q.body
}

// readResponse reads the first answer that is final.
func readResponse(conn io.Reader, method string) (response, error) {
	in := bufio.NewReader(io.LimitReader(conn, maxResponse))
	if method == "get" {
		method = http.MethodGet
	}
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return response{timedOut: isTimeout(err)}, err
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusSwitchingProtocols || resp.StatusCode >= 200 {
			return response{status: resp.StatusCode, header: resp.Header}, nil
		}
	}
}

// dial connects to the proxy, and agrees on protocol where it speaks TLS.
func (r *run) dial(ctx context.Context, protocol string) (net.Conn, error) {
	d := net.Dialer{}
	if r.from.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: r.from.AsSlice(), Zone: r.from.Zone()}
	}
	conn, err := d.DialContext(ctx, "tcp", r.addr)
	if err != nil || r.URL.Scheme != "https" {
		return conn, err
	}
	config := &tls.Config{}
	if r.TLS != nil {
		config = r.TLS.Clone()
	}
	config.NextProtos = []string{protocol}
	if config.ServerName == "" {
		config.ServerName = r.URL.Hostname()
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// speaksHTTP2 reports whether the proxy agrees on HTTP/2.
func (r *run) speaksHTTP2(ctx context.Context) bool {
	if r.URL.Scheme != "https" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	conn, err := r.dial(ctx, "h2")
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	secure, ok := conn.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// findSource finds out from which address the proxy is reached. On loopback, where the usual address is a trusted
// proxy, another one is taken if the system has it: a client that is one may well choose its address.
func (r *run) findSource() error {
	conn, err := net.DialTimeout("tcp", r.addr, r.Timeout)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return err
	}
	r.from = local.Addr().Unmap()
	if !r.trusts(r.from) || !r.from.IsLoopback() || !r.from.Is4() {
		return nil
	}
	for _, other := range []string{"127.0.0.2", "127.8.7.6"} {
		at := netip.MustParseAddr(other)
		if r.trusts(at) {
			continue
		}
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: at.AsSlice()}, Timeout: r.Timeout}
		if conn, err := d.Dial("tcp", r.addr); err == nil {
			_ = conn.Close()
			r.from = at
			return nil
		}
	}
	return nil
}

func (r *run) trusts(addr netip.Addr) bool {
	for _, p := range r.Trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
