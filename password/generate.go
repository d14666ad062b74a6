package password

import (
	"fmt"
	"io"
)

// alphabet has 32 characters, so that five random bits are one of them without bias. It leaves out
// i, l, o and u, which are read as others or make words.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	generatedGroups = 6
	generatedGroup  = 4 // characters of 5 bits: 120 bits in all
)

// Generate returns a new password of 120 random bits in groups that are easy to read out and type,
// such as k7m2-.... It is strong by its randomness whatever minimum length is set, and needs no
// Policy. The error is random's own.
func Generate(random io.Reader) (string, error) {
	var bits [generatedGroups * generatedGroup]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return "", fmt.Errorf("password: random bytes: %w", err)
	}
	text := make([]byte, 0, len(bits)+generatedGroups)
	for i, b := range bits {
		if i > 0 && i%generatedGroup == 0 {
			text = append(text, '-')
		}
		text = append(text, alphabet[b%byte(len(alphabet))])
	}
	return string(text), nil
}
