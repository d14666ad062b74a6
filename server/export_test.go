package server

// FlushLog starts the next second of the log, so that every refusal has a line of its own however many a
// test causes.
func (s *Server) FlushLog() { s.journal.Flush() }
