package password

import (
	"context"
	"time"
)

// CountingInline is Inline that tells each computation's cost to seen.
func CountingInline(p Params, seen func(Params)) Hasher {
	h := Inline(p).(*inline)
	h.derive = func(ctx context.Context, j job) ([keySize]byte, error) {
		seen(j.params)
		return deriveHere(ctx, j)
	}
	return h
}

// ZeroKeyHasher is a Hasher whose every computation has come out as zeros, as the dummy's key is.
func ZeroKeyHasher(p Params) Hasher {
	h := Inline(p).(*inline)
	h.derive = func(context.Context, job) (key [keySize]byte, err error) { return key, nil }
	return h
}

// Canonical parses a PHC string and writes it again.
func Canonical(phc string) (string, error) {
	s, err := parse(phc)
	return s.String(), err
}

// Request is one request of the pool to its worker.
func Request(id uint64, p Params, text string) []byte {
	return appendRequest(id, job{params: p, password: text})
}

// ParseRequest checks the bytes behind a request's length.
func ParseRequest(b []byte) (text []byte, err error) {
	r, err := parseRequest(b)
	return r.text, err
}

// WorkerPID returns the process id of the pool's latest worker.
func (p *Pool) WorkerPID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child.cmd.Process.Pid
}

// Compute has the pool's workers compute a key without waiting for a slot. An ended ctx means that
// nobody waits for it.
func (p *Pool) Compute(ctx context.Context) error {
	_, err := p.compute(ctx, job{params: p.hasher.params})
	return err
}

// Slots is what bounds a Pool, without its workers.
type Slots struct{ *slots }

func NewSlots(number, maxWaiting int, wait time.Duration) Slots {
	return Slots{newSlots(number, maxWaiting, wait)}
}

func (s Slots) Acquire(ctx context.Context) error { return s.acquire(ctx) }

func (s Slots) Release() { s.release() }

func (s Slots) Load() (taken, waiting int) { return s.load() }

// Run is one attempt whose key starts with what compute returns.
func (s Slots) Run(ctx context.Context, compute func(context.Context) byte) (byte, error) {
	key, err := s.run(ctx, func(ctx context.Context) (key [keySize]byte, err error) {
		key[0] = compute(ctx)
		return key, nil
	})
	return key[0], err
}
