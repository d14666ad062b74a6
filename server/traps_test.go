package server_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
)

// trap is a place that a token may name as the one where its key is: a file that tells when it is opened
// and a listener that tells when somebody connects.
type trap struct {
	path, address     string
	opened, connected atomic.Int64
	over              atomic.Bool
}

// newTrap lays a trap for as long as the test lasts. The file is a FIFO: opening it for writing waits until
// somebody opens it for reading, in whatever way and for however short a time.
func newTrap(t *testing.T) *trap {
	t.Helper()
	p := &trap{path: filepath.Join(t.TempDir(), "key")}
	if err := syscall.Mkfifo(p.path, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	ended := make(chan struct{}, 2)
	go func() { p.watchFile(); ended <- struct{}{} }()
	go func() { p.watchListener(l); ended <- struct{}{} }()
	t.Cleanup(func() {
		p.over.Store(true)
		reader, err := os.OpenFile(p.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // lets the one who waits go
		if err != nil {
			t.Error(err)
			return
		}
		_ = l.Close()
		<-ended
		<-ended
		_ = reader.Close()
	})
	return p
}

func (p *trap) watchFile() {
	for {
		f, err := os.OpenFile(p.path, os.O_WRONLY, 0)
		if err != nil || p.over.Load() {
			_ = f.Close()
			return
		}
		p.opened.Add(1)
		_ = f.Close() // the reader finds nothing and goes on
	}
}

func (p *trap) watchListener(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.connected.Add(1)
		_ = c.Close()
	}
}

// lures returns the ways in which a token names the trap.
func (p *trap) lures() []string {
	return []string{
		"http://" + p.address + "/keys", "https://" + p.address + "/keys",
		p.path, "file://" + p.path, "../../../../../../../../../../../.." + p.path,
	}
}

// A trap in which nothing is caught proves nothing unless it catches.
func TestTrap(t *testing.T) {
	p := newTrap(t)
	if p.opened.Load() != 0 || p.connected.Load() != 0 {
		t.Fatal("it has caught somebody before anybody came")
	}
	if b, err := os.ReadFile(p.path); err != nil || len(b) != 0 {
		t.Errorf("reading the file: %q, %v", b, err)
	}
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(c)
	_ = c.Close()
	eventually(t, "a reader and a client caught", func() bool { return p.opened.Load() > 0 && p.connected.Load() > 0 })
}
