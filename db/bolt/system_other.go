//go:build !linux

package bolt

import (
	"errors"
	"fmt"
)

// renameNew fails: there is no rename here that leaves an existing file alone.
func renameNew(_, to string) error {
	return fmt.Errorf("put %q on a file system with hard links: %w", to, errors.ErrUnsupported)
}
