package certificate_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"devicegate/certificate"
	"devicegate/certificate/certificatetest"
)

// reload demands what a Reload says.
func reload(t *testing.T, what string, s *certificate.Source, changed, fails bool) {
	t.Helper()
	got, err := s.Reload()
	if got != changed || (err != nil) != fails {
		t.Errorf("%s: Reload = %v, %v", what, got, err)
	}
}

// serves demands the certificate that a new connection is served with.
func serves(t *testing.T, what string, f *folder, s *certificate.Source, want *certificatetest.Pair) {
	t.Helper()
	state, err := meet(t, s.Config(), f.client(nil))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if !state.PeerCertificates[0].Equal(want.Cert) {
		t.Errorf("%s: another certificate is served", what)
	}
	if !s.Expires().Equal(want.Cert.NotAfter) {
		t.Errorf("%s: Expires = %v, want %v", what, s.Expires(), want.Cert.NotAfter)
	}
}

func TestReload(t *testing.T) {
	f := files(t, nil)
	s := f.open(t)
	serves(t, "at the start", f, s, f.pair)
	reload(t, "nothing has changed", s, false, false)

	next := f.ca.Issue(t, "next")
	certificatetest.Write(t, f.Cert, next.CertPEM)
	reload(t, "the certificate is new and the key is not", s, false, true)
	serves(t, "half changed", f, s, f.pair)
	reload(t, "and still", s, false, true)
	certificatetest.Write(t, f.Key, next.KeyPEM)
	reload(t, "the key is new as well", s, true, false)
	serves(t, "changed", f, s, next)
	reload(t, "nothing has changed since", s, false, false)

	remove(t, f.Key)
	reload(t, "the key is away", s, false, true)
	serves(t, "without a key", f, s, next)
	certificatetest.Write(t, f.Key, next.KeyPEM)
	reload(t, "the same key is back", s, false, false)

	certificatetest.Write(t, f.Cert, nil)
	reload(t, "the certificate is empty", s, false, true)
	directory(t, f.Cert)
	reload(t, "the certificate is a folder", s, false, true)
	pipe(t, f.Cert)
	reload(t, "the certificate is a pipe", s, false, true)
	serves(t, "after all that", f, s, next)
	remove(t, f.Cert)
	f.pair.Write(t, f.dir)
	reload(t, "the first pair is back", s, true, false)
	serves(t, "the first pair", f, s, f.pair)
}

// TestRenewedWithTheSameKey: the certificate alone is another.
func TestRenewedWithTheSameKey(t *testing.T) {
	f := files(t, nil)
	s := f.open(t)
	renewed := f.pair.Renew(t)
	certificatetest.Write(t, f.Cert, renewed.CertPEM)
	reload(t, "renewed", s, true, false)
	if !s.Expires().Equal(renewed.Cert.NotAfter) {
		t.Errorf("Expires = %v, want %v", s.Expires(), renewed.Cert.NotAfter)
	}
}

// TestSwappedLink: Kubernetes changes mounted files by pointing a link at another folder.
func TestSwappedLink(t *testing.T) {
	f := files(t, nil)
	next := f.ca.Issue(t, "next")
	for name, pair := range map[string]*certificatetest.Pair{"..one": f.pair, "..two": next} {
		if err := os.Mkdir(filepath.Join(f.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		pair.Write(t, filepath.Join(f.dir, name))
	}
	point := func(to string) {
		link := filepath.Join(f.dir, "..data_tmp")
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(f.dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	point("..one")
	for _, name := range []string{f.Cert, f.Key} {
		remove(t, name)
		if err := os.Symlink(filepath.Join("..data", filepath.Base(name)), name); err != nil {
			t.Fatal(err)
		}
	}
	s := f.open(t)
	serves(t, "at the start", f, s, f.pair)
	point("..two")
	reload(t, "the link has moved", s, true, false)
	serves(t, "the link has moved", f, s, next)
	point("..three")
	reload(t, "the link leads nowhere", s, false, true)
	serves(t, "the link leads nowhere", f, s, next)
}

// TestReloadWhileConnecting: each connection is served by one state of the files, whole.
func TestReloadWhileConnecting(t *testing.T) {
	clients := certificatetest.Authority(t, "clients")
	f := files(t, clients)
	s, proxy, next := f.open(t), clients.Issue(t, "proxy"), f.ca.Issue(t, "next")
	done := make(chan struct{})
	var connecting sync.WaitGroup
	for range 2 {
		connecting.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := meet(t, s.Config(), f.client(proxy)); err != nil {
					t.Errorf("while files change: %v", err)
					return
				}
			}
		})
	}
	for i := range 50 {
		[]*certificatetest.Pair{next, f.pair}[i%2].Write(t, f.dir)
		if changed, err := s.Reload(); err != nil || !changed {
			t.Errorf("Reload = %v, %v", changed, err)
		}
	}
	close(done)
	connecting.Wait()
}

// TestAuthorityTakenOut: the next connection is refused, also for a client that was here before and has kept what it
// was given to resume its session.
func TestAuthorityTakenOut(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			theirs, others := certificatetest.Authority(t, "theirs"), certificatetest.Authority(t, "others")
			f := files(t, theirs)
			certificatetest.Write(t, f.ClientCA, theirs.CertPEM, others.CertPEM)
			s := f.open(t)
			served := s.Config() // one, as a listener has it: it keeps the keys of tickets
			client, other := f.client(theirs.Issue(t, "proxy")), f.client(others.Issue(t, "another"))
			client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(0)
			for range 2 {
				if state, err := meet(t, served, client); err != nil || state.DidResume {
					t.Fatalf("before: resumed %v, %v", state.DidResume, err)
				}
			}
			certificatetest.Write(t, f.ClientCA, others.CertPEM)
			reload(t, "the authority is out", s, true, false)
			if _, err := meet(t, served, client); err == nil {
				t.Error("a client whose authority was taken out is served")
			}
			if _, err := meet(t, served, other); err != nil {
				t.Errorf("a client of the authority that stays: %v", err)
			}
			half(t, f.ClientCA)
			reload(t, "the other one is damaged", s, false, true)
			if _, err := meet(t, served, client); err == nil {
				t.Error("damage brings an authority back")
			}
		})
	}
}
