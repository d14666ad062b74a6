package login_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"devicegate/login"
)

// All spellings of a row are one account: the first is created, the others find it and cannot be made
// beside it.
var sameNames = [][]string{
	{"alice", "Alice", "ALICE", "ａｌｉｃｅ", "ＡＬＩＣＥ", " alice ", "alice\u00a0", "\talice\r\n", "al\u200bice", "\ufeffalice", "alice\x00", "a\u00adlice", "\u202ealice"},
	{"Zoë", "zoë", "ZOË", "Zoe\u0308", "zoe\u200b\u0308", "Ｚｏë"},
	{"anna lee", "Anna  Lee", "anna\u3000lee", "anna \u00a0 lee", "  ANNA LEE"},
	{"Straße", "STRASSE", "strasse"},
	{"Ὀδυσσεύς", "ὀδυσσεύσ", "ὈΔΥΣΣΕΎΣ"},
	{"ﬁona", "fiona", "FIONA"},
	{"①", "1"},
	invisibly("dora"),
}

// invisible are characters that nobody sees: controls of format, variation selectors, fillers, a blank that is
// a letter, and what is not assigned or not for exchange.
var invisible = []rune("\u200b\u200d\ufe0f\u034f\u3164\u115f\uffa0\u180b\u2800\U000e0100\u17b4\u2065\ufff9\u180e\ue000")

// invisibly returns name, and what looks like it.
func invisibly(name string) []string {
	names := []string{name}
	for _, r := range invisible {
		names = append(names, name+string(r), name[:2]+string(r)+name[2:])
	}
	return names
}

func TestSpellingsAreOneAccount(t *testing.T) {
	g := newGate(t, noLimit)
	for _, names := range sameNames {
		u := g.user(t, names[0])
		if u.Name != names[0] {
			t.Errorf("%q is stored as %q", names[0], u.Name)
		}
		for _, name := range names {
			if got, err := g.Users.ByName(t.Context(), name); err != nil || got.ID != u.ID {
				t.Errorf("ByName(%q) = %q, %v, want %q", name, got.Name, err, u.Name)
			}
			if _, err := g.trySignIn(name); err != nil {
				t.Errorf("%q cannot sign in: %v", name, err)
			}
			var bad *login.InvalidError
			if _, err := create(t.Context(), g.Users, name, nil, ""); !errors.Is(err, login.ErrUserExists) && !errors.As(err, &bad) {
				t.Errorf("%q beside %q: %v, want ErrUserExists or InvalidError", name, u.Name, err)
			}
		}
	}
}

func TestDifferentNames(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"alice", "alicе" /* Cyrillic */, "alice1", "al ice", "bob", "", "Zoe", "Zoë", "ſ", "ß"} {
		key := login.NameKey(name)
		if other, taken := seen[key]; taken {
			t.Errorf("%q and %q are one account", name, other)
		}
		seen[key] = name
	}
}

// The key survives what systems on the way do to a name.
func TestNameKeyIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		key := login.NameKey(name)
		for how, spelling := range map[string]string{
			"NFC": norm.NFC.String(name), "NFD": norm.NFD.String(name), "NFKC": norm.NFKC.String(name),
			"spaces around": " " + name + " ", "zero width inside": strings.Join(strings.Split(name, ""), "\u200b"),
		} {
			if got := login.NameKey(spelling); got != key {
				t.Errorf("%s: %+q and %+q are two accounts", how, name, spelling)
			}
		}
	})
}

func TestNamesAndRolesRefused(t *testing.T) {
	long := strings.Repeat("a", 150)
	roles := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprint("r", i))
		}
		return list
	}
	for _, c := range []struct {
		what   string
		name   string
		roles  []string
		member string // empty: accepted
	}{
		{"plain", "alice", []string{"staff"}, ""},
		{"no roles", "alice2", nil, ""},
		{"a space inside", "anna lee", nil, ""},
		{"not Latin", "Ὀδυσσεύς", nil, ""},
		{"150 characters", long, nil, ""},
		{"151 characters", long + "a", nil, "name"},
		{"empty", "", nil, "name"},
		{"only spaces", " \u3000", nil, "name"},
		{"only invisible", "\u200b", nil, "name"},
		{"a leading space", " alice", nil, "name"},
		{"a trailing no-break space", "alice\u00a0", nil, "name"},
		{"NUL", "ali\x00ce", nil, "name"},
		{"a line break", "alice\nRemote-Groups: admin", nil, "name"},
		{"DEL", "alice\x7f", nil, "name"},
		{"a C1 control", "alice\u0085x", nil, "name"},
		{"zero width", "al\u200bice", nil, "name"},
		{"right to left override", "al\u202eice", nil, "name"},
		{"soft hyphen", "al\u00adice", nil, "name"},
		{"line separator", "al\u2028ice", nil, "name"},
		{"paragraph separator", "al\u2029ice", nil, "name"},
		{"not UTF-8", "al\xffice", nil, "name"},
		{"32 roles", "r32", roles(32), ""},
		{"33 roles", "r33", roles(33), "roles"},
		{"33 roles, one twice", "r33t", append(roles(32), "r0"), "roles"},
		{"a role of 64", "r64", []string{strings.Repeat("a", 64)}, ""},
		{"a role of 65", "r65", []string{strings.Repeat("a", 65)}, "roles"},
		{"every character", "rc", []string{"0a._-z"}, ""},
		{"empty role", "re", []string{""}, "roles"},
		{"upper case", "ru", []string{"Staff"}, "roles"},
		{"a comma, which joins roles", "rk", []string{"staff,admin"}, "roles"},
		{"a line break behind", "rl", []string{"staff\n"}, "roles"},
		{"a dot first", "rd", []string{".staff"}, "roles"},
	} {
		t.Run(c.what, func(t *testing.T) {
			g := newGate(t, noLimit)
			_, err := create(t.Context(), g.Users, c.name, c.roles, "")
			var bad *login.InvalidError
			switch {
			case c.member == "" && err != nil:
				t.Errorf("Create = %v, want nil", err)
			case c.member != "" && (!errors.As(err, &bad) || bad.Member != c.member || bad.Detail == ""):
				t.Errorf("Create = %v, want an InvalidError for %s", err, c.member)
			}
			if checked := g.Users.Check(c.name, c.roles); (checked == nil) != (err == nil) {
				t.Errorf("Check = %v, Create = %v", checked, err)
			}
		})
	}
}

// The header that carries name and roles is bounded where they are made: at 1,000 bytes as encoded.
func TestIdentityBytes(t *testing.T) {
	roles := func(bytes int) []string { // joined by commas
		var list []string
		for i := 0; bytes > 0; i++ {
			n := min(bytes, 64)
			if rest := bytes - n; rest == 1 { // no room for a comma and a role
				n--
			}
			list = append(list, fmt.Sprintf("%02d", i)[:min(2, n)]+strings.Repeat("x", max(n-2, 0)))
			bytes -= n + 1
		}
		return list
	}
	for _, c := range []struct {
		name  string
		roles int
		ok    bool
	}{
		{"a", 999, true},
		{"a", 1000, false},
		{strings.Repeat("a", 150), 850, true},
		{strings.Repeat("a", 150), 851, false},
		{strings.Repeat("ë", 150), 100, true}, // two bytes, each of them three in the header
		{strings.Repeat("ë", 150), 101, false},
		{strings.Repeat("漢", 111), 0, true}, // 999
		{strings.Repeat("漢", 111), 1, true},
		{strings.Repeat("漢", 111), 2, false},
		{strings.Repeat("漢", 112), 0, false},
	} {
		list := roles(c.roles)
		if n := len(strings.Join(list, ",")); n != c.roles {
			t.Fatalf("the roles take %d bytes, not %d", n, c.roles)
		}
		g := newGate(t, noLimit)
		_, err := create(context.Background(), g.Users, c.name, list, "")
		if (err == nil) != c.ok {
			t.Errorf("%d bytes of name and %d of roles: %v, want accepted: %v", len(encodeHeader(c.name)), c.roles, err, c.ok)
		}
	}
}
