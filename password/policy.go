package password

import (
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// DefaultMinLength is what NIST SP 800-63B-4 asks of a password that is the only factor.
	DefaultMinLength = 15
	// MaxLength is the longest password, in code points of its normal form.
	MaxLength = 256

	// maxBytes bounds the work before normalisation. A code point of the normal form is at most
	// four code points and 12 bytes when taken apart, so that no password of MaxLength is over it.
	maxBytes = 4096
)

// PolicyError says why a text is not taken as a password, in a sentence for the person who chose
// it. It never repeats the text.
type PolicyError struct{ Detail string }

// Error returns the sentence.
func (e *PolicyError) Error() string { return e.Detail }

// Normalize returns the form in which a password is counted, hashed and compared: Unicode NFC, so
// that an accent typed as one character on one keyboard and as two on another is one password.
// Nothing else is changed: spaces, control characters and NUL count like any other character.
// The error is a *PolicyError: invalid UTF-8, or more than MaxLength code points.
func Normalize(password string) (string, error) {
	if len(password) > maxBytes {
		return "", tooLong()
	}
	if !utf8.ValidString(password) {
		return "", &PolicyError{"The password is not valid UTF-8 text."}
	}
	normal := norm.NFC.String(password)
	if utf8.RuneCountInString(normal) > MaxLength {
		return "", tooLong()
	}
	return normal, nil
}

func tooLong() error {
	return &PolicyError{fmt.Sprintf("The password is too long: the maximum is %d characters.", MaxLength)}
}

// Policy is what a new password must meet: length, and that it is none of those that are tried first.
// It asks for no mixture of characters and no regular change, which NIST SP 800-63B-4 forbids to ask
// for.
type Policy struct {
	MinLength int // code points; 0 or less is DefaultMinLength
}

// Check returns nil for a password that may be set, else a *PolicyError. The password must be none of
// the texts that somebody would think of for this account, such as the name of its user and of the
// service, nor little more than one. It is for new passwords: an old one signs in also after the
// minimum was raised.
func (p Policy) Check(password string, about ...string) error {
	minimum := p.MinLength
	if minimum <= 0 {
		minimum = DefaultMinLength
	}
	normal, err := Normalize(password)
	if err != nil {
		return err
	}
	if utf8.RuneCountInString(normal) < minimum {
		return &PolicyError{fmt.Sprintf("The password is too short: the minimum is %d characters. "+
			"It is the only proof of who signs in, so it has to be long: several words that do not belong together are easy to keep in mind.", minimum)}
	}
	return guessable(normal, about)
}
