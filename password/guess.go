package password

import "strings"

// advice is the end of every refusal of a password that is easy to guess.
const advice = " Digits and signs at the end do not help. Choose several words that do not belong together, or let a password manager make one."

// guessable returns nil, or why a password would be among the first that somebody tries: it is, but
// for letter case, separators and what stands behind it, one of the common ones, one of the texts
// that somebody would think of for this account, a repetition of one, or a mere pattern. A password
// that only contains such a word is none. The text must have passed Normalize, which bounds the
// cost.
func guessable(normal string, about []string) error {
	folded := fold(normal)
	names := namesOf(about)
	for _, word := range words(folded) {
		if names[word] {
			return &PolicyError{"The password is the name of the account or of this service, or little more, which is tried first." + advice}
		}
		if common()[word] {
			return &PolicyError{"This is one of the passwords that are tried first, or little more than one." + advice}
		}
	}
	if isPattern(folded) {
		return &PolicyError{"A few characters again and again, rows of the keyboard and runs such as abcd or 4321 are tried first." + advice}
	}
	return nil
}

// isPattern says whether a password is a mere shape: as it was typed, without separators, or without
// what stands behind it. The shorter forms count only where they are long enough to have been meant
// as a password: of "a-9-#-!-)..." nothing but "a9" is left.
func isPattern(folded string) bool {
	squeezed := squeeze(folded)
	for i, form := range []string{folded, squeezed, core(squeezed)} {
		text := []rune(form)
		if i > 0 && len(text) < shortestShape {
			continue
		}
		if isRepetition(text) || isRuns(text) {
			return true
		}
	}
	return false
}

// words returns what a password comes down to, at most twelve texts: itself without separators at the
// ends, or anywhere, each with and without digits behind it, whole and as the group that it repeats.
func words(folded string) []string {
	var words []string
	for _, form := range []string{trim(folded), squeeze(folded)} {
		for _, text := range []string{form, core(form)} {
			runes := []rune(text)
			group := string(runes[:period(runes)])
			words = append(words, text, core(group), group)
		}
	}
	return words
}

// namesOf returns what the texts come down to in which a password is compared with them. Of an
// address of mail the part in front of the @ is a name as well.
func namesOf(about []string) map[string]bool {
	names := make(map[string]bool)
	for _, text := range about {
		if len(text) > maxBytes {
			continue // longer than any password
		}
		local, _, _ := strings.Cut(text, "@")
		for _, form := range []string{text, local} {
			name := squeeze(fold(form))
			names[name], names[core(name)] = true, true
		}
	}
	// What is left of a name of digits must not make every password of digits a name.
	delete(names, "")
	return names
}
