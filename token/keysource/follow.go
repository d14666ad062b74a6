package keysource

import (
	"context"
	"fmt"
	"time"
)

const (
	refreshEvery = 5 * time.Minute
	firstRetry   = time.Second
	lastRetry    = time.Minute
	unknownGap   = 30 * time.Second // from the beginning of one request to that of the next for an unknown kid
	maxAge       = 24 * time.Hour   // of keys since they were last fetched
	remindEvery  = time.Hour        // of a failure that lasts
	jitter       = 0.1              // a pause is up to this part of it shorter, so that instances spread
)

// following is what Run remembers between two requests.
type following struct {
	fetched  time.Time // by Options.Now, when the keys were last fetched; zero while there are none
	failures int       // in a row
	since    time.Time // of the first of them
	told     time.Time // when a failure was last told
}

// follow asks the address again and again until ctx ends, one request at a time.
func (s *Source) follow(ctx context.Context) {
	var f following
	for {
		began := time.Now()
		err := s.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		s.record(&f, err)
		select {
		case <-s.unknown: // whoever asked meanwhile has been answered
		default:
		}
		if !s.wait(ctx, &f, began) {
			return
		}
	}
}

func (s *Source) refresh(ctx context.Context) error {
	content, err := s.remote.fetch(ctx)
	if err != nil {
		return err
	}
	loaded, err := readJWKS(content, s.options.Algorithms, false)
	if err != nil {
		return fmt.Errorf("its answer: %w", err)
	}
	s.install(loaded)
	return nil
}

// record notes how a request ended. A failure is told when it begins and when it ends, and every hour between.
func (s *Source) record(f *following, err error) {
	now := s.options.Now()
	if err == nil {
		if f.failures > 0 {
			s.log(fmt.Sprintf("%s answers again, after %d failures", s.remote.shown, f.failures), nil)
		}
		*f = following{fetched: now}
		return
	}
	if f.failures++; f.failures == 1 {
		f.since = now
	}
	if f.failures == 1 || now.Sub(f.told) >= remindEvery {
		f.told = now
		s.log(fmt.Sprintf("they cannot be fetched from %s since %s", s.remote.shown, f.since.UTC().Format(time.RFC3339)), err)
	}
	if s.Set().Empty() {
		s.fail(fmt.Errorf("they cannot be fetched from %s: %w", s.remote.shown, err))
	}
}

// expire takes away keys that were last fetched too long ago: one that the issuer has withdrawn meanwhile must not
// be good for ever because nobody can be asked.
func (s *Source) expire(f *following) {
	if f.fetched.IsZero() || s.options.Now().Sub(f.fetched) < maxAge {
		return
	}
	err := fmt.Errorf("they were last fetched from %s at %s, over %s ago", s.remote.shown, f.fetched.UTC().Format(time.RFC3339), maxAge)
	f.fetched = time.Time{}
	s.fail(err)
	s.set.Store(s.Set().replaced(&found{}))
	s.log("none are left", err)
}

// pause returns how long to wait after a request that ended as f says.
func (s *Source) pause(f *following) time.Duration {
	pause := refreshEvery
	if f.failures > 0 {
		pause = lastRetry
		if doublings := f.failures - 1; doublings < 6 { // 2^6 seconds are over a minute
			pause = min(lastRetry, firstRetry<<doublings)
		}
	}
	return pause - time.Duration(s.options.Jitter()*jitter*float64(pause))
}

// wait returns true when it is time for the next request after the one that began at began, and false when ctx
// has ended.
func (s *Source) wait(ctx context.Context, f *following, began time.Time) bool {
	due := time.Now().Add(s.pause(f))
	next := time.NewTimer(time.Until(due))
	defer next.Stop()
	var old <-chan time.Time
	if !f.fetched.IsZero() {
		timer := time.NewTimer(f.fetched.Add(maxAge).Sub(s.options.Now()))
		defer timer.Stop()
		old = timer.C
	}
	unknown := s.unknown
	for {
		select {
		case <-ctx.Done():
			return false
		case <-next.C:
			s.expire(f) // both may be due, and the next request may take its time
			return true
		case <-old:
			s.expire(f)
		case <-unknown:
			unknown = nil // one is enough: a flood must not keep this loop busy
			if soonest := began.Add(unknownGap); soonest.Before(due) {
				next.Reset(time.Until(soonest))
			}
		}
	}
}
