package config

// Paths returns the dotted paths of all keys.
func Paths() []string {
	c := Default()
	var paths []string
	for _, k := range keys(&c) {
		paths = append(paths, k.path)
	}
	return paths
}

// Variable is variable.
var Variable = variable
