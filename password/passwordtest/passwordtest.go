// Package passwordtest is a password.Hasher for tests of other packages: at once, deterministic and
// counting. It guarantees nothing about strength and must never be linked into a program.
package passwordtest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"sync/atomic"

	"devicegate/password"
)

// Params is what the hashes of a Hasher claim to cost, for password.NeedsRehash.
var Params = password.Params{Memory: 8 << 10, Iterations: 1, Parallelism: 1}

// Hasher hashes without cost: equal passwords have equal hashes, in PHC form. Everything else is as
// password.Hasher says. The zero value works.
type Hasher struct {
	// Err, when set, is what every call returns, such as password.ErrBusy. Set it before use.
	Err error

	hashed, verified, dummies atomic.Int64
}

var _ password.Hasher = (*Hasher)(nil)

// Hash implements password.Hasher.
func (h *Hasher) Hash(_ context.Context, text string) (string, error) {
	h.hashed.Add(1)
	if h.Err != nil {
		return "", h.Err
	}
	normal, err := password.Normalize(text)
	if err != nil {
		return "", err
	}
	key := sha256.Sum256([]byte(normal))
	b64 := base64.RawStdEncoding
	return "$argon2id$v=19$m=8,t=1,p=1$" + b64.EncodeToString(make([]byte, 16)) + "$" + b64.EncodeToString(key[:]), nil
}

// Verify implements password.Hasher.
func (h *Hasher) Verify(_ context.Context, text, phc string) (bool, error) {
	h.verified.Add(1)
	if phc == "" {
		h.dummies.Add(1)
	}
	if h.Err != nil {
		return false, h.Err
	}
	if phc != "" && password.NeedsRehash(phc, Params) {
		return false, password.ErrMalformed
	}
	want, err := (&Hasher{}).Hash(context.Background(), text)
	return err == nil && want == phc, nil
}

// Calls returns how often Hash and Verify were called, and how many of the latter were for nobody
// (an empty phc): a test of a sign-in shows with it that each attempt costs exactly one hash.
func (h *Hasher) Calls() (hashed, verified, dummies int) {
	return int(h.hashed.Load()), int(h.verified.Load()), int(h.dummies.Load())
}
