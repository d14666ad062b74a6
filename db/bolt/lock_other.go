//go:build !unix

package bolt

import (
	"os"
	"time"
)

// lock leaves the locking to bbolt: here a lock would keep even its own process from reading.
func lock(*os.File, time.Duration) error { return nil }

// abandon lets go of a file whose bbolt can no longer be closed in order.
func abandon(file *os.File) error { return file.Close() }
