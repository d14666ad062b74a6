package login_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"devicegate/login"
)

// Letters whose cases are no plain pair. Each row is one account, and no two rows are the same one.
var foldedNames = [][]string{
	{"diyar", "DIYAR", "Diyar", "ⅾⅰyar"},
	{"di\u0307yar", "dİyar", "Dİyar", "DI\u0307YAR"}, // the Turkish İ is an i with a dot of its own
	{"dıyar", "Dıyar"},                               // and the ı without one is no i
	{"strasse", "straße", "STRAẞE", "ſtraſſe", "STRASSE", "straſse"},
	{"kelvin", "\u212aelvin", "KELVIN"}, // the sign of the unit
	{"\u212bngström", "Ångström", "ångström", "A\u030aNGSTRO\u0308M"},
	{"oﬃce", "office", "oﬀice", "ofﬁce", "OFFICE"},
	{"ﬅar", "ﬆar", "star", "ſtar"},
	{"ŉa", "ʼna", "ʼNA"},
	{"ǆep", "ǅep", "Ǆep", "džep", "DŽEP"},
	{"µ", "μ", "Μ"}, // micro sign and Greek letter
	{"σοφος", "ΣΟΦΟΣ", "σοφοσ"},
	{"ᾳδω", "ᾼΔΩ", "αιδω", "ΑΙΔΩ"},
	{"և", "եւ"},
	{"ꭰꮃ", "ᎠᎳ"}, // Cherokee folds to its capitals
}

// However a name's letters are cased, it is one account with one lock, or another account with a lock of its own.
func TestFoldedNames(t *testing.T) {
	g := newGate(t, noLimit).locking(t)
	for _, names := range foldedNames {
		g.user(t, names[0])
	}
	for i, names := range foldedNames {
		own, err := g.Users.ByName(t.Context(), names[0])
		if err != nil || own.Name != names[0] {
			t.Errorf("%q leads to %q, %v: two rows are one account", names[0], own.Name, err)
		}
		for _, name := range names {
			if got, err := g.Users.ByName(t.Context(), name); err != nil || got.ID != own.ID {
				t.Errorf("%+q leads to %q, %v, want %q", name, got.Name, err, own.Name)
			}
		}
		for n := range 5 {
			g.guess(t, 1, names[n%len(names)], "192.0.2.7")
		}
		for other, theirs := range foldedNames {
			if other != i {
				theirs = theirs[:1]
			}
			for _, name := range theirs {
				_, err := g.tryFrom(t, name, secret, "192.0.2.7")
				var wait *login.WaitError
				if locked := errors.As(err, &wait); locked != (other <= i) {
					t.Fatalf("after guesses at %q %+q is locked: %v", names[0], name, locked)
				}
			}
		}
	}
}

// Folding a folded name changes nothing, and neither does changing the case of any letter that has a plain pair, or
// putting an accent behind it.
func TestFoldingIsStable(t *testing.T) {
	letters := 0
	for r := range rune(unicode.MaxRune + 1) {
		plain := unicode.SimpleFold(r) == r && norm.NFKC.String(string(r)) == string(r) && !unicode.Is(unicode.Mn, r)
		if plain || unicode.In(r, unicode.Han, unicode.Hangul) || !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) {
			continue // it folds to itself
		}
		letters++
		for _, name := range []string{string(r), "a" + string(r), string(r) + "\u0345", string(r) + "\u0301", "\u1fb7" + string(r)} {
			once := login.FoldName(name)
			if twice := login.FoldName(once); twice != once {
				t.Errorf("%+q folds to %+q, and that to %+q", name, once, twice)
			}
			if r == 'ı' || r == 'İ' || r == '\u0345' {
				continue // the other cases of the first two belong to the plain i, and a mark alone has none
			}
			for how, other := range map[string]string{"upper": strings.ToUpper(name), "lower": strings.ToLower(name), "title": strings.ToTitle(name)} {
				if got := login.FoldName(other); got != once {
					t.Errorf("%s case of %+q is %+q, which folds to %+q instead of %+q", how, name, other, got, once)
				}
			}
		}
	}
	if letters < 5_000 {
		t.Errorf("%d letters were tried", letters)
	}
}
