// Package certificate keeps the certificate of a listener, and the authorities of its clients, in step with their
// files. It fails closed: a file that cannot be used leaves what was there before, and what was never there is an
// error at the start; where client certificates are demanded, no connection is served without a good one.
package certificate

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// Files name where everything is, as PEM. Cert may hold intermediate certificates behind the first.
type Files struct {
	Cert, Key string
	ClientCA  string // "" where clients need no certificate
}

// maxFile is far above any chain or bundle: something larger is the wrong file.
const maxFile = 1 << 20

// Source is a certificate that may change. It is safe for concurrent use.
type Source struct {
	files   Files
	protos  []string
	current atomic.Pointer[loaded]
}

// loaded is one state of the files.
type loaded struct {
	config  *tls.Config
	content [3][]byte
	expires time.Time
}

// Open reads the files. protos are the protocols of ALPN, the preferred one first. The error names the file and says
// what is wrong with it.
func Open(files Files, protos ...string) (*Source, error) {
	s := &Source{files: files, protos: protos}
	_, err := s.Reload()
	return s, err
}

// Config returns the configuration of a server that serves every new connection with what the files hold then.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: s.protos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.current.Load().config, nil
		},
	}
}

// Expires returns when the certificate does.
func (s *Source) Expires() time.Time { return s.current.Load().expires }

// Reload reads the files again and takes them if they differ from before and can all be used; else everything stays. It
// is to be called every minute or so.
func (s *Source) Reload() (changed bool, err error) {
	var content [3][]byte
	for i, name := range []string{s.files.Cert, s.files.Key, s.files.ClientCA} {
		if name == "" {
			continue
		}
		if content[i], err = read(name); err != nil {
			return false, err
		}
	}
	if before := s.current.Load(); before != nil && same(before.content, content) {
		return false, nil
	}
	next, err := s.load(content)
	if err != nil {
		return false, err
	}
	s.current.Store(next)
	return true, nil
}

func same(a, b [3][]byte) bool {
	return bytes.Equal(a[0], b[0]) && bytes.Equal(a[1], b[1]) && bytes.Equal(a[2], b[2])
}

func (s *Source) load(content [3][]byte) (*loaded, error) {
	for i, name := range []string{s.files.Cert, s.files.Key, s.files.ClientCA} {
		if err := checkPEM(name, content[i]); err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		// Bounded: it lists the kinds of all blocks of a file that is something else.
		return nil, fmt.Errorf("%s and %s are no certificate and its key: %.200s", s.files.Cert, s.files.Key, err.Error())
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: s.protos, Certificates: []tls.Certificate{pair}}
	if s.files.ClientCA != "" {
		if config.ClientCAs, err = authorities(s.files.ClientCA, content[2]); err != nil {
			return nil, err
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
		// A ticket would let a client go on whose authority was taken out meanwhile.
		config.SessionTicketsDisabled = true
	}
	return &loaded{config: config, content: content, expires: pair.Leaf.NotAfter}, nil
}

func read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	switch {
	case len(content) > maxFile:
		return nil, fmt.Errorf("%s is over %d bytes: it is no certificate and no key", name, maxFile)
	case len(bytes.TrimSpace(content)) == 0:
		return nil, errors.New(name + " is empty")
	}
	return content, nil
}
