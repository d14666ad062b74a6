package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"devicegate/db"
)

// judge says what a failed commit has left behind. bbolt writes a commit in this order: it grows the
// file, writes the new pages beside the old ones, syncs, writes one header, syncs; the header is
// what makes the commit. So only a lack of room, met while growing or writing and not while
// syncing, with both headers read back as they were, is surely a commit that did not happen and
// leaves the store as it was. Everything else may have been kept, or lost later, and poisons: after
// a failed sync the kernel may drop the pages and let the next sync succeed.
func (s *Store) judge(err error, before []byte) error {
	cause := err
	if met := s.logged.get(); met != nil {
		cause = met // bbolt's own error has lost the number of the one it met
	}
	if !noRoom(cause) && !errors.Is(err, bbolterrors.ErrMaxSizeReached) {
		return err
	}
	after, readErr := s.headers()
	if readErr != nil || !bytes.Equal(before, after) {
		return err
	}
	return fmt.Errorf("%w: no room for it: %s", db.ErrUnavailable, oneLine(err))
}

// noRoom reports whether err is a write or a growth for which there was no room: a full disk, a
// quota, a limit on the size of a file. A sync that reports the same is not among them.
func noRoom(err error) bool {
	var path *fs.PathError
	if !errors.As(err, &path) || path.Op != "write" && path.Op != "truncate" {
		return false
	}
	return errors.Is(path.Err, syscall.ENOSPC) || errors.Is(path.Err, syscall.EDQUOT) || errors.Is(path.Err, syscall.EFBIG)
}

// headers reads both headers as they are in the file.
func (s *Store) headers() ([]byte, error) {
	const size = pageHeader + metaSize
	both := make([]byte, 2*size)
	_, err := s.file.ReadAt(both[:size], 0)
	if err == nil {
		_, err = s.file.ReadAt(both[size:], s.pageSize)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its headers cannot be read: %s", ErrDamaged, oneLine(err))
	}
	return both, nil
}

// firstError is a logger that keeps the first error bbolt reports since the last reset: the one that
// it met itself, where the error it returns has only its text.
type firstError struct {
	bbolt.DefaultLogger // discards
	mu                  sync.Mutex
	err                 error
}

var _ bbolt.Logger = (*firstError)(nil)

// Errorf implements bbolt.Logger.
func (l *firstError) Errorf(_ string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, arg := range args {
		if err, ok := arg.(error); ok && l.err == nil {
			l.err = err
		}
	}
}

func (l *firstError) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = nil
}

func (l *firstError) get() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
