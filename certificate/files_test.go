package certificate_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"devicegate/certificate"
	"devicegate/certificate/certificatetest"
)

// folder holds the files of one listener.
type folder struct {
	certificate.Files
	dir  string
	ca   *certificatetest.Pair // who signed the certificate
	pair *certificatetest.Pair
}

// files writes a good certificate; clients may be nil.
func files(t *testing.T, clients *certificatetest.Pair) *folder {
	t.Helper()
	f := &folder{dir: t.TempDir(), ca: certificatetest.Authority(t, "servers")}
	f.pair = f.ca.Issue(t, "gate")
	f.Cert, f.Key = f.pair.Write(t, f.dir)
	if clients != nil {
		f.ClientCA = certificatetest.Write(t, filepath.Join(f.dir, "clients.crt"), clients.CertPEM)
	}
	return f
}

func (f *folder) open(t *testing.T, protos ...string) *certificate.Source {
	t.Helper()
	s, err := certificate.Open(f.Files, protos...)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	return s
}

// block is one of PEM whose content is nothing in particular.
func block(kind string, headers map[string]string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: []byte("nothing in particular")})
}

// TestFilesThatCannotBeUsed at the start: the error names the file, says what is wrong, and shows no key.
func TestFilesThatCannotBeUsed(t *testing.T) {
	other := certificatetest.Authority(t, "other")
	put := func(content ...[]byte) func(*testing.T, string) {
		return func(t *testing.T, name string) { certificatetest.Write(t, name, content...) }
	}
	for _, c := range []struct {
		name, file string
		spoil      func(t *testing.T, name string)
		words      string
	}{
		{"a certificate that is missing", "tls.crt", remove, "no such file"},
		{"a key that is missing", "tls.key", remove, "no such file"},
		{"authorities that are missing", "clients.crt", remove, "no such file"},
		{"an empty certificate", "tls.crt", put(), "is empty"},
		{"an empty key", "tls.key", put([]byte(" \n\n")), "is empty"},
		{"no authorities", "clients.crt", put(), "is empty"},
		{"a huge certificate", "tls.crt", put(bytes.Repeat([]byte("x"), 1<<20+1)), "over 1048576 bytes"},
		{"huge authorities", "clients.crt", put(bytes.Repeat(other.CertPEM, 1<<20/len(other.CertPEM)+1)), "over 1048576 bytes"},
		{"a pipe", "tls.key", pipe, "not a regular file"},
		{"a directory", "tls.crt", directory, "not a regular file"},
		{"the key of another", "tls.key", put(other.KeyPEM), "does not match"},
		{"a certificate for a key", "tls.key", put(other.CertPEM), "found a certificate rather than a key"},
		{"a key for a certificate", "tls.crt", put(other.KeyPEM), "no certificate and its key"},
		{"an encrypted key", "tls.key", put(block("ENCRYPTED PRIVATE KEY", nil)), "is encrypted"},
		{"a key that is encrypted in the old way", "tls.key", put(block("EC PRIVATE KEY",
			map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"})), "is encrypted"},
		{"another kind of block", "tls.crt", put(block("CERTIFICATE REQUEST", nil)), "CERTIFICATE REQUEST"},
		{"kinds without end", "tls.crt", put(block(strings.Repeat("LONG ", 1000), nil)), "LONG LONG"},
		{"a certificate that is none", "tls.crt", put(block("CERTIFICATE", nil)), "no certificate and its key"},
		{"DER", "tls.crt", put(other.Cert.Raw), "no certificate and its key"},
		{"half a certificate", "tls.crt", half, "half written"},
		{"half a key", "tls.key", half, "half written"},
		{"half an authority", "clients.crt", half, "half written"},
		{"a mark at the beginning", "clients.crt", put([]byte("\ufeff"), other.CertPEM, other.CertPEM), "cannot be read"},
		{"authorities that are none", "clients.crt", put([]byte("our authorities\n")), "holds no certificate of an authority"},
		{"a key for authorities", "clients.crt", put(other.KeyPEM), "holds no certificate of an authority"},
		{"an authority that is none, behind a good one", "clients.crt", put(other.CertPEM, block("CERTIFICATE", nil)), "certificate 2 of "},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := files(t, other)
			name := filepath.Join(f.dir, c.file)
			c.spoil(t, name)
			s, err := certificate.Open(f.Files)
			if err == nil {
				t.Fatalf("Open took it: %v", s.Expires())
			}
			for _, want := range []string{name, c.words} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Open = %q, want %q in it", err, want)
				}
			}
			if len(err.Error()) > 600 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			tellsNoKey(t, err, f.pair, other)
		})
	}
}

func tellsNoKey(t *testing.T, err error, of ...*certificatetest.Pair) {
	t.Helper()
	for _, p := range of {
		for line := range strings.Lines(string(p.KeyPEM)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "---") && strings.Contains(err.Error(), line) {
				t.Errorf("the error shows a key: %q", err)
			}
		}
	}
}

func remove(t *testing.T, name string) {
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func directory(t *testing.T, name string) {
	remove(t, name)
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
}

func pipe(t *testing.T, name string) {
	remove(t, name)
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
}

func half(t *testing.T, name string) {
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	certificatetest.Write(t, name, content[:len(content)/2])
}

// TestChain: clients that know the authority at the top alone are served the certificates in between.
func TestChain(t *testing.T) {
	top := certificatetest.Authority(t, "top")
	between := top.Intermediate(t, "between")
	pair := between.Issue(t, "gate")
	f := files(t, nil)
	pair.Write(t, f.dir)
	certificatetest.Write(t, f.Cert, []byte("# what was asked for\r\n"), pair.CertPEM, []byte("# who signed it\n"), between.CertPEM)
	s := f.open(t)
	if got := s.Expires(); !got.Equal(pair.Cert.NotAfter) {
		t.Errorf("Expires = %v, want %v", got, pair.Cert.NotAfter)
	}
	state, err := meet(t, s.Config(), &tls.Config{RootCAs: top.Pool()})
	if err != nil {
		t.Fatalf("a client that knows the top: %v", err)
	}
	if got := len(state.PeerCertificates); got != 2 {
		t.Errorf("%d certificates are served, want 2", got)
	}
}

// TestEveryCut: wherever the writer of a chain or of a bundle stands, no torn certificate is taken, and what was
// served before is served on.
func TestEveryCut(t *testing.T) {
	a, b := certificatetest.Authority(t, "a"), certificatetest.Authority(t, "b")
	f := files(t, a)
	s := f.open(t)
	whole := slices.Concat(b.CertPEM, a.CertPEM)
	certificatetest.Write(t, f.ClientCA, whole)
	end := []int{len(b.CertPEM) - 1, len(b.CertPEM), len(whole) - 1, len(whole)} // with and without the last line's end
	for n := range len(whole) + 1 {
		certificatetest.Write(t, f.ClientCA, whole[:n])
		changed, err := s.Reload()
		if good := slices.Contains(end, n); good != (err == nil) || !good && changed {
			t.Errorf("%d of %d bytes: Reload = %v, %v", n, len(whole), changed, err)
		}
	}
	if _, err := meet(t, s.Config(), f.client(b.Issue(t, "proxy"))); err != nil {
		t.Errorf("the whole bundle was not taken: %v", err)
	}
}

// FuzzLoad: whatever the files hold, nothing but whole certificates is taken, and never without the demand for
// those of clients.
func FuzzLoad(f *testing.F) {
	pair, ca := certificatetest.SelfSigned(f, "gate"), certificatetest.Authority(f, "clients")
	f.Add(pair.CertPEM, pair.KeyPEM, ca.CertPEM)
	f.Add(slices.Concat(pair.CertPEM, ca.CertPEM), pair.KeyPEM, slices.Concat(ca.CertPEM, ca.CertPEM[:100]))
	f.Add([]byte("-----BEGIN "), block("ENCRYPTED PRIVATE KEY", nil), []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, cert, key, authorities []byte) {
		config, err := certificate.Load(cert, key, authorities)
		if err != nil {
			return
		}
		if config.ClientAuth != tls.RequireAndVerifyClientCert || config.ClientCAs.Equal(x509.NewCertPool()) || !config.SessionTicketsDisabled {
			t.Errorf("clients are let in by %v", config.ClientAuth)
		}
		if blocks := bytes.Count(authorities, []byte("-----BEGIN ")); blocks != bytes.Count(authorities, []byte("-----END ")) {
			t.Errorf("torn authorities were taken: %q", authorities)
		}
		if got := len(config.Certificates); got != 1 || config.Certificates[0].Leaf == nil {
			t.Errorf("%d certificates", got)
		}
	})
}
