package main

import "sync"

// lastLine keeps the last line of a log, for the error that says why a server did not start.
type lastLine struct {
	mu   sync.Mutex
	line string
}

func (l *lastLine) set(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = string(line)
}

func (l *lastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line
}
