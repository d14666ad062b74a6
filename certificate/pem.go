package certificate

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// begin is how each block of PEM begins.
var begin = []byte("-----BEGIN ")

// checkPEM refuses a file that is not all there yet. Readers of PEM pass over what they cannot read, so that a file
// of which only a part is written would be served without the rest of its chain, and half a bundle would refuse
// clients of good authorities.
func checkPEM(name string, content []byte) error {
	blocks := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasPrefix(block.Type, "ENCRYPTED ") || block.Headers["DEK-Info"] != "" {
			return fmt.Errorf("%s is encrypted, and nobody is there to type its passphrase; keep it unencrypted, readable by the service alone", name)
		}
		blocks++
	}
	lastLine := content[bytes.LastIndexByte(content, '\n')+1:]
	if blocks != bytes.Count(content, begin) || len(lastLine) > 0 && bytes.HasPrefix(begin, lastLine) {
		return fmt.Errorf("%s is damaged or only half written: one of its PEM blocks cannot be read", name)
	}
	return nil
}

// authorities returns the certificates of a bundle. Each must be good: one that was passed over would refuse the
// clients it is there for, and nobody would know why.
func authorities(name string, content []byte) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		found++
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of %s: %w", found, name, err)
		}
		pool.AddCert(authority)
	}
	if found == 0 {
		return nil, fmt.Errorf("%s holds no certificate of an authority, in PEM", name)
	}
	return pool, nil
}
