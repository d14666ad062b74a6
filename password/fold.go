package password

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// fold returns the form in which two texts are alike to somebody who guesses: without regard to
// letter case and to compatibility forms such as full-width letters. Only for comparing: what is
// hashed is the password as it was typed.
func fold(text string) string {
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(text)))
}

// isSeparator says whether a character is a space, a sign of punctuation or another sign of ASCII.
// Symbols beyond ASCII are none: a row of emoji is hard to guess.
func isSeparator(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsPunct(r) || r < unicode.MaxASCII && unicode.IsSymbol(r)
}

// trim takes the separators off both ends.
func trim(folded string) string { return strings.TrimFunc(folded, isSeparator) }

// squeeze takes the separators out: "pass-word, pass-word" is "passwordpassword".
func squeeze(folded string) string {
	return strings.Map(func(r rune) rune {
		if isSeparator(r) {
			return -1
		}
		return r
	}, folded)
}

// core takes off the digits and separators that people put behind a word to make it longer.
func core(folded string) string {
	return strings.TrimRightFunc(folded, func(r rune) bool { return unicode.IsDigit(r) || isSeparator(r) })
}

// period returns the length of the shortest group that a text is made of by writing the group again
// and again; the last time may be cut short. A text that is no repetition is its own group.
func period(text []rune) int {
	if len(text) == 0 {
		return 0
	}
	// border[i] is the length of the longest proper prefix of text[:i+1] that is also its suffix.
	border := make([]int, len(text))
	for i, b := 1, 0; i < len(text); i++ {
		for b > 0 && text[i] != text[b] {
			b = border[b-1]
		}
		if text[i] == text[b] {
			b++
		}
		border[i] = b
	}
	return len(text) - border[len(text)-1]
}
