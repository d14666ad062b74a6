package password_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"devicegate/password"
)

// answer is what Verify returned.
type answer struct {
	match bool
	err   error
}

func verifyLater(ctx context.Context, p *password.Pool, text, phc string) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		match, err := p.Verify(ctx, text, phc)
		done <- answer{match, err}
	}()
	return done
}

func TestPool(t *testing.T) {
	testHasher(t, mustPool(t, password.Options{Params: cheap}))
}

// One worker answers many at a time: each must get the answer to its own question.
func TestAnswersAreNotMixed(t *testing.T) {
	p := mustPool(t, password.Options{Params: cheap, MaxConcurrent: 8})
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			text := fmt.Sprintf("the password of number %d", i)
			phc, err := p.Hash(context.Background(), text)
			if err != nil {
				t.Errorf("Hash: %v", err)
				return
			}
			if got, err := password.Inline(cheap).Verify(context.Background(), text, phc); !got || err != nil {
				t.Errorf("Verify of what the pool hashed = %v, %v, want true", got, err)
			}
			if got, err := p.Verify(context.Background(), text+"x", phc); got || err != nil {
				t.Errorf("Verify of a wrong one = %v, %v, want false", got, err)
			}
		})
	}
	all.Wait()
}

func TestBoundIsExact(t *testing.T) {
	const slots, queue = 3, 5
	p, g := newGatedPool(t, password.Options{MaxConcurrent: slots, MaxWaiting: queue, Wait: time.Hour})
	var answers []<-chan answer
	for range slots + queue {
		answers = append(answers, verifyLater(context.Background(), p, right, ""))
	}
	waitLoad(t, p, slots, queue)
	g.arrived(slots)
	if got, err := p.Verify(context.Background(), right, ""); got || !errors.Is(err, password.ErrBusy) {
		t.Errorf("Verify beside a full queue = %v, %v, want false, ErrBusy", got, err)
	}
	for done := 1; done <= slots+queue; done++ {
		g.release(1)
		left := slots + queue - done
		waitLoad(t, p, min(slots, left), max(0, left-slots))
		if left >= slots {
			g.arrived(1)
		}
	}
	for _, a := range answers {
		if got := <-a; got.match || got.err != nil {
			t.Errorf("Verify for nobody = %v, %v, want false, nil", got.match, got.err)
		}
	}
}

func TestBusyAfterTheWait(t *testing.T) {
	p, g := newGatedPool(t, password.Options{MaxConcurrent: 1, Wait: time.Millisecond})
	first := verifyLater(context.Background(), p, right, "")
	g.arrived(1)
	if _, err := p.Hash(context.Background(), right); !errors.Is(err, password.ErrBusy) {
		t.Errorf("Hash beside a taken slot: %v, want ErrBusy", err)
	}
	waitLoad(t, p, 1, 0)
	g.release(1)
	if got := <-first; got.err != nil {
		t.Errorf("the first: %v", got.err)
	}
}

// Clients that hang up must not have more computed than clients that wait, and what was computed for
// them is answered, so that it can be counted: no guess is free.
func TestHangingUpGainsNothing(t *testing.T) {
	p, g := newGatedPool(t, password.Options{MaxConcurrent: 1, Wait: time.Hour})
	phc := mustHash(t, password.Inline(cheap), right)
	for text, match := range map[string]bool{right: true, wrong: false} {
		ctx, cancel := context.WithCancel(context.Background())
		computed := verifyLater(ctx, p, text, phc)
		g.arrived(1)
		queued := verifyLater(ctx, p, text, phc)
		waitLoad(t, p, 1, 1)
		cancel()
		if got := <-queued; got.match || !errors.Is(got.err, password.ErrBusy) || !errors.Is(got.err, context.Canceled) {
			t.Errorf("queued = %v, %v, want false, ErrBusy and Canceled", got.match, got.err)
		}
		waitLoad(t, p, 1, 0)
		next := verifyLater(context.Background(), p, right, "")
		waitLoad(t, p, 1, 1)
		g.release(1)
		if got := <-computed; got.match != match || got.err != nil {
			t.Errorf("computed = %v, %v, want %v, nil", got.match, got.err, match)
		}
		g.arrived(1)
		g.release(1)
		if got := <-next; got.err != nil {
			t.Errorf("the next: %v", got.err)
		}
		waitLoad(t, p, 0, 0)
	}
}

// A flood of made-up names fills the queue, and who is known gets the next slot all the same.
func TestPreferredBesideAFullQueue(t *testing.T) {
	const queue = 5
	p, g := newGatedPool(t, password.Options{MaxConcurrent: 1, MaxWaiting: queue, Wait: time.Hour})
	phc := mustHash(t, password.Inline(cheap), right)
	var flood []<-chan answer
	for range 1 + queue {
		flood = append(flood, verifyLater(context.Background(), p, right, ""))
	}
	waitLoad(t, p, 1, queue)
	g.arrived(1)
	owner := verifyLater(password.Preferred(context.Background()), p, right, phc)
	waitLoad(t, p, 1, queue+1)
	g.release(2)
	if got := <-owner; !got.match || got.err != nil {
		t.Errorf("the owner = %v, %v, want true", got.match, got.err)
	}
	waitLoad(t, p, 1, queue-1)
	g.release(queue)
	for _, a := range flood {
		if got := <-a; got.match || got.err != nil {
			t.Errorf("Verify for nobody = %v, %v, want false, nil", got.match, got.err)
		}
	}
}

func TestEndedContextComputesNothing(t *testing.T) {
	p, _ := newGatedPool(t, password.Options{MaxConcurrent: 1})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Hash(ctx, right); !errors.Is(err, password.ErrBusy) {
		t.Errorf("Hash = %v, want ErrBusy", err)
	}
	if computing, waiting := p.Load(); computing != 0 || waiting != 0 {
		t.Errorf("Load = %d, %d, want nothing under way", computing, waiting)
	}
}

func TestNewPoolNeedsAWorkerThatWorks(t *testing.T) {
	for name, command := range map[string]func() *exec.Cmd{
		"no program": noWorker,
		"exits":      func() *exec.Cmd { return as("exits") },
		"wrong keys": func() *exec.Cmd { return as("wrong-keys") },
		"babbles":    func() *exec.Cmd { return as("babbles") },
	} {
		p, err := password.NewPool(password.Options{Params: cheap, Command: command})
		if p != nil || !errors.Is(err, password.ErrUnavailable) {
			t.Errorf("%s: NewPool = %v, %v, want ErrUnavailable", name, p, err)
		}
	}
}

func TestClose(t *testing.T) {
	p, g := newGatedPool(t, password.Options{MaxConcurrent: 1})
	under := verifyLater(context.Background(), p, right, "")
	g.arrived(1)
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if got := <-under; got.match || !errors.Is(got.err, password.ErrUnavailable) {
		t.Errorf("the hash under way = %v, %v, want false, ErrUnavailable", got.match, got.err)
	}
	if got, err := p.Verify(context.Background(), right, ""); got || !errors.Is(err, password.ErrUnavailable) {
		t.Errorf("Verify afterwards = %v, %v, want false, ErrUnavailable", got, err)
	}
	if n := g.started.Load(); n != 1 {
		t.Errorf("%d workers were started, want no other after Close", n)
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

func TestErrorsDoNotRepeatThePassword(t *testing.T) {
	p := mustPool(t, password.Options{Params: cheap})
	_ = p.Close()
	_, unavailable := p.Hash(context.Background(), right)
	_, malformed := password.Inline(cheap).Verify(context.Background(), right, right)
	_, refused := password.Inline(cheap).Hash(context.Background(), right+"\xff")
	for _, err := range []error{unavailable, malformed, refused, password.Policy{MinLength: 100}.Check(right)} {
		if err == nil || strings.Contains(err.Error(), "horse") {
			t.Errorf("error %q, want one without the password", err)
		}
	}
}
