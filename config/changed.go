package config

import (
	"fmt"
	"reflect"
	"slices"
)

// Agree applies the rules across keys to a configuration that was put together from two: what is new with what
// only a start changes. The error names the first rule that is broken.
func (c *Config) Agree() error {
	whole := *c
	whole.Issuers = slices.Clone(c.Issuers)
	l := &loader{config: &whole, keys: keys(&whole), origin: map[string]origin{}, broken: map[string]bool{}}
	l.checkTogether()
	if len(l.faults) == 0 {
		return nil
	}
	return fmt.Errorf("with keys that count from the next start on it is not valid: %s", l.faults[0].Message)
}

// Changed returns the keys whose values differ, as dotted paths in the order of the table. A map or list counts
// as one key.
func Changed(a, b *Config) []string {
	var changed []string
	theirs := keys(b)
	for i, k := range keys(a) {
		if !reflect.DeepEqual(k.value(), theirs[i].value()) {
			changed = append(changed, k.path)
		}
	}
	return changed
}
