package token_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"devicegate/db/dbtest"
	"devicegate/reason"
	"devicegate/token"
)

func pkcs8(key any) string {
	return pemOf("PRIVATE KEY", mustRaw(x509.MarshalPKCS8PrivateKey(key)))
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func jwkText(key crypto.Signer, change func(m map[string]any)) string {
	jwk, _ := privateJWK(key)
	if change != nil {
		change(jwk)
	}
	return string(mustRaw(json.Marshal(jwk)))
}

func set(name string, value any) func(map[string]any) {
	return func(m map[string]any) { m[name] = value }
}

// write replaces a file, as a careful writer does, and makes it an hour old.
func write(tb testing.TB, path, content string) {
	tb.Helper()
	beside := path + ".new"
	if err := os.WriteFile(beside, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(beside, path); err != nil {
		tb.Fatal(err)
	}
}

func keyFile(tb testing.TB, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "keys")
	write(tb, path, content)
	return path
}

// TestKeyFileForms: every form that tools write, alone, with each key's own algorithm.
func TestKeyFileForms(t *testing.T) {
	ed, ec, rs := testEd25519(), testP256().(*ecdsa.PrivateKey), testRSA().(*rsa.PrivateKey)
	parameters := pemOf("EC PARAMETERS", []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07})
	for name, tt := range map[string]struct {
		content string
		signs   crypto.Signer
		all     int
	}{
		"PKCS #8 Ed25519":  {pkcs8(ed), ed, 1},
		"PKCS #8 P-256":    {pkcs8(ec), ec, 1},
		"PKCS #8 RSA":      {pkcs8(rs), rs, 1},
		"SEC 1":            {parameters + pemOf("EC PRIVATE KEY", mustRaw(x509.MarshalECPrivateKey(ec))), ec, 1},
		"PKCS #1":          {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs)), rs, 1},
		"RSA of 4096 bits": {pkcs8(bigRSA()), bigRSA(), 1},
		"text around":      {"my key:\n" + pkcs8(ed) + "\nthe end\n", ed, 1},
		"three PEM blocks": {pkcs8(ec) + "\n" + pkcs8(rs) + pkcs8(ed), ec, 3},
		"JWK Ed25519":      {jwkText(ed, nil), ed, 1},
		"JWK P-256":        {"\n " + jwkText(ec, nil) + "\n", ec, 1},
		"JWK RSA":          {jwkText(rs, nil), rs, 1},
		"JWK RSA, no CRT":  {jwkText(rs, func(m map[string]any) { delete(m, "dp"); delete(m, "dq"); delete(m, "qi") }), rs, 1},
		"JWK that says what": {jwkText(ed, func(m map[string]any) {
			m["use"], m["alg"], m["kid"], m["key_ops"] = "sig", "EdDSA", "mine", []string{"sign", "verify"}
		}), ed, 1},
		"JWK set": {`{"keys":[` + jwkText(rs, nil) + "," + jwkText(ec, set("alg", "ES256")) + `]}`, rs, 2},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, newMemoryStore(), startClock(), func(o *token.Options) { o.SigningKeyFile = keyFile(t, tt.content) })
			raw := g.issue(t)
			g.wantVerdict(t, "a token", raw, reason.OK)
			if got := decode(t, strings.Split(raw, ".")[0])["kid"]; got != kidOf(tt.signs) {
				t.Errorf("signed by %v, want %v", got, kidOf(tt.signs))
			}
			keys := g.ring.Keys()
			if len(keys) != tt.all || keys[0].State != token.Signing || keys[0].Source != token.FromFile {
				t.Errorf("the keys are %+v, want %d", keys, tt.all)
			}
		})
	}
}

var bigRSA = func() func() *rsa.PrivateKey {
	var key *rsa.PrivateKey
	return func() *rsa.PrivateKey {
		if key == nil {
			key = mustRaw(rsa.GenerateKey(rand.Reader, 4096))
		}
		return key
	}
}()

// badKeyFiles is what no key file may be, and a word of what is said about it.
func badKeyFiles(tb testing.TB) map[string][2]string {
	ed, ec, rs := testEd25519(), testP256().(*ecdsa.PrivateKey), testRSA().(*rsa.PrivateKey)
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(tb)
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))(tb)
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))(tb)
	small, three := makeRSA(1024, 65537), makeRSA(2048, 3)
	public := must(x509.MarshalPKIXPublicKey(ed.Public()))(tb)
	otherX, _ := privateJWK(anotherKey(token.EdDSA))
	otherEC, _ := privateJWK(anotherKey(token.ES256))
	//nolint:staticcheck // what openssl writes with a passphrase, which is refused
	legacy := must(x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs), []byte("x"), x509.PEMCipherAES256))(tb)
	notPrime := new(big.Int).Add(rs.Primes[0], big.NewInt(2))
	return map[string][2]string{
		"empty":                {"", "empty"},
		"blank":                {" \n", "empty"},
		"text":                 {"hello", "neither PEM nor JSON"},
		"DER":                  {string(mustRaw(x509.MarshalPKCS8PrivateKey(ed))), "neither PEM nor JSON"},
		"over its size":        {strings.Repeat(" ", 1<<20) + pkcs8(ed), "1048576 bytes"},
		"RSA of 1024 bits":     {pkcs8(small), "1024 bits"},
		"RSA of 1024, PKCS #1": {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)), "1024 bits"},
		"RSA, exponent 3":      {pkcs8(three), "exponent 3"},
		"P-384":                {pkcs8(p384), "P-256"},
		"P-224":                {pkcs8(p224), "P-256"},
		"X25519":               {pkcs8(x25519), "none of Ed25519"},
		"public key":           {pemOf("PUBLIC KEY", public), "public key only"},
		"certificate":          {pemOf("CERTIFICATE", public), "public key only"},
		"openssh":              {pemOf("OPENSSH PRIVATE KEY", []byte("x")), "openssl pkey"},
		"encrypted PKCS #8":    {pemOf("ENCRYPTED PRIVATE KEY", []byte("x")), "passphrase"},
		"encrypted PKCS #1":    {string(pem.EncodeToMemory(legacy)), "passphrase"},
		"damaged DER":          {pemOf("PRIVATE KEY", mustRaw(x509.MarshalPKCS8PrivateKey(ed))[:20]), "malformed"},
		"cut":                  {pkcs8(rs)[:900], "cut"},
		"a second one, cut":    {pkcs8(ed) + pkcs8(rs)[:900], "cut"},
		"one key twice":        {pkcs8(ec) + pemOf("EC PRIVATE KEY", mustRaw(x509.MarshalECPrivateKey(ec))), "key 2 is key 1"},
		"a good and a bad one": {pkcs8(ed) + pkcs8(small), "PEM block 2"},
		"parameters only":      {pemOf("EC PARAMETERS", []byte{5, 0}), "no private key"},
		"empty set":            {`{"keys":[]}`, "no private key"},
		"a set and more":       {`{"keys":[` + jwkText(ed, nil) + `],"x":1}`, "JWK set"},
		"a set of text":        {`{"keys":["x"]}`, "key 1"},
		"no object":            {`{"kty":"OKP"`, "JSON object"},
		"two objects":          {jwkText(ed, nil) + jwkText(ec, nil), "JSON object"},
		"a secret":             {`{"kty":"oct","k":"AAAA"}`, "member"},
		"public JWK":           {publicJWK(ed), "private part"},
		"public RSA JWK":       {publicJWK(rs), "private part"},
		"JWK without primes":   {jwkText(rs, func(m map[string]any) { delete(m, "p"); delete(m, "q") }), "primes"},
		"JWK of P-384":         {jwkText(p384, nil), "P-256"},
		"JWK of secp256k1":     {jwkText(ec, set("crv", "secp256k1")), "P-256"},
		"JWK of Ed448":         {jwkText(ed, set("crv", "Ed448")), "Ed25519"},
		"JWK for encryption":   {jwkText(ed, set("use", "enc")), "use"},
		"JWK to verify with":   {jwkText(ed, set("key_ops", []string{"verify"})), "key_ops"},
		"JWK with no use":      {jwkText(ed, set("key_ops", []string{})), "key_ops"},
		"JWK of another alg":   {jwkText(ec, set("alg", "ES384")), "alg"},
		"JWK with PS256":       {jwkText(rs, set("alg", "PS256")), "alg"},
		"JWK with x5c":         {jwkText(ed, set("x5c", []string{"AAAA"})), "member"},
		"JWK of another x":     {jwkText(ed, set("x", otherX["x"])), "public half"},
		"JWK of another point": {jwkText(ec, func(m map[string]any) { m["x"], m["y"] = otherEC["x"], otherEC["y"] }), "public half"},
		"JWK off the curve":    {jwkText(ec, set("y", b64(strings.Repeat("\x01", 32)))), "range"},
		"JWK, d of zero":       {jwkText(ec, set("d", b64(strings.Repeat("\x00", 32)))), "range"},
		"JWK, d of all ones":   {jwkText(ec, set("d", b64(strings.Repeat("\xff", 32)))), "range"},
		"JWK, d too long":      {jwkText(ec, set("d", b64(strings.Repeat("\x01", 64)))), "range"},
		"JWK RSA, other d":     {jwkText(rs, set("d", b64(strings.Repeat("\x05", 256)))), "contradict"},
		"JWK RSA, other n":     {jwkText(rs, set("n", b64(strings.Repeat("\xf5", 256)))), "contradict"},
		"JWK RSA, p twice":     {jwkText(rs, func(m map[string]any) { m["q"] = m["p"] }), "contradict"},
		"JWK RSA, p no prime":  {jwkText(rs, set("p", b64(string(notPrime.Bytes())))), "prime"},
		"JWK RSA, p of one":    {jwkText(rs, set("p", "AQ")), "prime"},
		"JWK RSA, exponent 3":  {jwkText(three, nil), "exponent 3"},
		"JWK RSA, e of zero":   {jwkText(rs, set("e", "AA")), "exponent"},
		"JWK RSA, huge e":      {jwkText(rs, set("e", b64(strings.Repeat("\x01", 9)))), ""},
		"JWK, d a number":      {jwkText(ed, set("d", 7)), "type"},
	}
}

// TestBadKeyFilesAreRefused: at start and when the file changes, with words that name the file and
// show nothing of a key.
func TestBadKeyFilesAreRefused(t *testing.T) {
	good := pkcs8(testEd25519())
	for name, bad := range badKeyFiles(t) {
		t.Run(name, func(t *testing.T) {
			path := keyFile(t, bad[0])
			o := options(startTime, rand.Reader)
			o.SigningKeyFile = path
			store := newMemoryStore()
			ring, err := token.OpenKeyring(t.Context(), store, o)
			if err == nil || ring != nil || len(store.entries) > 0 {
				t.Fatalf("got %v, %v and %d keys made, want an error", ring, err, len(store.entries))
			}
			wantQuiet(t, err, path, bad[0], bad[1])

			write(t, path, good)
			g := newGate(t, store, startClock(), func(o *token.Options) { o.SigningKeyFile = path })
			raw, before := g.issue(t), g.ring.Epoch()
			write(t, path, bad[0])
			for range 2 {
				wantQuiet(t, g.ring.Reload(), path, bad[0], bad[1])
			}
			g.wantVerdict(t, "a token of before", raw, reason.OK)
			g.wantVerdict(t, "a new token", g.issue(t), reason.OK)
			if g.ring.Epoch() != before {
				t.Error("a file that was refused changed the keys")
			}
		})
	}
}

// wantQuiet demands an error that names path and why, and repeats no ten bytes of the file.
func wantQuiet(t *testing.T, err error, path, content, why string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), why) {
		t.Fatalf("got %v, want the file's name and %q", err, why)
	}
	said := strings.ReplaceAll(err.Error(), path, "")
	for i := 0; i+12 <= len(content); i++ {
		if part := content[i : i+12]; !strings.Contains(content[i:min(len(content), i+40)], "-----") && strings.Contains(said, part) && !strings.Contains("OPENSSH PRIVATE KEY", part) {
			t.Fatalf("the error %q shows %q of the file", err, part)
		}
	}
}

func TestKeyFileThatIsNoFile(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{folder, filepath.Join(folder, "missing")} {
		o := options(startTime, rand.Reader)
		o.SigningKeyFile = path
		if _, err := token.OpenKeyring(t.Context(), newMemoryStore(), o); err == nil || !strings.Contains(err.Error(), path) || (path == folder && !strings.Contains(err.Error(), "regular file")) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestOpenKeyFileIsAWarning(t *testing.T) {
	path := keyFile(t, pkcs8(testEd25519()))
	g := newGate(t, newMemoryStore(), startClock(), func(o *token.Options) { o.SigningKeyFile = path })
	if w := g.ring.Warnings(); len(w) != 0 {
		t.Errorf("mode 0600: %q", w)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	g.reopen(t)
	if w := g.ring.Warnings(); len(w) != 1 || !strings.Contains(w[0], path) {
		t.Errorf("mode 0644: %q, want a warning that names the file", w)
	}
	if w := newGate(t, newMemoryStore(), startClock(), nil).ring.Warnings(); w != nil {
		t.Errorf("without a file: %q", w)
	}
}

// TestKeyFileSwap: Kubernetes puts another folder behind the link. The old key verifies until no token
// of its can live, and not longer.
func TestKeyFileSwap(t *testing.T) {
	mount := t.TempDir()
	version := func(name string, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(mount, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(mount, name, "key.pem"), content)
		_ = os.Remove(filepath.Join(mount, "..new"))
		if err := os.Symlink(name, filepath.Join(mount, "..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(mount, "..new"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", pkcs8(testEd25519()))
	if err := os.Symlink("..data/key.pem", filepath.Join(mount, "key.pem")); err != nil {
		t.Fatal(err)
	}
	c := startClock()
	g := newGate(t, newMemoryStore(), c, func(o *token.Options) { o.SigningKeyFile = filepath.Join(mount, "key.pem") })
	old, epoch := g.issue(t), g.ring.Epoch()
	version("..2", pkcs8(testP256()))
	if err := g.ring.Reload(); err != nil {
		t.Fatal(err)
	}
	g.wantStates(t, "after the swap", "signing published")
	if alg := g.ring.Keys()[0].Algorithm; alg != token.ES256 {
		t.Errorf("the key that signs is for %s", alg)
	}
	g.wantVerdict(t, "a new token", g.issue(t), reason.OK)
	g.wantVerdict(t, "a token of the key that left", old, reason.OK)
	if g.ring.Epoch() != epoch {
		t.Error("a key that came emptied the cache")
	}
	last := forge(testEd25519(), kidOf(testEd25519()), token.EdDSA, c.unix.Load()+lifetime)
	g.run(t, overlap+time.Minute-time.Second)
	g.wantVerdict(t, "a second before its end", last, reason.OK)
	g.run(t, time.Second)
	g.wantVerdict(t, "at its end", last, reason.TokenUnverified)
	g.wantStates(t, "at its end", "signing")

	version("..3", pkcs8(testEd25519())) // the owner of the file decides: it may come back
	version("..4", pkcs8(testP256())+pkcs8(testEd25519()))
	if err := g.ring.Reload(); err != nil {
		t.Fatal(err)
	}
	g.wantStates(t, "with a second key", "signing published")
	if g.ring.Keys()[1].RetiresAt != (time.Time{}) {
		t.Errorf("a key of the file is to retire: %+v", g.ring.Keys()[1])
	}
}

// TestAKeyThatReturnsToTheFileStays: taken out and put back in a hurry.
func TestAKeyThatReturnsToTheFileStays(t *testing.T) {
	path := keyFile(t, pkcs8(testEd25519()))
	g := newGate(t, newMemoryStore(), startClock(), func(o *token.Options) { o.SigningKeyFile = path })
	for _, content := range []string{pkcs8(testP256()), pkcs8(testRSA()), pkcs8(testEd25519())} {
		write(t, path, content)
		if err := g.ring.Reload(); err != nil {
			t.Fatal(err)
		}
		g.clock.advance(time.Minute)
	}
	write(t, path, pkcs8(testP256()))
	if err := g.ring.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, k := range g.ring.Keys() {
		if want := g.clock.now().Add(overlap + time.Minute); k.ID == kidOf(testEd25519()) && !k.RetiresAt.Equal(want) {
			t.Errorf("the key that left again retires at %v, want %v", k.RetiresAt, want)
		}
	}
	write(t, path, pkcs8(testEd25519()))
	if err := g.ring.Reload(); err != nil {
		t.Fatal(err)
	}
	g.run(t, time.Hour)
	g.wantStates(t, "an hour later", "signing")
	g.wantVerdict(t, "a token", g.issue(t), reason.OK)
}

// TestReloadIsCheap: a file whose number, time and size are the same is not read again; one that was
// written just now is, because a second change could look the same.
func TestReloadIsCheap(t *testing.T) {
	for _, tt := range []struct {
		name    string
		written time.Duration
		seen    bool
	}{{"an hour ago", -time.Hour, false}, {"just now", -time.Second, true}} {
		path := keyFile(t, pkcs8(testEd25519()))
		at := startTime().Add(tt.written)
		touch := func() {
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		touch()
		g := newGate(t, newMemoryStore(), startClock(), func(o *token.Options) { o.SigningKeyFile = path })
		if err := os.WriteFile(path, []byte(strings.ToLower(pkcs8(testEd25519()))), 0o600); err != nil { // the same file
			t.Fatal(err)
		}
		touch()
		if err := g.ring.Reload(); (err != nil) != tt.seen {
			t.Errorf("written %s: got %v", tt.name, err)
		}
	}
}

// TestTheStoresKeysBesideAFile: they sign nothing and are not rotated, but tokens of theirs live on,
// and the store's key signs again when the file is no longer named.
func TestTheStoresKeysBesideAFile(t *testing.T) {
	store, c := dbtest.New(t), startClock()
	g := newGate(t, store, c, nil)
	must(g.ring.Rotate(t.Context(), c.now(), token.RotateOptions{Now: true}))(t)
	raw := g.issue(t)
	g.options.SigningKeyFile = keyFile(t, pkcs8(testRSA()))
	g.reopen(t)
	g.wantStates(t, "with a file", "signing published published")
	g.wantVerdict(t, "a token by the store's key", raw, reason.OK)
	g.wantVerdict(t, "a token by the file's key", g.issue(t), reason.OK)
	for _, o := range []token.RotateOptions{{}, {Now: true}, {RetireOthers: true}} {
		if _, err := g.ring.Rotate(t.Context(), c.now(), o); !errors.Is(err, token.ErrKeyFile) {
			t.Errorf("Rotate: got %v, want %v", err, token.ErrKeyFile)
		}
	}
	g.run(t, 2*time.Hour)
	g.age(t, 2*rotation)
	g.run(t, 2*time.Hour)
	g.wantStates(t, "months later", "signing retired published")
	g.options.SigningKeyFile = ""
	g.reopen(t)
	g.wantStates(t, "without the file", "retired signing")
}

// TestAWaitingKeyBesideAFileWaitsOn: nobody knows when the file goes.
func TestAWaitingKeyBesideAFileWaitsOn(t *testing.T) {
	g := newGate(t, dbtest.New(t), startClock(), nil)
	must(g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{}))(t)
	g.options.SigningKeyFile = keyFile(t, pkcs8(testP256()))
	g.reopen(t)
	g.tick(t)
	g.run(t, 3*token.PublishAhead)
	g.options.SigningKeyFile = ""
	g.reopen(t)
	g.wantStates(t, "without the file", "signing published")
}

// TestARetiredKeyDoesNotComeBackByFile: not at start and not later.
func TestARetiredKeyDoesNotComeBackByFile(t *testing.T) {
	store := newMemoryStore()
	retired := recordOf(token.EdDSA, testEd25519(), token.Retired)
	delete(retired, "private_jwk")
	store.put(t, "w/k/00000001", retired)
	store.put(t, "w/k/00000002", recordOf(token.ES256, testP256(), token.Signing))
	o := options(startTime, rand.Reader)
	o.SigningKeyFile = keyFile(t, pkcs8(testEd25519()))
	if _, err := token.OpenKeyring(t.Context(), store, o); err == nil || !strings.Contains(err.Error(), "retired") {
		t.Errorf("at start: got %v", err)
	}
	write(t, o.SigningKeyFile, pkcs8(testRSA()))
	g := newGate(t, store, startClock(), func(to *token.Options) { to.SigningKeyFile = o.SigningKeyFile })
	write(t, o.SigningKeyFile, pkcs8(testRSA())+pkcs8(testEd25519()))
	if err := g.ring.Reload(); err == nil || !strings.Contains(err.Error(), "retired") {
		t.Errorf("later: got %v", err)
	}
	g.wantVerdict(t, "a token", g.issue(t), reason.OK)
}

// TestAnyOrderOfFiles: whatever is written into the file, exactly one key signs, the first of the last
// good file; and a token of before lives as long as it may.
func TestAnyOrderOfFiles(t *testing.T) {
	keys := []crypto.Signer{testEd25519(), testP256(), anotherKey(token.EdDSA), anotherKey(token.ES256)}
	rapid.Check(t, func(rt *rapid.T) {
		path := keyFile(t, pkcs8(keys[0]))
		g := newGate(t, newMemoryStore(), startClock(), func(o *token.Options) { o.SigningKeyFile = path })
		first, raw, expires := keys[0], g.issue(t), int64(start+lifetime)
		for range rapid.IntRange(1, 20).Draw(rt, "events") {
			switch rapid.IntRange(0, 4).Draw(rt, "event") {
			case 0:
				order := rapid.Permutation(keys).Draw(rt, "order")[:rapid.IntRange(1, 4).Draw(rt, "count")]
				var content string
				for _, key := range order {
					content += pkcs8(key)
				}
				write(t, path, content)
				if err := g.ring.Reload(); err != nil {
					rt.Fatal(err)
				}
				first = order[0]
			case 1:
				write(t, path, pkcs8(keys[1])+"-----BEGIN ")
				if err := g.ring.Reload(); err == nil {
					rt.Fatal("a cut file was taken")
				}
			case 2:
				g.age(t, time.Duration(rapid.IntRange(1, 600).Draw(rt, "passes"))*time.Second)
			case 3:
				raw, expires = g.issue(t), g.clock.unix.Load()+lifetime
			case 4:
				g.age(t, rotation)
			}
			signs := 0
			for _, k := range g.ring.Keys() {
				if k.State == token.Signing && k.ID == kidOf(first) {
					signs++
				} else if k.State != token.Published {
					rt.Fatalf("a key beside the first is %+v", k)
				}
			}
			if signs != 1 {
				rt.Fatalf("%d keys sign", signs)
			}
			if g.clock.unix.Load() >= expires {
				raw, expires = g.issue(t), g.clock.unix.Load()+lifetime
			}
			if _, why := g.verifier.Verify(raw); why != reason.OK {
				rt.Fatalf("a token that should live: %v", why)
			}
		}
	})
}

// FuzzKeyFile: any bytes are refused with a word, or are keys that sign what verifies.
func FuzzKeyFile(f *testing.F) {
	for _, bad := range badKeyFiles(f) {
		if len(bad[0]) < 1<<14 {
			f.Add([]byte(bad[0]))
		}
	}
	for _, alg := range algorithms {
		f.Add([]byte(pkcs8(testKey(alg))))
		f.Add([]byte(jwkText(testKey(alg), nil)))
	}
	path := filepath.Join(f.TempDir(), "key")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		o := options(startTime, rand.Reader)
		o.SigningKeyFile = path
		ring, err := token.OpenKeyring(t.Context(), newMemoryStore(), o)
		if err != nil {
			return
		}
		signsWhatVerifies(t, ring)
	})
}

func signsWhatVerifies(t *testing.T, ring *token.Keyring) {
	t.Helper()
	raw, _, err := must(token.NewIssuer(defaultConfig(), ring, startTime, rand.Reader))(t).Issue(subject())
	if err != nil {
		t.Fatal(err)
	}
	if _, why := must(token.NewVerifier(defaultConfig(), ring, startTime))(t).Verify(raw); why != reason.OK {
		t.Errorf("a token by a key that was taken: %v", why)
	}
}
