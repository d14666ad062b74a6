package lockout_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"devicegate/lockout"
)

var keys = []string{
	"c/" + hash("a") + "/", "c/" + hash("a") + "/n/", "c/" + hash("a") + "/n/203.0.113.9/32", "c/" + hash("a") + "/n/2001:db8:1:2::/64",
	"c/" + hash("a") + "/n/::/64", "c/" + hash("a") + "/d/" + phone.String(),
}

// Every key has one id, and the id leads back to it.
func TestIDs(t *testing.T) {
	for _, key := range keys {
		id, ok := lockout.IDOfKey(key)
		if back, again := lockout.KeyOfID(id); !ok || !again || back != key || strings.Trim(id, "-_0123456789"+letters) != "" {
			t.Errorf("%q: id %q (%v), which is %q (%v)", key, id, ok, back, again)
		}
	}
	for _, key := range []string{
		"", "c/", "c/x/", "c/" + hash("a"), "d/" + hash("a") + "/", "c/" + strings.ToUpper(hash("a")) + "/", keys[0] + "x", keys[0] + "n", keys[0] + "/",
		keys[1] + "x", keys[1] + "203.0.113.9", keys[1] + "203.0.113.9/31", keys[1] + "203.0.113.0/24", keys[1] + "::ffff:203.0.113.9/32", keys[1] + "::ffff:203.0.113.9/128",
		keys[1] + "2001:db8:1:2::/65", keys[1] + "2001:db8:1:2::1/64", keys[1] + "2001:DB8:1:2::/64", keys[1] + "2001:db8:1:2:0::/64", keys[1] + "0/0",
		keys[0] + "d/", keys[0] + "d/x", strings.ToUpper(keys[5]), keys[5] + "/", strings.ReplaceAll(keys[5], "-", ""), keys[0] + "d/{" + phone.String() + "}",
	} {
		if id, ok := lockout.IDOfKey(key); ok {
			t.Errorf("%q was taken for a key, id %q", key, id)
		}
	}
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// An id has one spelling: what is taken is what would be given.
func FuzzID(f *testing.F) {
	for _, key := range keys {
		id, _ := lockout.IDOfKey(key)
		for _, s := range []string{id, id + "=", id + "\n", "\r" + id, id[:len(id)-1], id[:len(id)-1] + "_", strings.ToLower(id)} {
			f.Add(s)
		}
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, id string) {
		key, ok := lockout.KeyOfID(id)
		if !ok {
			return
		}
		if again, ok := lockout.IDOfKey(key); !ok || again != id {
			t.Errorf("%q is taken for %q, whose id is %q (%v)", id, key, again, ok)
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, key := range keys {
		f.Add(key)
		f.Add(key + "0")
	}
	f.Fuzz(func(t *testing.T, key string) {
		id, ok := lockout.IDOfKey(key)
		if !ok {
			return
		}
		if again, ok := lockout.KeyOfID(id); !ok || again != key {
			t.Errorf("%q has the id %q, which is %q (%v)", key, id, again, ok)
		}
	})
}

// What is read as a record counts for something and is written again without loss.
func FuzzRecord(f *testing.F) {
	for _, value := range []string{
		`{"schema":1,"name":"alice","network":"203.0.113.9/32","failures":5,"last_failure":"2031-05-06T07:08:09Z","locked_until":"2031-05-06T07:09:09Z","known":true}`,
		`{"schema":1,"device":"00070000-0000-0000-0000-000000000009","failures":2147483647,"last_failure":"9999-12-31T23:59:59.999Z"}`,
		`{"schema":1,"failures":-1,"last_failure":"2031-05-06T07:08:09Z"}`, `{"schema":1,"failures":1}`, `{"schema":2}`, `{}`, `null`, ``,
	} {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		failures, first, err := lockout.DecodeRecord(value)
		if err != nil {
			return
		}
		if failures < 1 || failures > math.MaxInt32 {
			t.Errorf("%q has %d failures", value, failures)
		}
		if _, second, err := lockout.DecodeRecord(first); err != nil || !bytes.Equal(first, second) {
			t.Errorf("%q is written as %q, which is read as %q, %v", value, first, second, err)
		}
	})
}
