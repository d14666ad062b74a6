package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSecondSignal: V6. Who does not want to wait for what is under way signals a second time, and the program ends at once;
// what it had acknowledged is there after the next start.
func TestSecondSignal(t *testing.T) {
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(second.String(), func(t *testing.T) {
			dir := t.TempDir()
			g := startGate(t, dir, "DEVICEGATE_SHUTDOWN_TIMEOUT=10m")
			g.call("POST", "/admin/users", "", "name", "alice", "password", secret).must(t, 201, "making a user")
			own := g.signIn("alice").must(t, 200, "a sign-in").tokens()
			half, err := net.Dial("tcp", g.address["api"])
			if err != nil {
				t.Fatal(err)
			}
			defer half.Close()
			const request = "POST /api/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
			if _, err := fmt.Fprint(half, request); err != nil {
				t.Fatal(err)
			}
			if _, err := half.Read(make([]byte, 1)); err != nil { // "100 Continue": it is under way
				t.Fatal(err)
			}
			if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			g.wait(t, "it said that it stops", func() bool {
				return strings.Contains(send(g.people, "GET", "http://"+g.address["operations"]+"/readyz", "").body, "stopping")
			})
			g.signalUntilEnd(t, second)
			status, ok := g.cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !ok || !status.Signaled() || status.Signal() != second {
				t.Errorf("it ended by %v, want the signal %v", g.cmd.ProcessState, second)
			}
			g = startGate(t, dir)
			g.check(own.Access).must(t, 200, "a check after the next start")
		})
	}
}

// signalUntilEnd repeats the signal: the handler of the first one may not have been taken away yet.
func (g *gate) signalUntilEnd(t *testing.T, signal os.Signal) {
	t.Helper()
	tick, deadline := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		_ = g.cmd.Process.Signal(signal) // it may have ended already
		select {
		case <-g.exited:
			return
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it goes on after the second signal:\n%s", g.stderr)
		}
	}
}
