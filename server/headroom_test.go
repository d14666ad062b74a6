package server_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"devicegate/server"
)

// begunHead sends the beginning of a head over a new connection and says whether the gate reads it whole.
func begunHead(t *testing.T, l net.Listener, size int) (c net.Conn, whole bool) {
	t.Helper()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	go func() { _, _ = out.Write(bytes.Repeat([]byte("a"), size)) }()
	if c, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, err = io.CopyBuffer(io.Discard, struct{ io.Reader }{io.LimitReader(c, int64(size))}, make([]byte, 4096))
	return c, err == nil
}

// TestLongHeads: thousands of heads that are somewhat long may come at once, but few that are very long. One of many is hung up
// on as soon as it shows to be such a one: what is read of heads that are then thrown away is taken from the honest.
func TestLongHeads(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	l := server.Roomy(plain)
	const somewhat, very = 16 << 10, 16<<10 + 1
	var long []net.Conn
	for range 31 { // of 8 MB, 8 and 256 KB each
		c, whole := begunHead(t, l, very)
		if !whole {
			t.Fatalf("%d very long heads leave no room for another one", len(long))
		}
		long = append(long, c)
	}
	if _, whole := begunHead(t, l, very); whole {
		t.Errorf("besides %d very long heads another one was read", len(long))
	}
	if _, whole := begunHead(t, l, somewhat); !whole {
		t.Error("a head of 16 KB was hung up on beside very long ones")
	}
	long[0].Close()
	if _, whole := begunHead(t, l, 256<<10); !whole {
		t.Error("the room of a head that has gone was not given back, or does not do for the largest")
	}
}

// TestBodiesThatNobodyReads: net/http reads what nobody wanted of a body when the request is over. It is no head, and a connection that
// rests afterwards has given its room back.
func TestBodiesThatNobodyReads(t *testing.T) {
	s := start(t, settings(t))
	api := s.address(t, "api").Addr
	for range 40 { // more than have room for a very long head
		c, err := net.Dial("tcp", api)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		const size = "100000"
		if _, err := io.WriteString(c, "GET /trusted-devices HTTP/1.1\r\nHost: gate.example\r\nContent-Length: "+size+"\r\n\r\n"+strings.Repeat("a", 100_000)); err != nil {
			t.Fatal(err)
		}
		if a, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || a.StatusCode != 401 {
			t.Fatalf("%v, %v", a, err)
		}
	}
	eventually(t, "a long head is answered beside connections that rest", func() bool {
		c, err := net.Dial("tcp", api)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET /trusted-devices HTTP/1.1\r\nHost: gate.example\r\nX-Long: "+strings.Repeat("a", 40_000)+"\r\n\r\n")
		_, err = http.ReadResponse(bufio.NewReader(c), nil)
		return err == nil
	})
}
