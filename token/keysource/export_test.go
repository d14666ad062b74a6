package keysource

// NewTransport is the transport of a source, for tests that change who answers and nothing else.
var NewTransport = newTransport

// Parse reads a JWK set as it comes from a URL, and returns the kids of the keys that would be used.
func Parse(content []byte, algorithms []string) ([]string, error) {
	f, err := readJWKS(content, algorithms, false)
	if err != nil {
		return nil, err
	}
	var kids []string
	for kid := range f.keys {
		kids = append(kids, kid)
	}
	return kids, nil
}

// Reload is one look at the file.
func (s *Source) Reload() { s.reload() }
