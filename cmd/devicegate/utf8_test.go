package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// Text of another character set would be stored as something that nobody typed.
func TestWhatIsNotUTF8IsRefused(t *testing.T) {
	environ := []string{"DEVICEGATE_STORE_PATH=" + filepath.Join(t.TempDir(), "db")}
	for name, c := range map[string]struct {
		args  []string
		stdin string
	}{
		"name":     {[]string{"user", "add", "b\xe4b", "--generate"}, ""},
		"password": {[]string{"user", "add", "bob", "--password-stdin"}, "correct horse b\xe4ttery staple\n"},
	} {
		var out, errors bytes.Buffer
		code := run(c.args, environ, strings.NewReader(c.stdin), &out, &errors)
		if code != exitUsage || !strings.Contains(errors.String(), "UTF-8") || out.Len() != 0 {
			t.Errorf("%s: exit %d, %q, %q", name, code, out.String(), errors.String())
		}
	}
}
