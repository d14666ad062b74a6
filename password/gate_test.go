package password_test

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"devicegate/password"
)

// patience is how long a test waits for what must happen before it says that it did not.
const patience = time.Minute

// gate holds the hashes of a pool's workers until the test lets them through.
type gate struct {
	t                testing.TB
	started          atomic.Int64 // workers
	tokens, arrivals *os.File     // the test's ends
	theirs           []*os.File   // the workers' ends
}

// newGatedPool returns a pool of workers behind a gate; its probe has passed.
func newGatedPool(t testing.TB, o password.Options) (*password.Pool, *gate) {
	t.Helper()
	tokens, ours := mustPipe(t)
	arrivals, theirs := mustPipe(t)
	g := &gate{t: t, tokens: ours, arrivals: arrivals, theirs: []*os.File{tokens, theirs}}
	o.Params = cheap
	o.Command = g.command
	g.release(1)
	p := mustPool(t, o)
	g.arrived(1)
	return p, g
}

func (g *gate) command() *exec.Cmd {
	g.started.Add(1)
	cmd := as("gated-worker")
	cmd.ExtraFiles = g.theirs
	return cmd
}

// release lets n hashes through.
func (g *gate) release(n int) {
	g.t.Helper()
	if _, err := g.tokens.Write(make([]byte, n)); err != nil {
		g.t.Fatal(err)
	}
}

// arrived returns when n more requests stand before the gate.
func (g *gate) arrived(n int) {
	g.t.Helper()
	if _, err := io.ReadFull(g.arrivals, make([]byte, n)); err != nil {
		g.t.Fatalf("no request at the gate: %v", err)
	}
}

func mustPipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return r, w
}

func mustPool(t testing.TB, o password.Options) *password.Pool {
	t.Helper()
	p, err := password.NewPool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// waitLoad returns when the pool has exactly this load.
func waitLoad(t testing.TB, p *password.Pool, computing, waiting int) {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		c, w := p.Load()
		if c == computing && w == waiting {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Load = %d, %d, want %d, %d", c, w, computing, waiting)
		}
	}
}
