package e2e_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// relay stands between a proxy and the gate, so that one running proxy can meet a gate that is gone,
// slow or broken, and so that the tests see what the proxy sends to the gate.
type relay struct {
	addr string

	mu       sync.Mutex
	listener net.Listener
	target   string
	fault    fault
	conns    map[net.Conn]bool
	sent     []byte // from the proxy to the gate, since the last reset; the first keepSent bytes
	total    int
}

// fault is what is wrong with the gate.
type fault int

const (
	healthy     fault = iota
	down              // nothing listens
	hanging           // takes the request, never answers
	broken            // answers 500 with a body
	redirecting       // refuses, with a header that nginx would obey
	slow              // answers well, and later than the examples wait
)

const keepSent = 1 << 16

// slowness is more than Caddy waits, and more than HAProxy does in its four tries.
const slowness = 3 * time.Second

// prepared are the answers that the relay gives itself.
var prepared = map[fault]string{
	broken:      "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 9\r\nConnection: close\r\n\r\nit broke\n",
	redirecting: "HTTP/1.1 401 Unauthorized\r\nX-Accel-Redirect: /open/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}

func startRelay(t *testing.T, target string) *relay {
	t.Helper()
	r := &relay{target: target, conns: map[net.Conn]bool{}, addr: "127.0.0.1:0"}
	if err := r.listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.set(down) })
	return r
}

// listen takes the relay's port, the same one again after a fault.
func (r *relay) listen() error {
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		return err
	}
	r.addr, r.listener = l.Addr().String(), l
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return nil
}

// set changes what is wrong with the gate, and breaks the connections made before.
func (r *relay) set(f fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f == down && r.fault != down {
		r.listener.Close()
	}
	if f != down && r.fault == down {
		if !eventually(patience, func() bool { return r.listen() == nil }) {
			panic("the relay cannot have its port back: " + r.addr)
		}
	}
	r.fault = f
	for conn := range r.conns {
		conn.Close()
	}
}

// forget empties the record of what was sent.
func (r *relay) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent, r.total = nil, 0
}

// asked returns the first bytes sent to the gate since forget, and how many there were in all.
func (r *relay) asked() (string, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.sent), r.total
}

func (r *relay) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total += len(p)
	r.sent = append(r.sent, p[:min(len(p), keepSent-len(r.sent))]...)
	return len(p), nil
}

// keep notes an open connection, to be closed by set, and returns what to do with it.
func (r *relay) keep(conn net.Conn) (fault, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[conn] = true
	return r.fault, r.target
}

func (r *relay) drop(conn net.Conn) {
	conn.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, conn)
}

func (r *relay) serve(conn net.Conn) {
	f, target := r.keep(conn)
	defer r.drop(conn)
	switch f {
	case slow, healthy:
		if f == slow {
			<-time.After(slowness)
		}
		gate, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		r.keep(gate)
		defer r.drop(gate)
		go func() {
			_, _ = io.Copy(conn, gate)
			conn.Close()
		}()
		_, _ = io.Copy(io.MultiWriter(r, gate), conn)
	case broken, redirecting:
		var request [4096]byte
		if n, _ := conn.Read(request[:]); n > 0 {
			_, _ = io.WriteString(conn, prepared[f])
		}
	default:
		_, _ = io.Copy(io.Discard, conn)
	}
}
