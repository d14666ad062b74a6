package envoy

// Reader gives a check its message, as the service does.
func Reader(data []byte) func(v any) error { return reader(data, nil, nil) }

// Held returns what calls hold that are not whole, and what those hold whose answer is not written, in bytes.
func (all *Calls) Held() (reading, leaving int) {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.reading.held, all.leaving.held
}
