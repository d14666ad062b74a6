package login

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"devicegate/identity"
)

// Bounds of names and roles. Both end up in one header that nginx must be able to take whole.
const (
	MaxNameLength     = 150 // code points
	MaxRoles          = 32  // of one user
	maxIdentityHeader = 1000
)

// InvalidError refuses an account for one of its members.
type InvalidError struct {
	Member string // name or roles
	Detail string // what is wrong, and what would be right
}

func (e *InvalidError) Error() string { return e.Detail }

func badName(format string, args ...any) error {
	return &InvalidError{Member: "name", Detail: fmt.Sprintf(format, args...)}
}

func badRoles(format string, args ...any) error {
	return &InvalidError{Member: "roles", Detail: fmt.Sprintf(format, args...)}
}

// namePrefix is the root of the records that lead from a name to its user.
const namePrefix = "n/"

var rolePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// nameKey returns the key of the record that holds name. All spellings that a person would take for the
// same name (letter case, full-width letters, composed or not, stray spaces and invisible characters)
// have one key, so that they are one account and one lockout counter (CVE-2025-6004).
func nameKey(name string) string {
	sum := sha256.Sum256([]byte(FoldName(name)))
	return namePrefix + hex.EncodeToString(sum[:]) // hashed, because folding can make a name several times longer
}

// FoldName returns the normalised form of a name: equal for all spellings that have one key. It can be several
// times longer than the name.
func FoldName(name string) string {
	// The invisible goes first: between a letter and its accent it would keep the two from composing.
	visible := strings.Map(func(r rune) rune {
		if !isVisible(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, name)
	folded := norm.NFKC.String(strings.Map(cherokee, cases.Fold().String(norm.NFKC.String(visible))))
	return strings.Join(strings.Fields(folded), " ")
}

// cherokee maps the small Cherokee letters to their capitals, as Unicode's CaseFolding.txt has it. Fold swaps the two, which
// would leave two accounts.
func cherokee(r rune) rune {
	switch {
	case r >= 0xab70 && r <= 0xabbf:
		return r - 0xab70 + 0x13a0
	case r >= 0x13f8 && r <= 0x13fd:
		return r - 8
	}
	return r
}

// ForeignNameKey returns what a name of a user of another issuer is compared with those of local ones by.
func ForeignNameKey(name string) identity.NameKey {
	sum := sha256.Sum256([]byte(FoldName(name)))
	return identity.NameKey(sum[:len(identity.NameKey{})])
}

// brailleBlank is a letter to Unicode and nothing to the eye.
const brailleBlank = '\u2800'

// isVisible reports whether a person can see a character, or the space that it makes: what is not assigned,
// not for exchange, or drawn as nothing (variation selectors, fillers, joiners) makes no other name.
func isVisible(r rune) bool {
	return unicode.IsGraphic(r) && r != brailleBlank &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// nameHash returns the part of a name's key that lockout counters are kept under.
func nameHash(key string) string { return strings.TrimPrefix(key, namePrefix) }

// NameHash returns what lockout counters of any spelling of name are kept under.
func NameHash(name string) string { return nameHash(nameKey(name)) }

// CheckName says what is wrong with a name of a user of another issuer; nil when nothing is. The error is an
// *InvalidError.
func CheckName(name string) error { return checkName(name) }

// checkName refuses a name that could not be shown, or told from another.
func checkName(name string) error {
	switch n := utf8.RuneCountInString(name); {
	case !utf8.ValidString(name):
		return badName("the name is not valid UTF-8")
	case n == 0 || strings.TrimSpace(name) == "":
		return badName("the name is empty")
	case n > MaxNameLength:
		return badName("the name has %d characters, at most %d are allowed", n, MaxNameLength)
	case strings.TrimSpace(name) != name:
		return badName("the name begins or ends with a space")
	}
	for _, r := range name {
		if !isVisible(r) {
			return badName("the name contains the control or invisible character %U", r)
		}
	}
	return nil
}

// checkRoles returns roles without repetitions, in their order, or what is wrong with them.
func checkRoles(roles []string) ([]string, error) {
	if len(roles) > MaxRoles { // as they were sent: so says the API's description
		return nil, badRoles("%d roles, at most %d are allowed", len(roles), MaxRoles)
	}
	unique := make([]string, 0, len(roles))
	for _, role := range roles {
		if !rolePattern.MatchString(role) {
			return nil, badRoles("the role %q is not of the form [a-z0-9][a-z0-9._-]{0,63}", role)
		}
		if !slices.Contains(unique, role) {
			unique = append(unique, role)
		}
	}
	return unique, nil
}

// checkIdentity bounds what the identity headers of the user will measure, where it is made: at the
// check nothing may be cut or dropped.
func checkIdentity(name string, roles []string, encoded func(string) string) error {
	n := len(encoded(name)) + len(strings.Join(roles, ","))
	if n > maxIdentityHeader {
		return badName("the name and the roles take %d bytes in headers, at most %d are allowed: shorten the name or give fewer roles", n, maxIdentityHeader)
	}
	return nil
}
