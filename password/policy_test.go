package password_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"pgregory.net/rapid"

	"devicegate/password"
)

func TestPolicy(t *testing.T) {
	a := strings.Repeat
	// times is r again and again, of n characters in all, that is no pattern: only their number counts.
	times := func(r string, n int) string { return "fig" + a(r, n-6) + "nut" }
	for _, c := range []struct {
		name    string
		minimum int
		text    string
		want    []string // words of the refusal; none: taken
	}{
		{"none", 0, "", []string{"minimum is 15", "only proof", "several words"}},
		{"one", 0, "a", []string{"minimum is 15"}},
		{"one under", 0, times("a", 14), []string{"minimum is 15"}},
		{"the minimum", 0, times("a", 15), nil},
		{"another minimum", 20, times("a", 19), []string{"minimum is 20"}},
		{"a lower minimum", 8, times("a", 8), nil},
		{"a negative minimum is the default", -1, times("a", 14), []string{"minimum is 15"}},
		{"code points, not bytes", 0, times("\U0001f40e", 15), nil},
		{"code points, not bytes, one under", 0, times("\U0001f40e", 14), []string{"minimum is 15"}},
		{"decomposed counts as composed", 0, times("e\u0301", 14), []string{"minimum is 15"}},
		{"spaces and controls count", 0, " \t\x00 kettle jam ", nil},
		{"64", 0, times("a", 64), nil},
		{"73", 0, times("a", 73), nil},
		{"the maximum", 0, times("\U0001f40e", 256), nil},
		{"the maximum, decomposed", 0, times("\u03b1\u0313\u0300\u0345", 256), nil},
		{"one over", 0, times("a", 257), []string{"maximum is 256"}},
		{"a megabyte", 0, a("a", 1<<20), []string{"maximum is 256"}},
		{"a megabyte is not even read", 0, a("\xff", 1<<20), []string{"maximum is 256"}},
		{"invalid UTF-8", 0, times("a", 20) + "\xc3", []string{"UTF-8"}},
		{"a surrogate in UTF-8", 0, times("a", 20) + "\xed\xa0\x80", []string{"UTF-8"}},
	} {
		err := password.Policy{MinLength: c.minimum}.Check(c.text)
		if c.want == nil {
			if err != nil {
				t.Errorf("%s: Check = %v, want nil", c.name, err)
			}
			continue
		}
		var refused *password.PolicyError
		if !errors.As(err, &refused) {
			t.Errorf("%s: Check = %v, want a PolicyError", c.name, err)
			continue
		}
		for _, word := range c.want {
			if !strings.Contains(refused.Detail, word) {
				t.Errorf("%s: Check = %q, want it to say %q", c.name, refused.Detail, word)
			}
		}
	}
}

// What was normalised once stays as it is: what is hashed at sign-up is hashed at every sign-in.
func TestNormalizeIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		once, err := password.Normalize(text)
		if err != nil {
			return
		}
		if !utf8.ValidString(once) || utf8.RuneCountInString(once) > password.MaxLength {
			t.Fatalf("Normalize(%q) = %q, over the limits", text, once)
		}
		if twice, err := password.Normalize(once); err != nil || twice != once {
			t.Fatalf("Normalize(%q) = %q, and again %q, %v", text, once, twice, err)
		}
	})
}

func TestGenerate(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){5}$`)
	seen := make(map[string]bool)
	for range 100 {
		text, err := password.Generate(rand.Reader)
		if err != nil || !form.MatchString(text) || seen[text] {
			t.Fatalf("Generate = %q, %v, want a new one in six groups of four", text, err)
		}
		seen[text] = true
		if err := (password.Policy{}).Check(text); err != nil {
			t.Fatalf("Check(Generate()) = %v", err)
		}
	}
	// Every one of the 24 characters has all 32 values: 120 bits.
	var values [24]map[byte]bool
	for b := range 256 {
		text, err := password.Generate(bytes.NewReader(bytes.Repeat([]byte{byte(b)}, 24)))
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range []byte(strings.ReplaceAll(text, "-", "")) {
			if values[i] == nil {
				values[i] = make(map[byte]bool)
			}
			values[i][c] = true
		}
	}
	for i, v := range values {
		if len(v) != 32 {
			t.Errorf("character %d takes %d values, want 32", i, len(v))
		}
	}
	if text, err := password.Generate(io.LimitReader(rand.Reader, 23)); err == nil {
		t.Errorf("Generate with too little randomness = %q, want an error", text)
	}
	if text, err := password.Generate(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Generate without randomness = %q, %v, want its error", text, err)
	}
}
