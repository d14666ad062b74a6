package db_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"devicegate/db"
	"devicegate/db/dbtest"
)

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{
		"":             "",
		"a":            "b",
		"w/":           "w0",
		"a\xff":        "b",
		"a\xfe\xff":    "a\xff",
		"\xff\xff\xff": "",
	} {
		if got := db.PrefixEnd(prefix); got != want {
			t.Errorf("%q: got %q, want %q", prefix, got, want)
		}
	}
}

// A key lies in the range of a prefix exactly if it starts with it.
func TestPrefixEndIsExact(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune{0, 'a', 0x7f, 0xff}), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		prefix, key := bytesOf(text.Draw(t, "prefix")), bytesOf(text.Draw(t, "key"))
		end := db.PrefixEnd(prefix)
		inside := key >= prefix && (end == "" || key < end)
		if inside != strings.HasPrefix(key, prefix) {
			t.Errorf("prefix %q ends at %q: key %q inside %v", prefix, end, key, inside)
		}
	})
}

// bytesOf makes one byte of each rune.
func bytesOf(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func TestEachStopsAtAnError(t *testing.T) {
	s := dbtest.New(t)
	for _, key := range []string{"p/1", "p/2", "p/3"} {
		dbtest.MustPut(t, s, key, "v")
	}
	enough, seen := errors.New("enough"), 0
	_, err := db.Each(t.Context(), s, "p/", func(db.Entry) error {
		if seen++; seen == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != 2 {
		t.Errorf("got %v after %d entries, want %v after 2", err, seen, enough)
	}
}
