package passwordtest_test

import (
	"context"
	"errors"
	"testing"

	"devicegate/password"
	"devicegate/password/passwordtest"
)

func TestHasher(t *testing.T) {
	var h passwordtest.Hasher
	ctx := context.Background()
	phc, err := h.Hash(ctx, "correct horse battery")
	if err != nil || password.NeedsRehash(phc, passwordtest.Params) {
		t.Fatalf("Hash = %q, %v, want a PHC string of passwordtest.Params", phc, err)
	}
	for _, c := range []struct {
		name, text, phc string
		want            bool
		err             error
	}{
		{"right", "correct horse battery", phc, true, nil},
		{"wrong", "correct horse batterz", phc, false, nil},
		{"nobody", "correct horse battery", "", false, nil},
		{"nobody with a refused text", "\xff", "", false, nil},
		{"malformed", "correct horse battery", "x", false, password.ErrMalformed},
	} {
		if got, err := h.Verify(ctx, c.text, c.phc); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: Verify = %v, %v, want %v, %v", c.name, got, err, c.want, c.err)
		}
	}
	if hashed, verified, dummies := h.Calls(); hashed != 1 || verified != 5 || dummies != 2 {
		t.Errorf("Calls = %d, %d, %d, want 1, 5, 2", hashed, verified, dummies)
	}
}

func TestErrIsNeverAMatch(t *testing.T) {
	h := passwordtest.Hasher{Err: password.ErrBusy}
	if got, err := h.Verify(context.Background(), "x", "x"); got || !errors.Is(err, password.ErrBusy) {
		t.Errorf("Verify = %v, %v, want false, ErrBusy", got, err)
	}
	if _, err := h.Hash(context.Background(), "x"); !errors.Is(err, password.ErrBusy) {
		t.Errorf("Hash error = %v, want ErrBusy", err)
	}
}
