package login

// NameKey returns the key of the record that holds name.
func NameKey(name string) string { return nameKey(name) }

// Cut is what bounds the text that a client sends.
func Cut(s string, n int) string { return cut(s, n) }
