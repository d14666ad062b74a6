package keysource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

const (
	maxKeyFile = 16 << 10 // bytes, of a secret or a PEM file

	lookEvery = 30 * time.Second

	// settled is how old a file must be for its time, size and number to speak for its content: a second change
	// within the clock's step would go unseen.
	settled = 2 * time.Second
)

// watched is a file of keys, and how it was when it was last read.
type watched struct {
	setting string // its name in the configuration
	path    string
	limit   int // bytes
	parse   func(content []byte, info os.FileInfo, now time.Time) (*found, error)
	seen    os.FileInfo // nil when the file is to be read in any case
	read    os.FileInfo // what the last reading was of, nil where it failed before that
	last    complaint   // zero when the file is good
}

// complaint is what was told about a bad file, and about which.
type complaint struct {
	text  string
	about os.FileInfo
}

// watched returns the file that o names.
func (o *Options) watched() *watched {
	switch list := o.Algorithms; {
	case o.SecretFile != "":
		return &watched{setting: "secret_file", path: o.SecretFile, limit: maxKeyFile, parse: func(content []byte, info os.FileInfo, _ time.Time) (*found, error) {
			f, err := readSecret(content, list)
			if err == nil && info.Mode().Perm()&0o004 != 0 {
				f.warnings = append(f.warnings, fmt.Sprintf("secret_file %s can be read by everybody on this machine (mode %#o): chmod 0600, in Kubernetes defaultMode: 0400", o.SecretFile, info.Mode().Perm()))
			}
			return f, err
		}}
	case o.PublicKeyFile != "":
		return &watched{setting: "public_key_file", path: o.PublicKeyFile, limit: maxKeyFile, parse: func(content []byte, _ os.FileInfo, now time.Time) (*found, error) {
			return readPublicKey(content, list, now)
		}}
	default:
		return &watched{setting: "jwks_file", path: o.JWKSFile, limit: maxDocument, parse: func(content []byte, _ os.FileInfo, _ time.Time) (*found, error) {
			return readJWKS(content, list, true)
		}}
	}
}

// String names the file in messages.
func (w *watched) String() string { return w.setting + " " + w.path }

// look reads the file, or returns nil where it is as before. The path is followed anew each time: Kubernetes puts
// another folder in the place of the old one.
func (w *watched) look(now time.Time) (*found, error) {
	info, err := os.Stat(w.path)
	if err != nil {
		w.seen, w.read = nil, nil
		return nil, withoutPath(err)
	}
	if same(w.seen, info) {
		return nil, nil
	}
	w.seen, w.read = nil, nil
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, errors.New("it is not a regular file")
	}
	content, info, err := readWhole(w.path, w.limit)
	if err != nil {
		return nil, err
	}
	if now.Sub(info.ModTime()) >= settled {
		w.seen = info // also of a bad file: it is not read again before it is changed
	}
	w.read = info
	return w.parse(content, info, now)
}

func same(a, b os.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// readWhole returns a file's content and what it was, if it was the same before and after.
func readWhole(path string, limit int) ([]byte, os.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	defer func() { _ = file.Close() }()
	before, err := file.Stat()
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	content, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	if len(content) > limit {
		return nil, nil, fmt.Errorf("it is over %d bytes: is it the right file?", limit)
	}
	after, err := file.Stat()
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	if !same(before, after) {
		return nil, nil, errors.New("it changed while it was read: write it beside its place and rename it")
	}
	return content, after, nil
}

// withoutPath drops the path from err, which the message names already.
func withoutPath(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// watch looks at the file every 30 seconds until ctx ends.
func (s *Source) watch(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.reload()
		}
	}
}

// reload takes the file whole or leaves the keys as they are. What is wrong with it is told once, not at every
// look.
func (s *Source) reload() {
	w := s.file
	loaded, err := w.look(s.options.Now())
	if err != nil {
		if w.news(err) {
			s.log(fmt.Sprintf("%s cannot be used, so the keys stay as they were", w), err)
		}
		return
	}
	if loaded == nil {
		return
	}
	if w.last.text != "" {
		w.last = complaint{}
		s.log(fmt.Sprintf("%s is good again", w), nil)
	}
	known := s.Warnings()
	s.install(loaded)
	for _, warning := range loaded.warnings {
		if !slices.Contains(known, warning) {
			s.log(w.String(), errors.New(warning))
		}
	}
}

// news says whether err is another one than the last, or about another file.
func (w *watched) news(err error) bool {
	before := w.last
	w.last = complaint{err.Error(), w.read}
	if before.text != w.last.text || (before.about == nil) != (w.read == nil) {
		return true
	}
	return w.read != nil && !same(before.about, w.read)
}
