package journal

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// bound makes text of a client fit for a log: at most limit bytes, and no character that could break a
// line, colour a terminal or turn the reading direction, whatever the writer behind it does.
func bound(s string, limit int) string {
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

// withoutQuery cuts the query off, which may carry tokens.
func withoutQuery(path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return path[:i]
	}
	return path
}

func uid(id uuid.UUID) string {
	if id == (uuid.UUID{}) {
		return ""
	}
	return id.String()
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
