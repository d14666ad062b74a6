package server

import (
	"bytes"
	stdlog "log"

	"github.com/rs/zerolog"
)

type stdLogger = stdlog.Logger

// newStdLogger returns a standard logger for libraries that take no other. What it is told is about
// connections of clients, so it goes to debug.
func newStdLogger(log zerolog.Logger) *stdLogger { return stdlog.New(debugWriter{log}, "", 0) }

type debugWriter struct{ log zerolog.Logger }

func (w debugWriter) Write(line []byte) (int, error) {
	w.log.Debug().Msg(string(bytes.TrimSpace(line)))
	return len(line), nil
}
