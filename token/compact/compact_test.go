package compact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"devicegate/token/compact"
)

const depth = 4

func TestSplit(t *testing.T) {
	for raw, want := range map[string]struct {
		parts [3]string
		ok    bool
	}{
		"a.b.c":   {[3]string{"a", "b", "c"}, true},
		"a.b.c.d": {[3]string{"a", "b", "c.d"}, true}, // no base64url
		".b.c":    {[3]string{"", "b", "c"}, true},
		"..c":     {[3]string{"", "", "c"}, true},
		"a..c":    {[3]string{"a", "", "c"}, true},
		"...":     {[3]string{"", "", "."}, true},
		"a.b.":    {[3]string{"a", "b", ""}, false},
		"a.b":     {[3]string{"a", "b", ""}, false},
		"a":       {[3]string{"a", "", ""}, false},
		"..":      {[3]string{}, false},
		"":        {[3]string{}, false},
	} {
		header, claims, signature, ok := compact.Split(raw)
		if got := [3]string{header, claims, signature}; got != want.parts || ok != want.ok {
			t.Errorf("%q: %q, %v", raw, got, ok)
		}
	}
}

func TestDecode(t *testing.T) {
	for part, want := range map[string]string{"": "", "AA": "\x00", "AAA": "\x00\x00", "AAAA": "\x00\x00\x00", "_-8": "\xff\xef", "YQ": "a"} {
		if got, ok := compact.Decode(part); !ok || string(got) != want {
			t.Errorf("%q: %q, %v", part, got, ok)
		}
	}
	for _, part := range []string{
		"A", "AAAAA", "YR", "YS", "YX", "AAB", "AAC", "AAD", "YQ=", "YQ==", "Y Q", " YQ", "YQ ", "Y\nQ", "Y\rQ", "YQ\n", "\r\nYQ", "YQ\x00", "+/8", "YQ.", ".YQ", "Y%51", "\ufeffYQ", "ＹＱ", "YQ\xff", "=", "\n",
	} {
		if got, ok := compact.Decode(part); ok {
			t.Errorf("%q: %q", part, got)
		}
	}
}

func TestObject(t *testing.T) {
	nested := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}" }
	for _, good := range []string{
		`{}`, `{ }`, "{\n}", `{"a":1}`, `{"a":{"a":1},"b":{"a":1}}`, `{"":1}`, `{"a":"\ud83d\ude00"}`, `{"a":"\u0000"}`, `{"a":"[[[[[[[[{{{{"}`, `{"a":"\\","b":"\"[[[[[["}`, `{"a":1e400}`, `{"a":-0}`, `{"A":1,"a":2}`,
		nested(depth), `{"a":[[[]]],"b":[[[]]]}`, `{"a":{"b":{"c":{}}}}`,
	} {
		if !compact.Object([]byte(good), depth) {
			t.Errorf("%s: refused", good)
		}
	}
	for _, bad := range []string{
		``, ` `, `{`, `}`, `null`, `[]`, `"a"`, `1`, ` {}`, `{} `, "{}\n", "\ufeff{}", `{}{}`, `{},{}`, `{}x}`, `{"a":1}{"b":2}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{'a':1}`, `{"a":01}`, `{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":NaN}`,
		`{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `{"a":{"b":1,"b":1}}`, `{"a":[{"b":1,"b":1}]}`, `{"a":"\ud800"}`, `{"a":"\udc00\ud800"}`, `{"\ud800":1}`, "{\"a\":\"\xff\"}", "{\"\xc0\x80\":1}", "{\"a\":\"\xed\xa0\x80\"}",
		"{\"a\":\"\n\"}", "{\"a\":\"\x00\"}", `{"a":"\x41"}`, `{"a":1/**/}`, "{\"a\":\u00a01}", `{"a":"}`, `{"a":"\"}`,
		nested(depth + 1), `{"a":{"b":{"c":{"d":{}}}}}`, `{"a":"\"","b":[[[[]]]]}`, `{"a":"]]]]","b":[[[[]]]]}`, `{"a":]]]],"b":[[[[]]]]}`, strings.Repeat(`{"a":`, 100_000) + "}", `{"a":` + strings.Repeat("[", 100_000) + "}",
	} {
		if compact.Object([]byte(bad), depth) {
			t.Errorf("%.60s: accepted", bad)
		}
	}
}

// surrogates are escapes that may stand for half a character, which encoding/json takes.
var surrogates = regexp.MustCompile(`\\u[dD][89a-fA-F]`)

// FuzzObject: an object is one to encoding/json too, without duplicate members and as shallow as demanded; and
// what encoding/json takes is refused for those reasons alone.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,{"b":"\ud83d\ude00"}]}`, `{"a":1,"a":2}`, `{"a":"\"]","b":[[[[]]]]}`, ` {}`, "{\"a\":\"\xff\"}", `{"a":1e400}`, `{"a":{"b":1,"\u0062":2}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		strict := json.Valid(b) && utf8.Valid(b) && bytes.HasPrefix(b, []byte("{")) && bytes.HasSuffix(b, []byte("}"))
		if strict {
			deepest, twice := shape(t, b)
			strict = deepest <= depth && !twice
		}
		got := compact.Object(b, depth)
		if got && !strict || strict && !got && !surrogates.Match(b) {
			t.Errorf("%q: %v", b, got)
		}
	})
}

// shape says how deep a JSON value is nested, and whether an object in it has a member twice.
func shape(t *testing.T, b []byte) (deepest int, twice bool) {
	t.Helper()
	type level struct {
		names map[string]bool // nil for an array
		value bool            // a value comes next
	}
	var open []level
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	for {
		next, err := d.Token()
		if errors.Is(err, io.EOF) {
			return deepest, twice
		}
		if err != nil {
			t.Fatal(err)
		}
		if delim, ok := next.(json.Delim); ok && (delim == ']' || delim == '}') {
			open = open[:len(open)-1]
			continue
		}
		if top := len(open) - 1; top >= 0 && open[top].names != nil {
			if name, ok := next.(string); ok && !open[top].value {
				twice = twice || open[top].names[name]
				open[top].names[name], open[top].value = true, true
				continue
			}
			open[top].value = false
		}
		if delim, ok := next.(json.Delim); ok {
			l := level{}
			if delim == '{' {
				l.names = map[string]bool{}
			}
			open = append(open, l)
			deepest = max(deepest, len(open))
		}
	}
}

// FuzzDecode: what is decoded is written in one way only, and what has that spelling is decoded.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "AA", "YR", "YQ==", "Y\nQ", "-_-_"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, part string) {
		decoded, ok := compact.Decode(part)
		if ok && base64.RawURLEncoding.EncodeToString(decoded) != part {
			t.Errorf("%q is another spelling of %x", part, decoded)
		}
		if lenient, err := base64.RawURLEncoding.DecodeString(part); !ok && err == nil && base64.RawURLEncoding.EncodeToString(lenient) == part {
			t.Errorf("%q is refused", part)
		}
	})
}
