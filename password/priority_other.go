//go:build !unix

package password

import "errors"

// lowerPriority has no means on this system, and says so.
func lowerPriority() error { return errors.ErrUnsupported }
