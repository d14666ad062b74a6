package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"devicegate/db"
)

// defaultTimeout bounds the wait for a lock: long enough for the overlap of a restart, short enough
// that a person sees the error within a second.
const defaultTimeout = 500 * time.Millisecond

// Open opens the store at path, and makes it, readable by its owner alone, where no file is. Any
// file that is there is used or refused (see the errors of this package), never replaced. The
// caller closes the store.
func Open(path string, opts Options) (*Store, error) {
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	file, err := openOrCreate(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, file: file, commit: (*bbolt.Tx).Commit}
	if err := s.open(opts); err != nil {
		return nil, refuse(path, err)
	}
	go s.write()
	return s, nil
}

// openOrCreate returns the file, not yet locked nor looked into.
func openOrCreate(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, err
		}
		file, err = os.OpenFile(path, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, access(path, err)
	}
	return file, nil
}

// open locks the file, inspects it and hands it, still locked, to bbolt. The lock comes first:
// what another process is writing would look damaged.
func (s *Store) open(opts Options) (err error) {
	taken := false // bbolt closes the file when it has taken it
	defer func() {
		if err != nil && !taken {
			_ = s.file.Close() // nothing was written through it
		}
	}()
	if err := s.lock(opts.Timeout); err != nil {
		return err
	}
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("%w: %s", ErrAccess, oneLine(err))
	}
	if err := guard(func() error { return s.inspect(info) }); err != nil {
		return err
	}
	taken = true
	if err := s.openBolt(opts); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		_ = guard(s.bolt.Close) // nothing was written through it
		return err
	}
	return nil
}

func (s *Store) lock(timeout time.Duration) error {
	if err := lock(s.file, timeout); err != nil {
		return err
	}
	// A restore may have put another file in this place while we waited.
	held, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("%w: %s", ErrAccess, oneLine(err))
	}
	if named, err := os.Stat(s.path); err != nil || !os.SameFile(held, named) {
		return fmt.Errorf("%w, which has just replaced it", ErrInUse)
	}
	return nil
}

func (s *Store) inspect(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: it is not a regular file", ErrNotOurs)
	}
	found, err := inspect(s.file, info.Size())
	if err != nil {
		return err
	}
	s.pageSize = found.pageSize
	if found.halved {
		s.warnings = append(s.warnings, fmt.Sprintf("one of the two headers of the store %q is damaged; it goes on from the other, "+
			"so the last write before the damage may be missing", s.path))
	}
	if info.Mode().Perm()&0o077 != 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("the store %q can be opened by other users (mode %04o); it holds private keys: chmod 600",
			s.path, info.Mode().Perm()))
	}
	return nil
}

// openBolt never lets bbolt open a file by itself: it would fill an empty one in silence.
func (s *Store) openBolt(opts Options) error {
	s.logged = &firstError{DefaultLogger: bbolt.DefaultLogger{Logger: log.New(io.Discard, "", 0)}}
	err := guard(func() (err error) {
		s.bolt, err = bbolt.Open(s.path, 0o600, &bbolt.Options{
			Timeout:      opts.Timeout,
			MaxSize:      int(opts.MaxSize),
			FreelistType: bbolt.FreelistMapType,
			Logger:       s.logged,
			OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return s.file, nil },
		})
		return err
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bbolterrors.ErrTimeout):
		return ErrInUse
	case errors.Is(err, ErrDamaged): // a panic: bbolt has let go of nothing
		_ = abandon(s.file)
		return err
	}
	return fmt.Errorf("%w: %s", ErrDamaged, oneLine(err))
}

// load reads what the bucket meta says about the file.
func (s *Store) load() error {
	var opened db.Revision
	err := guard(func() error {
		return s.bolt.View(func(tx *bbolt.Tx) error {
			meta := tx.Bucket(bucketMeta)
			if meta == nil || string(meta.Get(keyFormat)) != formatName {
				return ErrNotOurs
			}
			version := meta.Get(keyVersion)
			if len(version) != 8 {
				return fmt.Errorf("%w: its format has no version", ErrDamaged)
			}
			if v := binary.BigEndian.Uint64(version); v != formatVersion {
				return fmt.Errorf("%w (format %d, this one knows %d)", ErrNewer, v, formatVersion)
			}
			id, err := uuid.ParseBytes(meta.Get(keyIdentity))
			revision, ok := revisionIn(meta.Get(keyRevision))
			if err != nil || !ok || revision < 0 || tx.Bucket(bucketKV) == nil {
				return fmt.Errorf("%w: its identity, revision or records are missing", ErrDamaged)
			}
			s.identity, opened = id.String(), revision
			return nil
		})
	})
	if err != nil {
		return err
	}
	s.feed = newFeed(opened)
	s.requests = make(chan *request)
	s.closing = make(chan struct{})
	s.stopped = make(chan struct{})
	return nil
}
