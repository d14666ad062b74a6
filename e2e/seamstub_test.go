package e2e_test

import (
	"bufio"
	"io"
	"net"
	"testing"
)

// stubbed returns the bench with a proxy that asks, in place of the gate, something that always gives
// the same answer: for what the gate never says, and what a proxy would make of it.
func (b *bench) stubbed(t *testing.T, answer string, changes ...literal) *bench {
	t.Helper()
	other := *b
	other.next += 1000
	other.addr = startProxy(t, b.product, b.backend.addr, startStub(t, answer), b.gate.address["api"], append(changes, quick[b.name]...)...)
	return &other
}

// startStub answers every HTTP request with the same bytes and returns its address.
func startStub(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := readHead(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, answer)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// says makes an answer without a body.
func says(status string, headers ...string) string {
	answer := "HTTP/1.1 " + status + "\r\n"
	for _, h := range headers {
		answer += h + "\r\n"
	}
	return answer + "Content-Length: 0\r\nConnection: close\r\n\r\n"
}

// whenGateSays sends the case to a proxy whose gate gives this answer.
func whenGateSays(answer string, headers ...string) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		return b.stubbed(t, answer).exchange(t, testCase{headers: headers}.raw(b, id), id)
	}
}

// with sends the case through a proxy with these texts of its files changed.
func with(c testCase, changes map[string][]literal) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		return b.variant(t, changes[b.name]...).exchange(t, c.raw(b, id), id)
	}
}
