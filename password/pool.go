package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

const (
	defaultWait    = 5 * time.Second
	waitingPerSlot = 256              // about what a slot computes in defaultWait
	startLimit     = 30 * time.Second // for the first worker, on a machine that is busy
)

var errClosed = errors.New("the pool is closed")

// Options of a Pool. The zero value is what a service wants.
type Options struct {
	Params        Params           // zero: Default
	MaxConcurrent int              // hashes at a time; 0: GOMAXPROCS - 1, at least 1
	MaxWaiting    int              // callers waiting for one, and as many Preferred; 0: 256 for each hash at a time
	Wait          time.Duration    // the longest that a caller waits for its turn; 0: 5s
	Command       func() *exec.Cmd // a new worker, not started; nil: this program with WorkerArgument
}

// Pool is the Hasher of a service. It keeps one worker process, with the lowest priority there is,
// and sends it at most MaxConcurrent hashes at a time. A worker that dies is replaced, and what it
// was computing is computed once more; a request that sees two workers die gets ErrUnavailable.
//
// Who waits for a slot gets ErrBusy as soon as its context ends. With the slot the attempt is made: from
// then on cancellation is not heeded, and the caller gets the answer even if its client has hung up,
// because a guess that is not answered is not counted either, and hanging up would be a way around
// the lockout. Only the context's deadline ends that wait, with ErrBusy; the hash keeps its slot until it
// is computed. So clients that hang up have no more computed than clients that wait. A deadline must be
// the service's own, never a client's, and longer than Options.Wait by what a hash may take.
//
// Who waits is served in the order of coming, but callers that Preferred marks before all others: a
// flood of made-up names from everywhere must not keep out who is known. After eight of them in a row
// one of the others is served, so that these are not kept out either.
type Pool struct {
	hasher  hasher
	slots   *slots
	command func() *exec.Cmd

	mu     sync.Mutex
	child  *child // the latest; may have ended
	closed bool
}

var _ Hasher = (*Pool)(nil)

// NewPool starts the worker and has it compute one small key, so that a worker that cannot work is
// known at start. The caller must Close the pool.
func NewPool(o Options) (*Pool, error) {
	if o.Params == (Params{}) {
		o.Params = Default
	}
	if err := o.Params.check(); err != nil {
		return nil, err
	}
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = waitingPerSlot * o.MaxConcurrent
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	if o.Command == nil {
		o.Command = thisProgram
	}
	p := &Pool{slots: newSlots(o.MaxConcurrent, o.MaxWaiting, o.Wait)}
	p.command = func() *exec.Cmd { return withProcs(o.Command(), o.MaxConcurrent*o.Params.Parallelism+1) }
	p.hasher = hasher{params: o.Params, rand: rand.Reader, derive: p.derive}
	if err := p.probe(); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Hash implements Hasher.
func (p *Pool) Hash(ctx context.Context, password string) (string, error) {
	return p.hasher.hash(ctx, password)
}

// Verify implements Hasher.
func (p *Pool) Verify(ctx context.Context, password, phc string) (bool, error) {
	return p.hasher.verify(ctx, password, phc)
}

// Load returns how many hashes are being computed, abandoned ones included, and how many callers
// wait for one, preferred or not.
func (p *Pool) Load() (computing, waiting int) {
	return p.slots.load()
}

// Close ends the worker and returns when it is gone. Hashes under way and later ones are
// ErrUnavailable. It may be called more than once; the error is always nil.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	c := p.child
	p.mu.Unlock()
	if c != nil {
		c.end()
		<-c.ended
	}
	return nil
}

func (p *Pool) derive(ctx context.Context, j job) ([keySize]byte, error) {
	return p.slots.run(ctx, func(ctx context.Context) ([keySize]byte, error) { return p.compute(ctx, j) })
}

// compute asks a worker, and if that dies one more, unless ctx has ended.
func (p *Pool) compute(ctx context.Context, j job) (key [keySize]byte, err error) {
	for range 2 {
		var c *child
		if c, err = p.worker(); err == nil {
			key, err = c.derive(j)
		}
		if err == nil {
			return key, nil
		}
		if ctx.Err() != nil {
			break // nobody waits for it
		}
	}
	return [keySize]byte{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// worker returns the running worker, or starts one.
func (p *Pool) worker() (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if p.child != nil && p.child.alive() {
		return p.child, nil
	}
	c, err := startChild(p.command())
	if err != nil {
		return nil, err
	}
	p.child = c
	return c, nil
}

// probe has the worker compute a key of the least cost and compares it with our own.
func (p *Pool) probe() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	j := job{params: Params{Memory: 8 * kib, Iterations: 1, Parallelism: 1}, password: "probe"}
	got, err := p.derive(ctx, j)
	if err != nil {
		return err
	}
	if got != deriveKey(j.params, j.salt, []byte(j.password)) {
		return fmt.Errorf("%w: it computes wrong keys", ErrUnavailable)
	}
	return nil
}

// thisProgram is the worker of a service: the very program that runs, also when its file was
// replaced by an upgrade. Its environment is empty, because it needs none of the service's.
func thisProgram() *exec.Cmd {
	path := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		if own, err := os.Executable(); err == nil {
			path = own
		}
	}
	cmd := exec.Command(path, WorkerArgument)
	cmd.Args[0] = "devicegate" // what ps shows
	cmd.Env = []string{}
	cmd.Stderr = os.Stderr
	return cmd
}

// withProcs bounds the threads of Go code in the worker, one of them for its priority.Reminder: a container's limit on
// processor time is shared with the checks, and a low priority does not spare it.
func withProcs(cmd *exec.Cmd, n int) *exec.Cmd {
	cmd.Env = append(cmd.Environ(), fmt.Sprintf("GOMAXPROCS=%d", n))
	return cmd
}
