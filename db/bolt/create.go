package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// create makes the file at path: whole and synced under a temporary name first, because a crash in
// the midst would leave a file that must be refused, then put in place. Where another process was
// faster its file stays and that is no error.
func create(path string) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return access(path, err)
	}
	name := temporary.Name()
	err = errors.Join(temporary.Close(), build(name))
	if err == nil {
		err = place(name, path)
	}
	if gone := os.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return refuse(path, fmt.Errorf("%w: it could not be made: %s", ErrAccess, oneLine(err)))
	}
	return nil
}

// build writes an empty store into the empty file name; bbolt syncs every step.
func build(name string) error {
	bolt, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: defaultTimeout})
	if err != nil {
		return err
	}
	err = bolt.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucket(bucketKV); err != nil {
			return err
		}
		meta, err := tx.CreateBucket(bucketMeta)
		if err != nil {
			return err
		}
		identity, err := uuid.NewRandom()
		if err != nil {
			return err
		}
		return errors.Join(
			meta.Put(keyFormat, []byte(formatName)),
			meta.Put(keyVersion, binary.BigEndian.AppendUint64(nil, formatVersion)),
			meta.Put(keyIdentity, []byte(identity.String())),
			meta.Put(keyRevision, binary.BigEndian.AppendUint64(nil, 0)),
		)
	})
	return errors.Join(err, bolt.Close())
}

// place gives the finished file its name without ever replacing another: a plain rename would put
// an empty store over the one that a second process made meanwhile.
func place(temporary, path string) error {
	err := os.Link(temporary, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = renameNew(temporary, path) // file systems without hard links
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// syncDir makes the new name survive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
