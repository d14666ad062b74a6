//go:build unix

package password_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"

	"devicegate/password"
)

func mustKill(t testing.TB, pid int, signals ...syscall.Signal) {
	t.Helper()
	for _, s := range signals {
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatalf("kill %d: %v", pid, err)
		}
	}
}

func TestWorkerKilledMidHash(t *testing.T) {
	p, g := newGatedPool(t, password.Options{MaxConcurrent: 2})
	phc := mustHash(t, password.Inline(cheap), right)
	good, bad := verifyLater(context.Background(), p, right, phc), verifyLater(context.Background(), p, wrong, phc)
	g.arrived(2)
	mustKill(t, p.WorkerPID(), syscall.SIGKILL)
	g.arrived(2) // at the second worker
	g.release(2)
	if got := <-good; !got.match || got.err != nil {
		t.Errorf("the right password = %v, %v, want true", got.match, got.err)
	}
	if got := <-bad; got.match || got.err != nil {
		t.Errorf("the wrong password = %v, %v, want false", got.match, got.err)
	}
	if n := g.started.Load(); n != 2 {
		t.Errorf("%d workers were started, want 2", n)
	}
}

func TestWorkerKilledTwiceIsNoMatch(t *testing.T) {
	p, g := newGatedPool(t, password.Options{MaxConcurrent: 1})
	phc := mustHash(t, password.Inline(cheap), right)
	killed := verifyLater(context.Background(), p, right, phc)
	for range 2 {
		g.arrived(1)
		mustKill(t, p.WorkerPID(), syscall.SIGKILL)
	}
	if got := <-killed; got.match || !errors.Is(got.err, password.ErrUnavailable) {
		t.Errorf("Verify = %v, %v, want false, ErrUnavailable", got.match, got.err)
	}
	g.release(1)
	if got, err := p.Verify(context.Background(), right, phc); !got || err != nil {
		t.Errorf("the next Verify = %v, %v, want true", got, err)
	}
}

// Who hangs up is answered like who waits, also when the worker dies: otherwise the guess is not counted.
func TestWorkerKilledAfterHangingUp(t *testing.T) {
	p, g := newGatedPool(t, password.Options{MaxConcurrent: 1})
	phc := mustHash(t, password.Inline(cheap), right)
	ctx, cancel := context.WithCancel(context.Background())
	computed := verifyLater(ctx, p, right, phc)
	g.arrived(1)
	cancel()
	mustKill(t, p.WorkerPID(), syscall.SIGKILL)
	g.arrived(1) // at the second worker
	g.release(1)
	if got := <-computed; !got.match || got.err != nil {
		t.Errorf("Verify = %v, %v, want true", got.match, got.err)
	}
}

func TestHashThatNobodyWaitsForIsNotTriedAgain(t *testing.T) {
	p, g := newGatedPool(t, password.Options{MaxConcurrent: 1})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Compute(ctx) }()
	g.arrived(1)
	cancel()
	mustKill(t, p.WorkerPID(), syscall.SIGKILL)
	if err := <-done; !errors.Is(err, password.ErrUnavailable) {
		t.Errorf("Compute = %v, want ErrUnavailable", err)
	}
	if n := g.started.Load(); n != 1 {
		t.Errorf("%d workers were started, want no other for a hash that nobody waits for", n)
	}
}

func TestWorkerKilledWhileIdle(t *testing.T) {
	p := mustPool(t, password.Options{Params: cheap})
	phc := mustHash(t, p, right)
	first := p.WorkerPID()
	mustKill(t, first, syscall.SIGKILL)
	if got, err := p.Verify(context.Background(), right, phc); !got || err != nil {
		t.Errorf("Verify = %v, %v, want true", got, err)
	}
	if second := p.WorkerPID(); second == first {
		t.Error("the killed worker was not replaced")
	}
}

// A Ctrl-C reaches the whole group; the sign-ins that the service still answers need the worker.
func TestWorkerIgnoresTheGroupsSignals(t *testing.T) {
	p := mustPool(t, password.Options{Params: cheap})
	worker := p.WorkerPID()
	mustKill(t, worker, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	mustHash(t, p, right)
	if now := p.WorkerPID(); now != worker {
		t.Error("the worker died of a signal to the group")
	}
}

func TestCloseWaitsForTheWorker(t *testing.T) {
	p := mustPool(t, password.Options{Params: cheap})
	worker := p.WorkerPID()
	_ = p.Close()
	if err := syscall.Kill(worker, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the worker after Close: %v, want no such process", err)
	}
}

// The descriptor that both inherit ends when the last of them is gone.
func TestWorkerDiesWithItsParent(t *testing.T) {
	gone, held := mustPipe(t)
	parent := as("pool-parent")
	parent.ExtraFiles = []*os.File{held}
	stdin, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	_ = held.Close()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the parent said %q, %v, want ready", line, err)
	}
	mustKill(t, parent.Process.Pid, syscall.SIGKILL)
	_ = parent.Wait()
	if _, err := io.Copy(io.Discard, gone); err != nil {
		t.Errorf("the worker outlives its parent: %v", err)
	}
}
