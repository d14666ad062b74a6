package envoy

// Reader gives a check its message, as the service does.
func Reader(data []byte) func(v any) error { return reader(data, nil, nil) }
