package keysource_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"devicegate/token/keysource"
)

// TestOpenRefuses: what Options cannot be.
func TestOpenRefuses(t *testing.T) {
	good := fileOf(t, goodSecret)
	for name, tt := range map[string]struct {
		o    keysource.Options
		want string
	}{
		"no source":       {keysource.Options{Algorithms: []string{"RS256"}}, "0 sources"},
		"two sources":     {keysource.Options{Algorithms: []string{"RS256"}, JWKSFile: "a", JWKSURL: "https://a.example/"}, "2 sources"},
		"no algorithm":    {keysource.Options{SecretFile: good}, "no algorithm"},
		"unknown":         {keysource.Options{Algorithms: []string{"none"}, SecretFile: good}, `"none" is unknown`},
		"twice":           {keysource.Options{Algorithms: []string{"HS256", "HS256"}, SecretFile: good}, "named twice"},
		"secret, RS256":   {keysource.Options{Algorithms: []string{"HS256", "RS256"}, SecretFile: good}, "RS256 does not go"},
		"PEM, HS256":      {keysource.Options{Algorithms: []string{"RS256", "HS256"}, PublicKeyFile: good}, "HS256 does not go"},
		"JWKS, HS256":     {keysource.Options{Algorithms: []string{"HS256"}, JWKSFile: good}, "HS256 does not go"},
		"URL, HS512":      {keysource.Options{Algorithms: []string{"HS512"}, JWKSURL: "https://a.example/"}, "HS512 does not go"},
		"missing":         {keysource.Options{Algorithms: []string{"HS256"}, SecretFile: good + "x"}, "no such file"},
		"folder":          {keysource.Options{Algorithms: []string{"HS256"}, SecretFile: filepath.Dir(good)}, "not a regular file"},
		"device":          {keysource.Options{Algorithms: []string{"HS256"}, SecretFile: "/dev/zero"}, "not a regular file"},
		"pipe":            {keysource.Options{Algorithms: []string{"HS256"}, SecretFile: pipe(t)}, "not a regular file"},
		"http":            {keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "http://id.example/keys"}, "https is needed"},
		"http, lookalike": {keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "http://localhost.id.example/keys"}, "https is needed"},
		"http, 0.0.0.0":   {keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "http://0.0.0.0/keys"}, "https is needed"},
		"user":            {keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "https://u:hunter2@id.example/keys"}, "user name"},
		"fragment":        {keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "https://id.example/keys#a"}, "after #"},
		"no host":         {keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "https:///keys"}, "no host"},
		"port alone":      {keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "https://:443/keys"}, "no host"},
		"opaque":          {keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "https:id.example"}, "no host"},
		"file":            {keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "file://localhost/etc/passwd"}, "scheme"},
		"no URL":          {keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "https://hunter2\x7f/"}, "no URL"},
	} {
		tt.o.Name = "django"
		_, err := keysource.Open(tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "django") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	for _, address := range []string{"https://id.example/keys?tenant=1", "https://id.example:8443", "http://localhost:8000/keys", "http://127.0.0.2/", "http://[::1]:80/k"} {
		s := mustOpen(t, keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: address})
		if !s.Set().Empty() || s.Set().Epoch() != 1 || s.Trouble() == nil || strings.Contains(s.Trouble().Error(), "tenant") {
			t.Errorf("%s: trouble %v", address, s.Trouble())
		}
	}
}

func pipe(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// TestReload: a file is taken whole or not at all, and what is wrong is told once for each change.
func TestReload(t *testing.T) {
	var heard log
	path := fileOf(t, jwks(jwk("ed", "ed"), jwk("ed2", "ed2")))
	s := mustOpen(t, keysource.Options{Algorithms: []string{"EdDSA"}, JWKSFile: path, Now: later, Log: heard.add})
	expect := func(what string, ed, ed2, ed3 bool, epoch uint32, complaints int) {
		t.Helper()
		for range 3 {
			s.Reload()
		}
		if good(s, "EdDSA", "ed") != ed || good(s, "EdDSA", "ed2") != ed2 || good(s, "EdDSA", "ed3") != ed3 || s.Set().Epoch() != epoch || s.Trouble() != nil {
			t.Errorf("%s: ed %t, ed2 %t, ed3 %t, epoch %d", what, good(s, "EdDSA", "ed"), good(s, "EdDSA", "ed2"), good(s, "EdDSA", "ed3"), s.Set().Epoch())
		}
		if n := heard.count("cannot be used"); n != complaints {
			t.Errorf("%s: %d complaints, want %d:\n%s", what, n, complaints, &heard)
		}
	}
	expect("as opened", true, true, false, 1, 0)
	write(t, path, jwks(jwk("ed", "ed"), jwk("ed2", "ed2"), jwk("ed3", "ed3")))
	expect("one more", true, true, true, 1, 0)
	write(t, path, jwks(jwk("ed3", "ed3"), jwk("ed", "ed"), jwk("ed2", "ed2")))
	expect("another order", true, true, true, 1, 0)
	write(t, path, "half a fi")
	expect("bad", true, true, true, 1, 1)
	write(t, path, "half a fil")
	expect("bad in the same way", true, true, true, 1, 2)
	write(t, path, jwks())
	expect("empty set", true, true, true, 1, 3)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("gone", true, true, true, 1, 4)
	write(t, path, jwks(jwk("ed", "ed")))
	expect("two fewer", true, false, false, 2, 4)
	if heard.count("is good again") != 1 {
		t.Errorf("the end of the trouble was not told once:\n%s", &heard)
	}
	write(t, path, jwks(jwk("ed2", "ed")))
	expect("another key of the same kid", false, false, false, 3, 4)
	write(t, path, jwks(jwk("ed2", "ed"), jwk("p256", "p256"), jwk("rsa", "rsa").with("use", "enc")))
	expect("keys for something else", false, false, false, 3, 4)
	if n := heard.count("not used: "); n != 1 {
		t.Errorf("what is not used was told %d times:\n%s", n, &heard)
	}
}

// A file that was changed within the last seconds is read again even if it looks the same.
func TestReloadWithinTheClocksStep(t *testing.T) {
	path := fileOf(t, goodSecret+"1")
	when := time.Now()
	s := mustOpen(t, keysource.Options{Algorithms: []string{"HS256"}, SecretFile: path, Now: func() time.Time { return when }})
	stamp := must(os.Stat(path)).ModTime()
	if err := os.WriteFile(path, []byte(goodSecret+"2"), 0o600); err != nil { // the same file, length and time
		t.Fatal(err)
	}
	if err := os.Chtimes(path, stamp, stamp); err != nil {
		t.Fatal(err)
	}
	s.Reload()
	if ok, _ := s.Set().Verify(token("HS256", "", []byte(goodSecret+"2")), "HS256", "", false); !ok || s.Set().Epoch() != 2 {
		t.Errorf("the new secret: %t, epoch %d", ok, s.Set().Epoch())
	}
}

// TestKubernetesSwap: a mounted secret is a link to a file behind a link to a folder that is exchanged.
func TestKubernetesSwap(t *testing.T) {
	folder := t.TempDir()
	version := func(name, content string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name, "key"), content)
		if err := os.Symlink(name, filepath.Join(folder, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..2001", publicPEM("ed"))
	path := filepath.Join(folder, "key")
	if err := os.Symlink("..data/key", path); err != nil {
		t.Fatal(err)
	}
	var heard log
	s := mustOpen(t, keysource.Options{Algorithms: []string{"EdDSA"}, PublicKeyFile: path, Now: later, Log: heard.add})
	version("..2002", publicPEM("ed2"))
	s.Reload()
	if good(s, "EdDSA", "ed") || !good(s, "EdDSA", "ed2") || s.Set().Epoch() != 2 {
		t.Errorf("after the swap: old %t, new %t, epoch %d", good(s, "EdDSA", "ed"), good(s, "EdDSA", "ed2"), s.Set().Epoch())
	}
	version("..2003", pemOf("PRIVATE KEY", []byte("x")))
	s.Reload()
	if !good(s, "EdDSA", "ed2") || heard.count("private key") != 1 {
		t.Errorf("after a bad swap: %t\n%s", good(s, "EdDSA", "ed2"), &heard)
	}
}

// Warnings follow the file, and a new one is told.
func TestWarningsFollow(t *testing.T) {
	var heard log
	path := fileOf(t, goodSecret)
	s := mustOpen(t, keysource.Options{Algorithms: []string{"HS256"}, SecretFile: path, Now: later, Log: heard.add})
	for range 2 {
		write(t, path, "django-insecure-"+goodSecret)
		s.Reload()
	}
	if len(s.Warnings()) != 1 || heard.count("development") != 1 {
		t.Errorf("warnings %q, said\n%s", s.Warnings(), &heard)
	}
}

// Run looks every 30 seconds, and ends.
func TestRunLooks(t *testing.T) {
	path := fileOf(t, jwks(jwk("ed", "ed")))
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, keysource.Options{Algorithms: []string{"EdDSA"}, JWKSFile: path})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		write(t, path, jwks(jwk("ed2", "ed2")))
		<-time.After(29 * time.Second)
		synctest.Wait()
		if !good(s, "EdDSA", "ed") {
			t.Error("the file was read before its time")
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if good(s, "EdDSA", "ed") || !good(s, "EdDSA", "ed2") {
			t.Error("the file was not read")
		}
		cancel()
		<-done
	})
}
