//go:build !unix

package priority

import "errors"

// Lower has no means on this system, and says so.
func Lower() error { return errors.ErrUnsupported }
