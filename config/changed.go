package config

import "reflect"

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
