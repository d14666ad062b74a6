package authz_test

import (
	"net/url"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"devicegate/authz"
	"devicegate/authz/authztest"
)

// encodings are names as headers carry them. What a backend decodes is the name again.
var encodings = map[string]string{
	"": "", "anna": "anna", "anna smith <a@b>": "anna smith <a@b>", "a,b": "a%2Cb", "100%": "100%25", "%2C": "%252C",
	"Zoë": "Zo%C3%AB", "字": "%E5%AD%97", "a\r\nRemote-User: root": "a%0D%0ARemote-User: root", "\x00\x1f\x7f\x80\xff": "%00%1F%7F%80%FF",
	"~ !": "~ !", "\u202e": "%E2%80%AE",
}

func TestEncodeValue(t *testing.T) {
	for name, want := range encodings {
		if got := authz.EncodeValue(name); got != want {
			t.Errorf("EncodeValue(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzEncodeValue: any value fits a header, and no two values look the same in it.
func FuzzEncodeValue(f *testing.F) {
	for name := range encodings {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := authz.EncodeValue(name)
		for i := range len(got) {
			if got[i] < 0x20 || got[i] > 0x7e || got[i] == ',' {
				t.Fatalf("EncodeValue(%q) = %q holds %#x", name, got, got[i])
			}
		}
		if back, err := url.PathUnescape(got); err != nil || back != name {
			t.Errorf("EncodeValue(%q) = %q, which decodes to %q, %v", name, got, back, err)
		}
	})
}

// Every identity header is set or removed; none is left as the client sent it.
func TestIdentity(t *testing.T) {
	w := authztest.NewWorld(t)
	for _, p := range []authztest.Person{w.Anna, w.Bob, w.Zoe, w.Longest} {
		req := good(w)
		req.Authorization = []string{"Bearer " + p.Token}
		id := w.Gate(authztest.Setup{}).Decide(t.Context(), req).Identity
		names := map[string]bool{}
		for _, h := range id.Set {
			names[h.Name] = true
			if h.Value == "" || !utf8.ValidString(h.Value) {
				t.Errorf("%s: %s is %q", p.User.Name, h.Name, h.Value)
			}
		}
		for _, name := range id.Remove {
			if names[name] {
				t.Errorf("%s: %s is set and removed", p.User.Name, name)
			}
			names[name] = true
		}
		want := map[string]bool{"Remote-User": true, "Remote-Groups": true, "Remote-Device": true}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", p.User.Name, diff)
		}
	}
}
