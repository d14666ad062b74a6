package password_test

import (
	"errors"
	"strings"
	"testing"

	"devicegate/password"
)

const (
	saltText = "AAECAwQFBgcICQoLDA0ODw"
	keyText  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	goodPHC  = "$argon2id$v=19$m=19456,t=2,p=1$" + saltText + "$" + keyText
)

// with returns goodPHC with one place changed.
func with(old, new string) string { return strings.Replace(goodPHC, old, new, 1) }

var malformedPHC = map[string]string{
	"empty":                  "",
	"no hash at all":         "!",
	"leading space":          " " + goodPHC,
	"trailing newline":       goodPHC + "\n",
	"a sixth part":           goodPHC + "$",
	"text before":            "x" + goodPHC,
	"no version":             with("$v=19", ""),
	"older version":          with("v=19", "v=16"),
	"argon2i":                with("argon2id", "argon2i"),
	"capitals":               with("argon2id", "Argon2id"),
	"memory of 2 TiB":        with("m=19456", "m=2147483648"),
	"memory over 1 GiB":      with("m=19456", "m=1048577"),
	"memory over 64 bits":    with("m=19456", "m=18446744073709551617"),
	"memory under a lane's":  with("m=19456", "m=7"),
	"memory of none":         with("m=19456", "m=0"),
	"memory negative":        with("m=19456", "m=-19456"),
	"memory with a plus":     with("m=19456", "m=+19456"),
	"memory with zeros":      with("m=19456", "m=019456"),
	"memory in hexadecimal":  with("m=19456", "m=0x4c00"),
	"memory with underscore": with("m=19456", "m=19_456"),
	"memory empty":           with("m=19456", "m="),
	"iterations of none":     with("t=2", "t=0"),
	"iterations over 64":     with("t=2", "t=65"),
	"parallelism of none":    with("p=1", "p=0"),
	"parallelism over 16":    with("p=1", "p=17"),
	"parallelism of 257":     with("p=1", "p=257"),
	"another order":          with("m=19456,t=2", "t=2,m=19456"),
	"a member twice":         with("t=2", "t=2,t=2"),
	"a member more":          with("p=1", "p=1,data=x"),
	"a member less":          with(",p=1", ""),
	"short salt":             with(saltText, saltText[:21]),
	"long salt":              with(saltText, saltText+"AA"),
	"salt empty":             with(saltText, ""),
	"salt with spare bits":   with(saltText, saltText[:21]+"x"),
	"salt with a newline":    with(saltText, saltText[:20]+"\n"+saltText[20:21]),
	"short key":              with(keyText, keyText[:42]),
	"key empty":              with(keyText, ""),
	"key with spare bits":    with(keyText, keyText[:42]+"9"),
	"key padded":             goodPHC + "=",
	"key in the URL form":    with(keyText, "-"+keyText[1:]),
	"much too long":          goodPHC + strings.Repeat("A", 1<<20),
}

func TestParse(t *testing.T) {
	for _, good := range []string{
		goodPHC,
		with("m=19456,t=2,p=1", "m=1048576,t=64,p=16"),
		with("m=19456,t=2,p=1", "m=8,t=1,p=1"),
	} {
		if got, err := password.Canonical(good); err != nil || got != good {
			t.Errorf("parse(%q) = %q, %v, want it unchanged", good, got, err)
		}
	}
	for name, bad := range malformedPHC {
		if bad == goodPHC {
			t.Fatalf("%s: the case changes nothing", name)
		}
		_, err := password.Canonical(bad)
		if !errors.Is(err, password.ErrMalformed) {
			t.Errorf("%s: parse error %v, want ErrMalformed", name, err)
			continue
		}
		if strings.Contains(err.Error(), keyText[:20]) {
			t.Errorf("%s: the error %q repeats the hash", name, err)
		}
	}
}

// A damaged record may have any length; no work may depend on it.
func TestParseReadsNoLongString(t *testing.T) {
	long := strings.Repeat("$", 1<<20)
	if _, err := password.Canonical(long); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("parse of a megabyte: %v, want too long", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(goodPHC)
	for _, bad := range malformedPHC {
		if len(bad) < 1000 {
			f.Add(bad)
		}
	}
	f.Fuzz(func(t *testing.T, phc string) {
		got, err := password.Canonical(phc)
		if err == nil && got != phc {
			t.Errorf("parse(%q) is accepted, and means %q", phc, got)
		}
		if err != nil && !errors.Is(err, password.ErrMalformed) {
			t.Errorf("parse(%q) error %v, want ErrMalformed", phc, err)
		}
	})
}
