package server

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"devicegate/config"
)

// reloading is where another configuration comes from while the service runs.
type reloading struct {
	load  func() (*config.Config, error) // nil: it does not change
	file  string                         // looked at for changes; "" for none
	taken FileState                      // of the file that the configuration was read from
	asked <-chan os.Signal               // SIGHUP
	good  prometheus.Gauge
	done  *prometheus.CounterVec
}

// WithReload reads the configuration again through load whenever asked delivers, or file is not any more what it was
// before the configuration of Open was read from it.
func WithReload(load func() (*config.Config, error), file string, taken FileState, asked <-chan os.Signal) Option {
	return func(s *Server) { s.reload = reloading{load: load, file: file, taken: taken, asked: asked} }
}

func (s *Server) registerReloads() {
	s.reload.good = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "devicegate_config_last_reload_successful", Help: "1 unless the last attempt to take another configuration failed.",
	})
	s.reload.done = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "devicegate_config_reloads_total", Help: "Attempts to take another configuration.",
	}, []string{"outcome"})
	s.reload.good.Set(1)
	for _, outcome := range []string{reloadDone, reloadFailed} {
		s.reload.done.WithLabelValues(outcome) // both are there from the start
	}
	s.registry.MustRegister(s.reload.good, s.reload.done)
}

const (
	reloadDone   = "success"
	reloadFailed = "failure"
)

// Reload takes another configuration: the whole of it that can change while the service runs, from one request to
// the next. Keys that only a start can change keep their values, and are returned as waiting. On an error
// everything stays as it was. loaded is not to be changed afterwards.
func (s *Server) Reload(ctx context.Context, loaded *config.Config) (changed, waiting []string, err error) {
	next := s.pinned(loaded)
	changed, waiting = config.Changed(s.live.Load().config, next), config.Changed(next, loaded)
	if err = next.Agree(); err == nil {
		err = s.goLive(ctx, next)
	}
	if err != nil {
		s.reload.good.Set(0)
		s.reload.done.WithLabelValues(reloadFailed).Inc()
		return nil, nil, err
	}
	s.reload.good.Set(1)
	s.reload.done.WithLabelValues(reloadDone).Inc()
	return changed, waiting, nil
}

// pinned returns loaded with the values that the service was started with where only a start can change them:
// what is opened then, and what the keys and the index were made for.
func (s *Server) pinned(loaded *config.Config) *config.Config {
	next, start := *loaded, s.config
	next.Store = start.Store
	next.Checks.HTTP, next.Checks.GRPC.Address, next.Checks.GRPC.TLS = start.Checks.HTTP, start.Checks.GRPC.Address, start.Checks.GRPC.TLS
	next.API.TLS = start.API.TLS
	next.API.Address, next.Admin, next.Operations = start.API.Address, start.Admin, start.Operations
	next.Tokens.Algorithm, next.Tokens.SigningKeyFile = start.Tokens.Algorithm, start.Tokens.SigningKeyFile
	next.Tokens.KeyRotation, next.Tokens.AccessLifetime = start.Tokens.KeyRotation, start.Tokens.AccessLifetime
	next.Tokens.Leeway = start.Tokens.Leeway
	next.Passwords.Argon2id, next.Passwords.MaxConcurrent = start.Passwords.Argon2id, start.Passwords.MaxConcurrent
	next.Activity, next.Lockout, next.Geo = start.Activity, start.Lockout, start.Geo
	next.Log, next.ShutdownTimeout = start.Log, start.ShutdownTimeout
	if next.LetsEverybodyAsk() {
		// Meant for listeners that demand certificates of their callers, which they do from the next start on.
		next.Checks.AllowedPeers = s.live.Load().config.Checks.AllowedPeers
	}
	return &next
}

// fileInterval is how often the configuration file is looked at.
const fileInterval = 2 * time.Second

// followConfig reloads when it is asked to, and when the file has changed and then stayed the same from one look to
// the next: half of a file may be valid too, and demand less than the whole.
func (s *Server) followConfig(ctx context.Context) {
	if s.reload.load == nil {
		return
	}
	tick := time.NewTicker(fileInterval)
	defer tick.Stop()
	taken := s.reload.taken
	seen := taken
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.reload.asked:
			taken = StateOf(s.reload.file)
			seen = taken
			s.reloadNow(ctx, "SIGHUP")
		case <-tick.C:
			now := StateOf(s.reload.file)
			if settled := now == seen; settled && now != taken {
				taken = now
				s.reloadNow(ctx, "the file changed")
			}
			seen = now
		}
	}
}

// reloadNow reads the configuration and takes it, or says why it cannot.
func (s *Server) reloadNow(ctx context.Context, why string) {
	loaded, err := s.reload.load()
	if err != nil {
		s.reload.good.Set(0)
		s.reload.done.WithLabelValues(reloadFailed).Inc()
		s.refuseReload(why, err)
		return
	}
	changed, waiting, err := s.Reload(ctx, loaded)
	if err != nil {
		s.refuseReload(why, err)
		return
	}
	for _, w := range loaded.Warnings {
		s.log.Warn().Msg(w)
	}
	if len(waiting) > 0 {
		s.log.Warn().Strs("keys", waiting).Msg("these keys have changed and count from the next start on")
	}
	s.log.Info().Str("why", why).Strs("changed", changed).Msg("configuration reloaded")
}

// refuseReload tells of every fault on a line of its own.
func (s *Server) refuseReload(why string, err error) {
	var faults *config.Faults
	if errors.As(err, &faults) {
		for fault := range strings.Lines(faults.Error()) {
			s.log.Error().Str("fault", strings.TrimSpace(fault)).Msg("the configuration has a fault")
		}
		err = errors.New("it has faults")
	}
	s.log.Error().Str("why", why).Err(err).Msg("the configuration was not reloaded: the one from before stays")
}

// FileState tells one state of a file from another. The zero value is that of a file which is not there.
type FileState struct {
	size     int64
	modified time.Time
	identity any // the file that the name leads to
}

// StateOf returns the state of a file as it is now.
func StateOf(name string) FileState {
	info, err := os.Stat(name)
	if err != nil {
		return FileState{}
	}
	return FileState{size: info.Size(), modified: info.ModTime(), identity: identityOf(info)}
}
