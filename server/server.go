package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"google.golang.org/grpc/health"

	"devicegate/activity"
	"devicegate/api"
	"devicegate/authz"
	"devicegate/clientaddr"
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
	"devicegate/token/foreign"
)

// Server is one gate. Open makes it, Run serves until its context ends, Close releases what Open took.
type Server struct {
	config   *config.Config
	log      zerolog.Logger
	version  string
	now      func() time.Time
	store    db.Store
	index    *device.Index
	keys     *token.Keyring
	verifier *token.Verifier
	users    *login.Users
	activity *activity.Log
	lockout  *lockout.Counters
	places   *place.Finder
	foreign  *foreign.Issuers // nil where no other issuer is configured
	// offline says that nobody signs in or asks: for a command on the closed file.
	offline  bool
	login    *login.Service
	authz    *authz.Authorizer
	journal  *journal.Journal
	registry *prometheus.Registry
	hasher   password.Hasher
	closers  []func() error

	stopping atomic.Bool  // Run drains and will end
	served   atomic.Int32 // what gRPC health was told last

	grpcHealth *health.Server

	mu        sync.Mutex
	addresses map[string]string
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
	s.registry = prometheus.NewRegistry()
	s.journal = journal.New(s.log, s.config.Log.AllowedSample, s.registry)
	s.index = device.NewIndex(s.keep(), s.ipChange())
	s.registerMetrics()
	if err := s.openAccounts(); err != nil {
		return err
	}
	if err := s.openIssuers(); err != nil {
		return err
	}
	if err := s.openTokens(ctx); err != nil {
		return err
	}
	if err := s.openLogin(ctx); err != nil {
		return err
	}
	s.authz = authz.New(s.authzConfig(), s.verifier, s.index, s.journal, s.now)
	return nil
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

func (s *Server) openTokens(ctx context.Context) error {
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
	verifying := s.tokenConfig()
	if s.foreign != nil {
		verifying.Others = s.foreign
	}
	s.verifier, err = token.NewVerifier(verifying, keys, s.now)
	return err
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

func (s *Server) tokenConfig() token.Config {
	t := s.config.Tokens
	return token.Config{Issuer: t.Issuer, Audience: t.Audience, AccessLifetime: t.AccessLifetime, Leeway: t.Leeway}
}

// keep is how long the end of a device is remembered: as long as any of its tokens could be presented.
func (s *Server) keep() time.Duration {
	return s.config.Tokens.AccessLifetime + s.config.Tokens.Leeway + time.Second
}

func (s *Server) openLogin(ctx context.Context) error {
	issuer, err := token.NewIssuer(s.tokenConfig(), s.keys, s.now, rand.Reader)
	if err != nil {
		return err
	}
	t, d := s.config.Tokens, s.config.Devices
	options := login.Options{
		Store:     s.store,
		Users:     s.users,
		Devices:   s.devices(),
		Passwords: s.hasher,
		Tokens:    issuing{issuer: issuer, lifetime: t.AccessLifetime},
		Config: login.Config{
			RefreshLifetime: t.RefreshLifetime, MaxLifetime: d.MaxLifetime,
			RefreshRotation: t.RefreshRotation, RefreshGrace: t.RefreshGrace, ReuseKnown: d.ReuseKnownDevice,
			Limits:     device.Limits{Max: d.MaxDevices, ByRole: d.MaxDevicesByRole, Hard: d.HardLimit, On: onLimit[d.OnLimit]},
			Weak:       func(phc string) bool { return password.NeedsRehash(phc, s.hashParams()) },
			SignInRate: login.Rate{Count: s.config.API.SignInRate.Count, Per: s.config.API.SignInRate.Per},
		},
		Now: s.now, Rand: rand.Reader, Activity: s.activity, Lockout: s.lockout, Places: s.places, Lost: s.lost,
	}
	if s.foreign != nil {
		options.Foreign = exchanging{s.foreign}
	}
	s.login, err = login.Open(ctx, options)
	return err
}

var onLimit = map[string]device.OnLimit{
	config.EvictLeastRecent: device.EvictLeastRecent,
	config.EvictOldest:      device.EvictOldest,
	config.RefuseSignIn:     device.Refuse,
}

func (s *Server) devices() *device.Registry {
	d := s.config.Devices
	return &device.Registry{
		Store: s.store, Index: s.index, Now: s.now, Keep: s.keep(), Activity: s.activity, Accounts: s.users,
		Rules: device.Rules{
			AllowDelete: d.AllowDelete, AllowUpdate: d.AllowUpdate,
			DeleteDelay: d.DeleteDelay, UpdateDelay: d.UpdateDelay, SeniorityDelay: d.SeniorityDelay,
		},
		CanUpdateOthers: d.DefaultCanUpdateOthers, CanDeleteOthers: d.DefaultCanDeleteOthers,
	}
}

func (s *Server) ipChange() device.IPChange {
	c := s.config.Devices.IPChange
	return device.IPChange{
		Note: c.Action == config.IPChangeNote, Revoke: c.Action == config.IPChangeRevoke,
		Window: c.Window, Exempt: c.Exempt, Told: s.journal.AddressChanged,
	}
}

// issuing gives the login service the issuer in its own words.
type issuing struct {
	issuer   *token.Issuer
	lifetime time.Duration
}

func (i issuing) Issue(s device.Subject) (string, time.Duration, error) {
	raw, _, err := i.issuer.Issue(token.Subject{User: s.User, Device: s.Device, Generation: s.Generation, Username: s.Name, Roles: s.Roles})
	return raw, i.lifetime, err
}

func (s *Server) authzConfig() authz.Config {
	policies := make(map[string]authz.Policy, len(s.config.Policies))
	for name, p := range s.config.Policies {
		policies[name] = authz.Policy{RequireRoles: p.RequireRoles}
	}
	h := s.config.IdentityHeaders
	return authz.Config{
		AllowedPeers: s.config.Checks.AllowedPeers,
		Trusted:      clientaddr.Trusted(s.config.TrustedProxies),
		Policies:     policies,
		Headers:      authz.HeaderNames{User: h.User, Roles: h.Roles, Device: h.Device},
	}
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

// API returns the handler of the API's listener.
func (s *Server) API() http.Handler { return api.New(s.apiOptions(s.config.API.BasePath)) }

// Admin returns the handler of the admin socket, which does everything in the name of actor (activity.BySocket
// or activity.ByFile).
func (s *Server) Admin(actor string) http.Handler { return api.NewAdmin(s.apiOptions(""), actor) }

// RemoteAdmin returns the handler of admin.address.
func (s *Server) RemoteAdmin() http.Handler { return api.NewRemoteAdmin(s.apiOptions("")) }

func (s *Server) apiOptions(base string) api.Options {
	policy := password.Policy{MinLength: s.config.Passwords.MinLength}
	return api.Options{
		Login: s.login, Tokens: s.verifier, Devices: s.index, Keys: s.keys,
		Trusted: clientaddr.Trusted(s.config.TrustedProxies), BasePath: base, Now: s.now, Log: s.log,
		Activity: s.activity, Lockout: s.lockout, Passwords: s.hasher, Issuers: s.issuerNames(), HardLimit: s.config.Devices.HardLimit,
		CheckPassword: func(name, password string) error { return policy.Check(password, name, "devicegate") },
		MakePassword:  func() (string, error) { return password.Generate(rand.Reader) },
	}
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
