package password_test

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"devicegate/password"
)

// What a refusal says first, by the kind of password.
const (
	isCommon  = "This is one of the passwords that are tried first"
	isName    = "The password is the name of the account or of this service"
	isPattern = "A few characters again and again"
)

// aboutAlice are the texts that must not be the password of the account in the tables.
var aboutAlice = []string{"Alice.Smith42@mail.example", "devicegate"}

// weakPasswords is the policy for what is tried first, in rows: the kind, then passwords of it.
var weakPasswords = []struct {
	kind  string
	texts []string
}{
	{isCommon, []string{
		"password123456789", "Password2024!!!!!!", "PASSWORD 1 2 3 4 5 6", "  password      ", "-=[password]=-1984-", "p@ssw0rd12345678",
		"P@$$w0rd2025!!!!", "passwordpassword", "PasswordPassword", "password password", "password_password", "Password1Password1",
		"password123password123!", "password-password-2024", "passwordpasswordpass1987", "passwordpasswor", "p.a.s.s.w.o.r.d", "let me in, let me in!", "letmeinletmeinletmein", "sunshinesunshine",
		"1234password1234", "trustno1trustno1", "trustno1 19871987", "test test test test", "I love you so much!!!", "thisismypassword",
		"this is my password", "administrator123", "Dragon1234567890", "changeme-changeme", "Welcome to the jungle", "Fußball12345678",
		"\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44\uff11\uff12\uff13\uff14\uff15\uff16\uff17", // full-width
		"contrasen\u0303a1234567", "CONTRASEÑA20202020", "пароль123456789", "monkey \t1 2 3 4 5 6 7 8 9",
	}},
	{isName, []string{
		"alice.smith42@mail.example", "ALICE.SMITH42@MAIL.EXAMPLE", "Alice Smith 42!!", "alice.smith1234567", "alicesmith2024!!", "alice_smith______",
		"alicesmith42alicesmith42", "Alice Smith Alice Smith", "alicesmithalicesmit", "alicesmith alicesmith 2024", "alice.smith42alice.smith42alice", "devicegate12345",
		"DeviceGate!!!!!!", "device-gate-2026", "devicegatedevicegate",
	}},
	{isPattern, []string{
		"aaaaaaaaaaaaaaa", "AAAAAAAAaaaaaaaa", "               ", "...............", "000000000000000", "🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎",
		"abcabcabcabcabc", "xk7xk7xk7xk7xk7", "abcdefgabcdefga", "q9w7k2mq9w7k2mq", "hahahahahahahaha!", "no no no no no no",
		"aaaaaaaabbbbbbbb", "a!!!!!!!!!!!!!!!", "xk7-xk7-xk7-xk7-20190817",
		"123456789012345", "987654321098765", "012345678901234", "abcdefghijklmnop", "zyxwvutsrqponml", "ABCDEFGHIJKLMNO", "uvwxyzabcdefghi",
		"qwertyuiopasdfgh", "QWERTYUIOPasdfgh", "poiuytrewqlkjhg", "asdfghjklzxcvbnm", "qwertzuiopasdfgh", "azertyuiopqsdfgh",
		"йцукенгшщзхъфывапр", "абвгдеёжзийклмно", "1qaz2wsx3edc4rfv", "zaq1xsw2cde3vfr4", "qazwsxedcrfvtgb", "1q2w3e4r5t6y7u8i", "147258369147258",
		"!@#$%^&*()!@#$%", "abcdefgh12345678", "qwerty123456789", "123abc456xyz789", "1234567890qwerty", "1234-5678-9012-3456", "abc def ghi jkl mno",
		"112233445566778899", "111222333444555", "aabbccddeeffgghh", "qwertyuiop-2024!", "asdfghjkl83746152", "123456654321123456",
	}},
}

// strongPasswords merely contain such words, or look a little like a pattern.
var strongPasswords = []string{
	"correct horse battery staple", "Correct-Horse-Battery-Staple", "correcthorsebatterystaple", "my name is password and i like it",
	"alice smith eats plums", "alice.smith42@mail.example.org is me", "the devicegate stands open", "monkey dragon sunshine password",
	"password blue kettle", "kettle password 1987", "let me into the old mill", "i love you more than plums", "hello, is it me you want?",
	"1234 plums and a kettle", "qwerty is not a word", "abcdefghij kettle 17", "aaaaaaaaaaaaaab kettle", "k7m2p9qzk7m2p9qz!x",
	"bonjour tristesse", "ding dong ding dong", "kettlenk 83746151", "81 27 46 39 05 72 61 94", "9a8#-!-)(&;,/_:?", "password🐎🍎🚗🎹🎲🏀🎯", "🐎🍎🚗🎹🎲🏀🎯🎺🎻🎬🏹🎳🧩🚀🛶",
	"xq!)#(&$-:;?,/_.", "это длинная фраза без смысла", "長い文章は良い暗証になるのです。", "abdeghjkmnpqstu", "135792468013579",
	"password!password?kettle",
}

func TestWeakPasswords(t *testing.T) {
	for _, c := range weakPasswords {
		for _, text := range c.texts {
			err := password.Policy{}.Check(text, aboutAlice...)
			var refused *password.PolicyError
			if !errors.As(err, &refused) || !strings.HasPrefix(refused.Detail, c.kind) {
				t.Errorf("Check(%q) = %v, want %q...", text, err, c.kind)
				continue
			}
			if !strings.Contains(refused.Detail, "several words that do not belong together") {
				t.Errorf("Check(%q) = %q, without a word on what would be better", text, refused.Detail)
			}
		}
	}
}

func TestStrongPasswords(t *testing.T) {
	for _, text := range strongPasswords {
		if err := (password.Policy{}).Check(text, aboutAlice...); err != nil {
			t.Errorf("Check(%q) = %v, want nil", text, err)
		}
	}
}

// A name counts for its own account, and for nobody else's.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		text  string
		about []string
		want  string // the kind of refusal; "" is taken
	}{
		{"bartholomew-2026", nil, ""},
		{"bartholomew-2026", []string{"alice", "devicegate"}, ""},
		{"bartholomew-2026", []string{"alice", "Bartholomew"}, isName},
		{"bartholomew-2026", []string{" bartholomew7 "}, isName},
		{"bartholomew-2026", []string{"bart"}, ""},
		{"bob123456789012", []string{"bob"}, isName},
		{"bobbobbobbobbobX", []string{"bob"}, ""},
		{"bobbobbobbobbob", []string{"bob"}, isName},
		{"471147114711471147114711", []string{"4711"}, isName},
		{"81274639057261", []string{"8127463905"}, ""},
		{"81274639057261", []string{"8127463905", "!!!", "", "@"}, ""},
		{"8127463905-8127463905", []string{"8127463905"}, isName},
		{"ștefănescu-2026", []string{"S\u0326TEFA\u0306NESCU"}, isName},
		{"weißenberger-2026", []string{"WEISSENBERGER"}, isName},
		{"anna.weber", []string{"anna.weber@mail.example"}, isName},
		{"mail.example", []string{"anna.weber@mail.example"}, ""},
		{"kettle of plums", []string{"\xff\xfe", strings.Repeat("\xff", 1<<20)}, ""},
		{"kettle of plums", []string{"Kettle of Plums" + strings.Repeat(" ", 4096)}, ""}, // longer than any password, not looked at
	} {
		err := password.Policy{MinLength: 8}.Check(c.text, c.about...)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("Check(%q, %.60q) = %v, want %q", c.text, c.about, err, c.want)
		}
	}
}

// TestCommonList: every line stands in the form in which passwords are compared, else it would never
// be found, and once.
func TestCommonList(t *testing.T) {
	file, err := os.Open("common.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := make(map[string]bool)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if seen[line] || strings.ContainsAny(line, " \t\r") {
			t.Errorf("%q stands in it twice, or with a space", line)
		}
		seen[line] = true
		for _, text := range []string{line, strings.ToUpper(line), line + "-2026", "  " + line + "!", line + " " + line} {
			if utf8.RuneCountInString(text) < 8 {
				continue
			}
			if err := (password.Policy{MinLength: 8}).Check(text); err == nil || !strings.HasPrefix(err.Error(), isCommon) {
				t.Errorf("Check(%q) = %v, want it to be common", text, err)
			}
		}
	}
	if len(seen) < 300 {
		t.Errorf("%d lines", len(seen))
	}
}

// The longest passwords of the characters that grow most when they are folded.
func TestCheckOfTheLongest(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("\ufdfa", 255) + "x", strings.Repeat("\u0390", 255) + "x", strings.Repeat("ab", 127) + "xy",
		strings.Repeat("a", 255) + "x", strings.Repeat("abc1", 63) + "xyz",
	} {
		_ = password.Policy{}.Check(text, text, text)
	}
}

// swapCase turns the ASCII letters of a text over.
func swapCase(text string) string {
	swapped := []byte(text)
	for i, b := range swapped {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' {
			swapped[i] = b ^ 0x20
		}
	}
	return string(swapped)
}

// FuzzCheck: no text makes Check panic; what it says is the same for every spelling of one password,
// and, where both have a length that is taken, for both letter cases; and it never repeats the text.
func FuzzCheck(f *testing.F) {
	for _, c := range weakPasswords {
		for _, text := range c.texts {
			f.Add(text, "Alice.Smith42@mail.example")
		}
	}
	for _, text := range strongPasswords {
		f.Add(text, "devicegate")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		policy := password.Policy{MinLength: 8}
		want := verdict(policy.Check(text, name))
		if normal, err := password.Normalize(text); err == nil {
			if got := verdict(policy.Check(normal, name)); got != want {
				t.Errorf("%q: %q; normalised: %q", text, want, got)
			}
			if got := verdict(policy.Check(norm.NFD.String(normal), norm.NFD.String(name))); got != want && utf8.ValidString(name) {
				t.Errorf("%q: %q; taken apart: %q", text, want, got)
			}
		}
		swapped := verdict(policy.Check(swapCase(text), swapCase(name)))
		byLength := func(v string) bool { return strings.HasPrefix(v, "The password is too ") }
		if swapped != want && !byLength(want) && !byLength(swapped) {
			t.Errorf("%q for %q: %q; in the other case: %q", text, name, want, swapped)
		}
	})
}

func verdict(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
