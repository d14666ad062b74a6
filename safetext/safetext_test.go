package safetext_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"devicegate/safetext"
)

var texts = []string{
	"", "plain", "Zoë 字", "a\r\nb", "\x1b[2J\x1b[31mred", "\u202egnp.exe", "\u2066x\u2069", "a\u200bb", "\u2028", "\x80\xff", "\x00", "\u009b31m",
	"\x7f", "\ufeff", "\U000e0041", strings.Repeat("字", 300), strings.Repeat("\x80x", 300),
}

// Text that prints stays as it is, to the last byte that fits; a cut falls between characters.
func TestBound(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abc", 2, "ab"}, {"abc", 0, ""}, {"a字", 4, "a字"}, {"a字", 3, "a"}, {"字", 2, ""},
		{"a\nb", 9, "a\uFFFDb"}, {"\xff", 9, "\uFFFD"}, {"\u202e", 9, "\uFFFD"}, {"a b", 9, "a b"}, {"a\u00a0b", 9, "a\uFFFDb"},
	} {
		if got := safetext.Bound(c.in, c.limit); got != c.want {
			t.Errorf("Bound(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

func FuzzBound(f *testing.F) {
	for _, text := range texts {
		f.Add(text, 64)
	}
	f.Fuzz(func(t *testing.T, in string, limit int) {
		limit = max(0, min(limit, 1<<20))
		got := safetext.Bound(in, limit)
		if len(got) > limit || !utf8.ValidString(got) || safetext.Bound(got, limit) != got {
			t.Errorf("Bound(%q, %d) = %q", in, limit, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("Bound(%q, %d) holds %U", in, limit, r)
			}
		}
	})
}
