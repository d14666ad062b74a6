package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
)

// Why Open refuses, wrapped in a sentence that names the file and says what to do. All of them
// leave the file as it is.
var (
	ErrInUse   = errors.New("is in use by another process")
	ErrEmpty   = errors.New("is empty")
	ErrNotOurs = errors.New("is not a devicegate store")
	ErrDamaged = errors.New("is damaged")
	ErrNewer   = errors.New("was written by a newer version")
	ErrAccess  = errors.New("cannot be opened")
)

// advice says what to do about each refusal.
var advice = []struct {
	kind error
	do   string
}{
	{ErrInUse, "stop that process, or give this one a file of its own"},
	{ErrEmpty, "restore a backup; only if it never held data remove it, then a new one is made"},
	{ErrNotOurs, "name another file, or move this one away, then a new one is made"},
	{ErrDamaged, "restore a backup; it was left as it is"},
	{ErrNewer, "start the version that wrote it, or a later one"},
}

// refuse wraps err, of one of the kinds above, in the sentence that a person reads.
func refuse(path string, err error) error {
	for _, a := range advice {
		if errors.Is(err, a.kind) {
			return fmt.Errorf("the store %q %w: %s", path, err, a.do)
		}
	}
	return fmt.Errorf("the store %q %w", path, err)
}

// access says what keeps the operating system from opening path.
func access(path string, err error) error {
	dir := filepath.Dir(path)
	because := func(why string) error {
		return refuse(path, fmt.Errorf("%w: %s", ErrAccess, why))
	}
	switch {
	case errors.Is(err, syscall.EISDIR):
		return because("it is a directory, name a file in it")
	case errors.Is(err, syscall.ENOTDIR):
		return because(fmt.Sprintf("%q is not a directory", dir))
	case errors.Is(err, fs.ErrNotExist):
		return because(fmt.Sprintf("the directory %q does not exist, create it", dir))
	case errors.Is(err, syscall.EROFS):
		return because("the file system is read-only, the store must be writable")
	case errors.Is(err, fs.ErrPermission):
		return because(fmt.Sprintf("this user may not read and write it or its directory %q, change their owner or mode", dir))
	}
	return because(oneLine(err))
}

// guard turns a panic of bbolt, and a fault on the mapped file (cut while it is open, or a page
// number beyond its end), into ErrDamaged: a damaged file must not end the process with a stack
// trace.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %s", ErrDamaged, oneLine(p))
		}
	}()
	return fn()
}

// oneLine keeps a foreign text from breaking the one line that an error is.
func oneLine(v any) string {
	return strings.Join(strings.Fields(fmt.Sprint(v)), " ")
}
