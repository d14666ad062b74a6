package place

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// maxFile bounds the file, in bytes. The largest databases of cities have a few hundred MB.
const maxFile = 1 << 30

// ErrFile means: the file that geo.mmdb_file names cannot be used.
var ErrFile = errors.New("geo.mmdb_file cannot be used")

var errChanging = errors.New("it changed while it was read")

// file is the configured file and the last good database that was read from it.
type file struct {
	path string
	good atomic.Pointer[database] // never nil after openFile

	mu   sync.Mutex  // one reads at a time
	seen fs.FileInfo // of the last file that was parsed
	bad  error       // why that one was not taken
}

// openFile reads the file for the first time. Its errors are ErrFile and say what to do.
func openFile(path string) (*file, error) {
	f := &file{path: path}
	if _, err := f.reload(); err != nil {
		return nil, fmt.Errorf("%w: %w; name a GeoIP2 or GeoLite2 City or Country database (.mmdb), or leave it empty",
			ErrFile, err)
	}
	return f, nil
}

// reload reads the file if it is another one than before and reports whether it took the new one. A file that
// is no good is not read again until it changes, and is reported again at every call.
func (f *file) reload() (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return false, err
	}
	if f.seen != nil && same(info, f.seen) {
		return false, f.bad
	}
	data, info, err := read(f.path)
	if err != nil {
		return false, err
	}
	db, err := parse(data)
	f.seen, f.bad = info, nil
	if err != nil {
		f.bad = fmt.Errorf("%s is no MaxMind DB file of places: %w", f.path, err)
		return false, f.bad
	}
	f.good.Store(db)
	return true, nil
}

// read returns what is in a regular file and which one it was.
func read(path string) ([]byte, fs.FileInfo, error) {
	// Before it is opened, since opening a named pipe waits for somebody to write.
	if info, err := os.Stat(path); err != nil {
		return nil, nil, err
	} else if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	data, info, err := whole(f)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return data, info, nil
}

// whole reads an open file. One that changes meanwhile is an error: half of it would be old and half new.
func whole(f fs.File) ([]byte, fs.FileInfo, error) {
	before, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if before.Size() > maxFile {
		return nil, nil, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	data := make([]byte, before.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, nil, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !same(before, after) {
		return nil, nil, errChanging
	}
	return data, after, nil
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
