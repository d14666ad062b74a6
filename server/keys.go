package server

import (
	"context"
	"time"
)

// keyInterval is how often the schedule of the keys is looked at, and the key file for a change.
const keyInterval = 30 * time.Second

// keepKeys rotates the signing keys by their schedule and takes over a key file that changed.
func (s *Server) keepKeys(ctx context.Context) {
	tick := time.NewTicker(keyInterval)
	defer tick.Stop()
	for {
		if err := s.keys.Tick(ctx); err != nil && ctx.Err() == nil {
			s.lost("rotating the signing keys", err)
		}
		if err := s.keys.Reload(); err != nil {
			s.lost("reading the signing keys again: those from before stay", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
