// Package password turns passwords into argon2id hashes and compares them, and says which passwords
// are taken. It guarantees that a sign-in cannot slow a check (the Pool computes in a process of its
// own with the lowest priority), that the number of hashes at a time is bounded, and that an unknown
// user costs what a known one does.
//
// It fails closed: Verify reports a match only when a key was computed and is equal to the stored
// one; a busy or dead worker, an ended context and an unreadable stored hash are errors, never a
// match. Passwords are never in arguments, environment, logs or errors.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"
)

// The errors of a Hasher besides *PolicyError. None of them says anything about the password.
var (
	// ErrBusy means: no hash could be had in time, because every slot was taken, the context ended
	// before one was free, or its deadline passed. Trying again later helps.
	ErrBusy = errors.New("password: too many hashes at a time")
	// ErrUnavailable means: the hash worker could not be started, or ended twice under one request.
	ErrUnavailable = errors.New("password: the hash worker is not available")
	// ErrMalformed means: a stored hash that this package did not write, or that asks for more than
	// MaxMemory, MaxIterations or MaxParallelism.
	ErrMalformed = errors.New("password: the stored hash is malformed")
)

// Hasher computes and compares password hashes. Implementations are safe for concurrent use.
type Hasher interface {
	// Hash returns the PHC string of the password with a new random salt. Errors: *PolicyError for
	// a text that Normalize refuses (the minimum length is Policy's matter), ErrBusy, ErrUnavailable.
	Hash(ctx context.Context, password string) (phc string, err error)

	// Verify reports whether phc is a hash of the password. It fails closed: match is false beside
	// every error (ErrBusy, ErrUnavailable, ErrMalformed).
	//
	// An empty phc means "no such user, or no password": a hash is computed against a fixed dummy
	// of the current parameters and the answer is false, so that time does not tell who exists. A
	// malformed phc costs the same. A stored hash of another cost than the current one takes
	// another time, which an observer can see until the password is hashed anew: see NeedsRehash.
	// A text that Normalize refuses is nobody's password: false at once, whoever the user is.
	//
	// Once the computation has begun, the end of ctx by cancellation is not heeded, only its
	// deadline: the answer is the true one although the client may have hung up, so that the
	// caller can count the guess. The same holds for Hash.
	Verify(ctx context.Context, password, phc string) (match bool, err error)
}

// job is one computation: everything that argon2id takes.
type job struct {
	params   Params
	salt     [saltSize]byte
	password string // as Normalize returned it
}

// hasher is the part that every Hasher of this package shares; only derive differs.
type hasher struct {
	params Params
	rand   io.Reader
	derive func(ctx context.Context, j job) (key [keySize]byte, err error)
}

func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	normal, err := Normalize(password)
	if err != nil {
		return "", err
	}
	out := stored{params: h.params}
	if _, err := io.ReadFull(h.rand, out.salt[:]); err != nil {
		return "", fmt.Errorf("password: random salt: %w", err)
	}
	out.key, err = h.derive(ctx, job{params: h.params, salt: out.salt, password: normal})
	if err != nil {
		return "", err
	}
	return out.String(), nil
}

func (h *hasher) verify(ctx context.Context, password, phc string) (bool, error) {
	normal, err := Normalize(password)
	if err != nil {
		return false, nil
	}
	// The dummy stays in place for an unknown user and for a malformed hash: whatever comes out of
	// the comparison, isReal says that it means nothing.
	against, isReal, unreadable := stored{params: h.params}, false, error(nil)
	if phc != "" {
		var known stored
		if known, unreadable = parse(phc); unreadable == nil {
			against, isReal = known, true
		}
	}
	key, err := h.derive(ctx, job{params: against.params, salt: against.salt, password: normal})
	if err != nil {
		return false, err
	}
	if unreadable != nil {
		return false, unreadable
	}
	equal := subtle.ConstantTimeCompare(key[:], against.key[:]) == 1
	return equal && isReal, nil
}

// inline is the Hasher that computes in the calling goroutine.
type inline struct{ hasher }

var _ Hasher = (*inline)(nil)

// Inline returns a Hasher that computes in this process and without a bound on the number of hashes
// at a time: for a command line that works on a closed store, never for a service that answers
// checks. Zero Params are Default; Params outside the limits make every call an error.
func Inline(p Params) Hasher {
	if p == (Params{}) {
		p = Default
	}
	return &inline{hasher{params: p, rand: rand.Reader, derive: deriveHere}}
}

// Hash implements Hasher.
func (i *inline) Hash(ctx context.Context, password string) (string, error) {
	return i.hash(ctx, password)
}

// Verify implements Hasher.
func (i *inline) Verify(ctx context.Context, password, phc string) (bool, error) {
	return i.verify(ctx, password, phc)
}

func deriveHere(ctx context.Context, j job) ([keySize]byte, error) {
	if err := ctx.Err(); err != nil {
		return [keySize]byte{}, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	if err := j.params.check(); err != nil {
		return [keySize]byte{}, err
	}
	text := []byte(j.password)
	defer clear(text)
	return deriveKey(j.params, j.salt, text), nil
}

// deriveKey is the computation itself. The params must have passed check: argon2 panics otherwise.
func deriveKey(p Params, salt [saltSize]byte, text []byte) [keySize]byte {
	key := argon2.IDKey(text, salt[:], uint32(p.Iterations), p.kib(), uint8(p.Parallelism), keySize)
	return [keySize]byte(key)
}
