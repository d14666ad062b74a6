package keysource

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// readPublicKey reads one public key, or one certificate for the sake of its key, from PEM.
func readPublicKey(content []byte, list []string, now time.Time) (*found, error) {
	begins := bytes.Count(content, []byte("-----BEGIN"))
	if bytes.Contains(content, []byte("PRIVATE KEY-----")) {
		return nil, errors.New("it holds a private key, which only the issuer may have: put the public half alone into it, for instance from: openssl pkey -pubout")
	}
	block, _ := pem.Decode(content)
	if begins == 0 || block == nil {
		return nil, errors.New("it is no PEM: a block PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE is needed (a JWK is named as jwks_file)")
	}
	if begins != 1 {
		return nil, fmt.Errorf("there are %d PEM blocks in it, where one is needed: several keys are named as jwks_file", begins)
	}
	public, warnings, err := parseBlock(block, now)
	if err != nil {
		return nil, err
	}
	one, err := newPublicKey(public, list)
	if err != nil {
		return nil, err
	}
	return &found{one: one, warnings: warnings}, nil
}

func parseBlock(block *pem.Block, now time.Time) (public crypto.PublicKey, warnings []string, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public, warnings = certificate.PublicKey, outdated(certificate, now)
		}
	default:
		return nil, nil, fmt.Errorf("its PEM block is of the type %.40q: PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE is needed", strings.ToValidUTF8(block.Type, "?"))
	}
	if err != nil { // whose text is not for a log: nobody has read what it may quote
		return nil, nil, errors.New("its PEM block is malformed, or holds a key of a kind that is not known: RSA, EC and Ed25519 are accepted")
	}
	return public, warnings, nil
}

// outdated warns of a certificate's dates. They do not count: the operator vouches for the key by naming it.
func outdated(certificate *x509.Certificate, now time.Time) []string {
	switch {
	case now.After(certificate.NotAfter):
		return []string{"the certificate ended on " + certificate.NotAfter.UTC().Format(time.DateOnly) + "; its key is used even so"}
	case now.Before(certificate.NotBefore):
		return []string{"the certificate begins on " + certificate.NotBefore.UTC().Format(time.DateOnly) + "; its key is used even so"}
	default:
		return nil
	}
}
