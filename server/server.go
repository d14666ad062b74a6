package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"google.golang.org/grpc/health"

	"devicegate/activity"
	"devicegate/certificate"
	"devicegate/config"
	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/device"
	"devicegate/journal"
	"devicegate/lockout"
	"devicegate/login"
	"devicegate/password"
	"devicegate/place"
	"devicegate/reason"
	"devicegate/token"
)

// Server is one gate. Open makes it, Run serves until its context ends, Close releases what Open took.
type Server struct {
	config   *config.Config // as at the start; what a reload may change is read from live
	log      zerolog.Logger
	version  string
	now      func() time.Time
	store    db.Store
	writes   *writes // the same
	index    *device.Index
	keys     *token.Keyring
	users    *login.Users
	activity *activity.Log
	lockout  *lockout.Counters
	places   *place.Finder
	// offline says that nobody signs in or asks: for a command on the closed file.
	offline  bool
	journal  *journal.Journal
	registry *prometheus.Registry
	hasher   password.Hasher
	closers  []func() error

	stopping atomic.Bool  // Run drains and will end
	served   atomic.Int32 // what gRPC health was told last

	grpcHealth *health.Server
	room       headroom // of the HTTP listeners

	live      atomic.Pointer[live]
	reloading sync.Mutex // held while live is replaced
	sources   sources
	reload    reloading

	mu        sync.Mutex
	addresses map[string]string

	certificates map[string]*certificate.Source // by the listener's name; what is not in it is plain
}

// Option changes what Open puts together.
type Option func(*Server)

// WithStore uses a store that is already open instead of the file; the server closes it.
func WithStore(s db.Store) Option { return func(srv *Server) { srv.store = s } }

// WithHasher computes password hashes with h instead of a worker process. The caller closes it.
func WithHasher(h password.Hasher) Option { return func(srv *Server) { srv.hasher = h } }

// Offline looks no address up and reads no keys of other issuers: for a command that works on the closed file,
// and must not fail or wait for what only sign-ins and checks need.
func Offline() Option { return func(srv *Server) { srv.offline = true } }

// WithVersion names the version in metrics and the log.
func WithVersion(v string) Option { return func(srv *Server) { srv.version = v } }

// WithClock makes now the only clock.
func WithClock(now func() time.Time) Option { return func(srv *Server) { srv.now = now } }

// Open opens the store and puts the services together; nothing listens yet. On an error everything it
// opened is closed again. config is not to be changed afterwards.
func Open(ctx context.Context, cfg *config.Config, log zerolog.Logger, options ...Option) (*Server, error) {
	s := &Server{config: cfg, log: log, now: time.Now, version: "unknown", addresses: map[string]string{}, grpcHealth: health.NewServer()}
	for _, o := range options {
		o(s)
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) error {
	if err := s.openStore(); err != nil {
		return err
	}
	if err := s.openHasher(); err != nil {
		return err
	}
	if err := s.openCertificates(); err != nil {
		return err
	}
	s.registry = prometheus.NewRegistry()
	s.journal = journal.New(s.log, s.config.Log.AllowedSample, s.registry)
	s.index = device.NewIndex(s.keep(), s.ipChange(s.config))
	s.registerMetrics()
	if err := s.openAccounts(); err != nil {
		return err
	}
	if err := s.openKeys(ctx); err != nil {
		return err
	}
	return s.goLive(ctx, s.config)
}

func (s *Server) openStore() error {
	if s.store == nil {
		store, err := bolt.Open(s.config.Store.Path, bolt.Options{})
		if err != nil {
			return err
		}
		for _, w := range store.Warnings() {
			s.log.Warn().Msg(w)
		}
		s.store = store
	}
	s.closers = append(s.closers, s.store.Close)
	s.writes = &writes{Store: s.store}
	s.store = s.writes
	return nil
}

func (s *Server) openHasher() error {
	if s.hasher != nil {
		return nil
	}
	pool, err := password.NewPool(password.Options{Params: s.hashParams(), MaxConcurrent: s.config.Passwords.MaxConcurrent})
	if err != nil {
		return fmt.Errorf("starting the password worker: %w", err)
	}
	s.hasher = pool
	s.closers = append(s.closers, pool.Close)
	return nil
}

func (s *Server) hashParams() password.Params {
	a := s.config.Passwords.Argon2id
	return password.Params{Memory: a.Memory, Iterations: a.Iterations, Parallelism: a.Parallelism}
}

func (s *Server) openKeys(ctx context.Context) error {
	options, err := s.keyOptions()
	if err != nil {
		return err
	}
	keys, err := token.OpenKeyring(ctx, s.activity.Through(s.store), options)
	if err != nil {
		return fmt.Errorf("the signing keys: %w", err)
	}
	for _, w := range keys.Warnings() {
		s.log.Warn().Msg(w)
	}
	s.keys = keys
	return nil
}

func (s *Server) keyOptions() (token.Options, error) {
	t := s.config.Tokens
	o := token.Options{
		Now: s.now, Rand: rand.Reader, Algorithm: token.Algorithm(t.Algorithm), Rotation: t.KeyRotation,
		AccessLifetime: t.AccessLifetime, Leeway: t.Leeway, SigningKeyFile: t.SigningKeyFile,
	}
	if file := s.config.Store.EncryptionKeyFile; file != "" {
		key, err := token.ReadEncryptionKey(file)
		if err != nil {
			return o, fmt.Errorf("store.encryption_key_file: %w", err)
		}
		o.EncryptionKey = key
	}
	return o, nil
}

// keep is how long the end of a device is remembered: as long as any of its tokens could be presented.
func (s *Server) keep() time.Duration {
	return s.config.Tokens.AccessLifetime + s.config.Tokens.Leeway + time.Second
}

// Fill fills the index and keeps it and the keys in step with the store until Close. Checks are refused
// as "starting" before. The end of ctx does not end it: what is removed while requests drain must be
// refused by the checks that drain beside it.
func (s *Server) Fill(ctx context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.closers = append(s.closers, func() error { cancel(); return nil })
	ended, err := s.store.Watch(ctx, s.keys.Revision(), s.applyKeys)
	if err != nil {
		return fmt.Errorf("watching the signing keys: %w", err)
	}
	go func() {
		for range ended { // the index's own feed ends for the same reason, and reports it
		}
	}()
	return s.index.Follow(ctx, s.store, func(err error) {
		s.log.Error().Err(err).Msg("the store can no longer be trusted: every check is refused until a restart")
	})
}

// applyKeys takes one commit. A damaged key leaves no keys at all, so every token is refused.
func (s *Server) applyKeys(b db.Batch) {
	if err := s.keys.Apply(b); err != nil {
		s.log.Error().Err(err).Msg("the signing keys in the store are damaged: every token is refused")
	}
}

// Ready returns nil when checks are answered, or what is missing.
func (s *Server) Ready() error {
	if s.stopping.Load() {
		return errors.New("the service is stopping")
	}
	if why := s.index.State(); why != reason.OK {
		return fmt.Errorf("the device index answers %s", why)
	}
	return s.store.Health()
}

// Close releases what Open took, in reverse order. It is for a server that does not run, or no longer.
func (s *Server) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}
