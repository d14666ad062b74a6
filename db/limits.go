package db

import "fmt"

// Validate returns an error that wraps ErrLimit and names the fault where the transaction breaks a
// limit of the seam. Every engine calls it first, so that what one engine takes no other refuses.
func (t Txn) Validate() error {
	if len(t.If) > MaxConditions {
		return fmt.Errorf("%w: %d conditions, at most %d", ErrLimit, len(t.If), MaxConditions)
	}
	if len(t.Writes) > MaxWrites {
		return fmt.Errorf("%w: %d writes, at most %d", ErrLimit, len(t.Writes), MaxWrites)
	}
	for _, c := range t.If {
		if err := validKey(c.Key); err != nil {
			return err
		}
	}
	seen := make(map[string]struct{}, len(t.Writes))
	for _, w := range t.Writes {
		if err := validKey(w.Key); err != nil {
			return err
		}
		if len(w.Value) > MaxValue {
			return fmt.Errorf("%w: the value of %q has %d bytes, at most %d", ErrLimit, w.Key, len(w.Value), MaxValue)
		}
		if _, twice := seen[w.Key]; twice {
			return fmt.Errorf("%w: the key %q is written twice", ErrLimit, w.Key)
		}
		seen[w.Key] = struct{}{}
	}
	return nil
}

func validKey(key string) error {
	if key == "" {
		return fmt.Errorf("%w: an empty key", ErrLimit)
	}
	if len(key) > MaxKey {
		return fmt.Errorf("%w: a key of %d bytes, at most %d", ErrLimit, len(key), MaxKey)
	}
	return nil
}
