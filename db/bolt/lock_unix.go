//go:build unix

package bolt

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockRetry is the pause between two tries for a lock.
const lockRetry = 20 * time.Millisecond

// lock takes the lock that bbolt takes too, before anything is read. It is bound to the open file,
// so bbolt, which is given the same one, finds it free.
func lock(file *os.File, timeout time.Duration) error {
	for waited := time.Duration(0); ; waited += lockRetry {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("%w: locking it failed: %s", ErrAccess, oneLine(err))
		case waited >= timeout:
			return ErrInUse
		}
		time.Sleep(lockRetry)
	}
}

// abandon lets go of a file whose bbolt can no longer be closed in order: after a panic its locks
// may be held for ever. The mapping stays until the process ends.
func abandon(file *os.File) error {
	return errors.Join(unix.Flock(int(file.Fd()), unix.LOCK_UN), file.Close())
}
