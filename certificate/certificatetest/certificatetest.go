// Package certificatetest makes certificates for tests. They guarantee nothing: their keys are written wherever a test
// likes, and the package must never be linked into a program.
package certificatetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Pair is a certificate and its key.
type Pair struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
	// CertPEM and KeyPEM are both as files hold them.
	CertPEM, KeyPEM []byte
}

// Authority returns a new authority, which has signed itself.
func Authority(tb testing.TB, name string) *Pair {
	tb.Helper()
	return sign(tb, template(name, authority), nil)
}

// Issue returns a certificate of ca for servers and clients at 127.0.0.1 and the name gate.example, good for an hour.
// change may make it another one.
func (ca *Pair) Issue(tb testing.TB, name string, change ...func(*x509.Certificate)) *Pair {
	tb.Helper()
	return sign(tb, template(name, change...), ca)
}

// Intermediate returns an authority below ca.
func (ca *Pair) Intermediate(tb testing.TB, name string) *Pair {
	tb.Helper()
	return ca.Issue(tb, name, authority)
}

// SelfSigned returns a certificate like those of Issue that nobody else has signed.
func SelfSigned(tb testing.TB, name string) *Pair {
	tb.Helper()
	return sign(tb, template(name), nil)
}

// Renew returns another certificate of the same key, signed by itself.
func (p *Pair) Renew(tb testing.TB) *Pair {
	tb.Helper()
	return signKey(tb, p.Key, template("renewed"), nil)
}

// For has a certificate be good for these uses alone.
func For(uses ...x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = uses }
}

// Expired has a certificate end an hour ago.
func Expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = c.NotBefore.Add(-2*time.Hour), c.NotAfter.Add(-2*time.Hour)
}

// TLS returns the pair as crypto/tls takes it.
func (p *Pair) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.Cert.Raw}, PrivateKey: p.Key, Leaf: p.Cert}
}

// Pool returns a pool that trusts the certificate.
func (p *Pair) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Cert)
	return pool
}

// Write writes the pair into dir as tls.crt and tls.key and returns where they are.
func (p *Pair) Write(tb testing.TB, dir string) (cert, key string) {
	tb.Helper()
	return Write(tb, filepath.Join(dir, "tls.crt"), p.CertPEM), Write(tb, filepath.Join(dir, "tls.key"), p.KeyPEM)
}

// Write writes one file and returns its name.
func Write(tb testing.TB, name string, parts ...[]byte) string {
	tb.Helper()
	var content []byte
	for _, part := range parts {
		content = append(content, part...)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}

func template(name string, change ...func(*x509.Certificate)) *x509.Certificate {
	now := time.Now()
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{"gate.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func authority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.DNSNames, c.IPAddresses = true, x509.KeyUsageCertSign, nil, nil, nil
}

// sign makes a key and its certificate; by nobody means by itself.
func sign(tb testing.TB, c *x509.Certificate, by *Pair) *Pair {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return signKey(tb, key, c, by)
}

func signKey(tb testing.TB, key *ecdsa.PrivateKey, c *x509.Certificate, by *Pair) *Pair {
	tb.Helper()
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	var err error
	c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	must(err)
	issuer, signer := c, key
	if by != nil {
		issuer, signer = by.Cert, by.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, &key.PublicKey, signer)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	return &Pair{
		Cert: cert, Key: key,
		CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}
