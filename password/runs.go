package password

import "slices"

// tracks are the orders in which people let a finger run, each forwards, backwards and round. In a
// track no character stands twice.
var tracks = func() (tracks [][]rune) {
	for _, track := range []string{
		"1234567890",
		"abcdefghijklmnopqrstuvwxyz",
		"абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
		"qwertyuiop", "asdfghjkl", "zxcvbnm", // rows: English,
		"qwertzuiopü", "asdfghjklöä", "yxcvbnm", // German,
		"azertyuiop", "qsdfghjklm", "wxcvbn", // French,
		"йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю", // Russian
		"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", // columns, with and without digits,
		"qazwsxedcrfvtgbyhnujmikolp",
		"1q2w3e4r5t6y7u8i9o0p", // two rows in turn,
		"q1w2e3r4t5y6u7i8o9p0",
		"147258369", // the keypad,
		"!@#$%^&*()",
	} {
		tracks = append(tracks, []rune(track))
	}
	return tracks
}()

const (
	shortestRun   = 3 // characters; "abc" and "123" are runs, any two characters would be too many things
	largestGroup  = 7 // characters; one less than anybody may choose as a password
	shortestShape = 8 // characters that have to be left before a form of the password is judged by its shape
)

// isRepetition says whether a text is nothing but one short group again and again, or one or two
// characters held down.
func isRepetition(text []rune) bool {
	p := period(text)
	return p <= largestGroup && len(text) >= 2*p || len(slices.Compact(slices.Clone(text))) <= 2
}

// isRuns says whether a text is nothing but runs along the tracks, one behind the other. A character
// that is held down counts once: "112233" runs like "123".
func isRuns(text []rune) bool {
	rest := slices.Compact(slices.Clone(text))
	for len(rest) > 0 {
		n := longestRun(rest)
		if n < shortestRun {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// longestRun returns the length of the longest run that a text begins with.
func longestRun(text []rune) int {
	longest := 0
	for _, track := range tracks {
		if start := slices.Index(track, text[0]); start >= 0 {
			longest = max(longest, follow(text, track, start, 1), follow(text, track, start, len(track)-1))
		}
	}
	return longest
}

// follow returns how many characters of text follow a track from start in steps of the given size,
// round its end.
func follow(text, track []rune, start, step int) int {
	for i, r := range text {
		if track[(start+i*step)%len(track)] != r {
			return i
		}
	}
	return len(text)
}
