package password_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"devicegate/password"
)

// cheap keeps the tests quick; nothing in them depends on the cost.
var cheap = password.Params{Memory: 64 << 10, Iterations: 1, Parallelism: 1}

const (
	right = "correct horse battery staple"
	wrong = "correct horse battery stapler"
)

func mustHash(tb testing.TB, h password.Hasher, text string) string {
	tb.Helper()
	phc, err := h.Hash(context.Background(), text)
	if err != nil {
		tb.Fatalf("Hash: %v", err)
	}
	return phc
}

// testHasher is what every Hasher of this package must do.
func testHasher(t *testing.T, h password.Hasher) {
	phc := mustHash(t, h, right)
	for _, c := range []struct {
		name, text, phc string
		want            bool
		err             error
	}{
		{"right", right, phc, true, nil},
		{"wrong", wrong, phc, false, nil},
		{"empty", "", phc, false, nil},
		{"unknown user", right, "", false, nil},
		{"unknown user, empty password", "", "", false, nil},
		{"trailing space", right + " ", phc, false, nil},
		{"cut at NUL", right + "\x00x", phc, false, nil},
		{"differs after 72 bytes", strings.Repeat("a", 80) + "b", mustHash(t, h, strings.Repeat("a", 80)+"c"), false, nil},
		{"composed for decomposed", "caf\u00e9 caf\u00e9 caf\u00e9", mustHash(t, h, "cafe\u0301 cafe\u0301 cafe\u0301"), true, nil},
		{"compatibility forms differ", "\uff41bc def ghi jkl", mustHash(t, h, "abc def ghi jkl"), false, nil},
		{"invalid UTF-8 is nobody's", right + "\xff", phc, false, nil},
		{"too long is nobody's", strings.Repeat("a", 257), phc, false, nil},
		{"malformed hash", right, phc + "=", false, password.ErrMalformed},
		{"hostile hash", right, strings.Replace(phc, "m=64", "m=2147483647", 1), false, password.ErrMalformed},
	} {
		if got, err := h.Verify(context.Background(), c.text, c.phc); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: Verify = %v, %v, want %v, %v", c.name, got, err, c.want, c.err)
		}
	}
	if again := mustHash(t, h, right); again == phc {
		t.Error("two hashes of one password are equal, want another salt each time")
	}
	var refused *password.PolicyError
	if _, err := h.Hash(context.Background(), "\xff"); !errors.As(err, &refused) {
		t.Errorf("Hash of invalid UTF-8: %v, want a PolicyError", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if got, err := h.Verify(ended, right, phc); got || !errors.Is(err, password.ErrBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("Verify with an ended context = %v, %v, want false, ErrBusy and Canceled", got, err)
	}
}

func TestInline(t *testing.T) { testHasher(t, password.Inline(cheap)) }

func TestEveryVerifyCostsOneHash(t *testing.T) {
	var costs []password.Params
	h := password.CountingInline(cheap, func(p password.Params) { costs = append(costs, p) })
	other := password.Params{Memory: 16 << 10, Iterations: 2, Parallelism: 2}
	old := mustHash(t, password.Inline(other), right)
	current := mustHash(t, password.Inline(cheap), right)
	for _, c := range []struct {
		name, phc string
		want      password.Params
	}{
		{"known user", current, cheap},
		{"unknown user", "", cheap},
		{"malformed hash", "$argon2id$v=19$m=2147483648,t=2,p=1$x$y", cheap},
		{"hash of another cost, told by NeedsRehash", old, other},
	} {
		costs = nil
		_, _ = h.Verify(context.Background(), right, c.phc)
		if len(costs) != 1 || costs[0] != c.want {
			t.Errorf("%s: computed %v, want one hash of %v", c.name, costs, c.want)
		}
	}
	if !password.NeedsRehash(old, cheap) || password.NeedsRehash(current, cheap) || !password.NeedsRehash("x", cheap) {
		t.Error("NeedsRehash does not tell hashes of another cost and unreadable ones from current ones")
	}
}

// Whatever a broken worker says, an unknown user and an unreadable hash match nothing.
func TestTheDummyIsNeverMatched(t *testing.T) {
	h := password.ZeroKeyHasher(cheap)
	for _, phc := range []string{"", "x"} {
		if got, _ := h.Verify(context.Background(), right, phc); got {
			t.Errorf("Verify against %q is a match", phc)
		}
	}
}

func TestInlineRefusesParamsOutsideTheLimits(t *testing.T) {
	for _, p := range []password.Params{
		{Memory: 2 << 30, Iterations: 1, Parallelism: 1},
		{Memory: 64 << 10, Iterations: 0, Parallelism: 1},
		{Memory: 64 << 10, Iterations: 65, Parallelism: 1},
		{Memory: 64<<10 + 1, Iterations: 1, Parallelism: 1},
		{Memory: 8 << 10, Iterations: 1, Parallelism: 2},
		{Memory: 1 << 20, Iterations: 1, Parallelism: 17},
	} {
		if phc, err := password.Inline(p).Hash(context.Background(), right); err == nil {
			t.Errorf("Hash with %+v = %q, want an error", p, phc)
		}
		if _, err := password.NewPool(password.Options{Params: p, Command: noWorker}); err == nil {
			t.Errorf("NewPool with %+v gave a pool, want an error", p)
		}
	}
}

func TestValidate(t *testing.T) {
	d := password.Default
	for _, c := range []struct {
		name   string
		p      password.Params
		faults []string
	}{
		{"default", d, nil},
		{"the most", password.Params{Memory: password.MaxMemory, Iterations: password.MaxIterations, Parallelism: password.MaxParallelism}, nil},
		{"less memory", password.Params{Memory: d.Memory - 1024, Iterations: 2, Parallelism: 1}, []string{"memory"}},
		{"too much memory", password.Params{Memory: password.MaxMemory + 1024, Iterations: 2, Parallelism: 1}, []string{"memory"}},
		{"part of a KiB", password.Params{Memory: d.Memory + 1, Iterations: 2, Parallelism: 1}, []string{"memory"}},
		{"all at once", password.Params{}, []string{"memory", "iterations", "parallelism"}},
		{"too many of both", password.Params{Memory: d.Memory, Iterations: 65, Parallelism: 17}, []string{"iterations", "parallelism"}},
	} {
		err := c.p.Validate()
		if (err == nil) != (c.faults == nil) {
			t.Errorf("%s: Validate = %v, want faults %v", c.name, err, c.faults)
			continue
		}
		for _, word := range c.faults {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: Validate = %v, want it to name %s", c.name, err, word)
			}
		}
	}
}

func BenchmarkHash(b *testing.B) {
	b.Run("inline", func(b *testing.B) { benchmarkHash(b, password.Inline(password.Default)) })
	b.Run("pool", func(b *testing.B) {
		benchmarkHash(b, mustPool(b, password.Options{Params: password.Default, Command: workerCommand}))
	})
}

func benchmarkHash(b *testing.B, h password.Hasher) {
	for b.Loop() {
		mustHash(b, h, right)
	}
}
