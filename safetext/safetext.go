// Package safetext makes text that a client chose fit for a log, a terminal and a record: bounded, on one
// line, and unable to colour a terminal or to turn the reading direction, whatever the writer behind it does.
package safetext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bound returns at most limit bytes of s as valid UTF-8. Every character that does not print becomes U+FFFD;
// a cut falls between characters.
func Bound(s string, limit int) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = 0x20 <= s[i] && s[i] < 0x7F
	}
	if !clean {
		s = strings.Map(visible, strings.ToValidUTF8(s, "\uFFFD"))
	}
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

func visible(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return '\uFFFD'
}
