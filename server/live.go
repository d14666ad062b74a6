package server

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"reflect"
	"time"

	"devicegate/activity"
	"devicegate/api"
	"devicegate/authz"
	"devicegate/clientaddr"
	"devicegate/config"
	"devicegate/device"
	"devicegate/forwardauth"
	"devicegate/login"
	"devicegate/password"
	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/foreign"
)

// live is what one configuration makes of the service: all that a request is decided by. It is never changed. A
// reload makes another one and puts it in its place, so that no request sees half of a configuration.
type live struct {
	config   *config.Config
	sources  map[sourceKey]*source
	foreign  *foreign.Issuers // nil where no other issuer is configured
	verifier *token.Verifier
	asserter *token.Asserter // nil where no assertions are made
	login    *login.Service
	authz    *authz.Authorizer
	api      http.Handler
	remote   http.Handler            // admin.address
	admin    map[string]http.Handler // by whoever acts without a token
}

// goLive builds what cfg says and puts it in the place of what there was. On an error everything stays.
func (s *Server) goLive(ctx context.Context, cfg *config.Config) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	next, err := s.build(ctx, cfg, s.live.Load())
	if err != nil {
		return err
	}
	// First what admits nobody by itself.
	s.index.Change(s.ipChange(cfg))
	if len(cfg.Issuers) > 0 {
		s.index.AcceptForeign(device.ForeignRules{
			Keep: foreignKeep(cfg), Lifetime: cfg.Devices.MaxLifetime, NameKey: login.ForeignNameKey,
		})
	}
	s.live.Store(next)
	s.sources.keep(next.sources)
	return nil
}

// build makes all of it anew but what is the same as before, which keeps what it remembers: keys that were
// fetched, tokens that were verified. before is nil at the start.
func (s *Server) build(ctx context.Context, cfg *config.Config, before *live) (*live, error) {
	l := &live{config: cfg}
	var err error
	if err = s.buildIssuers(l, before); err != nil {
		return nil, err
	}
	if err = s.buildVerifier(l, before); err != nil {
		return nil, err
	}
	if err = s.buildAsserter(l, before); err != nil {
		return nil, err
	}
	if err = s.buildLogin(ctx, l, before); err != nil {
		return nil, err
	}
	l.authz = authz.New(s.authzConfig(l), l.verifier, s.index, s.journal, s.now)
	l.api, l.remote = api.New(s.apiOptions(l, cfg.API.BasePath)), api.NewRemoteAdmin(s.apiOptions(l, ""))
	l.admin = map[string]http.Handler{}
	for _, actor := range []string{activity.BySocket, activity.ByFile} {
		l.admin[actor] = api.NewAdmin(s.apiOptions(l, ""), actor)
	}
	return l, nil
}

func (s *Server) buildVerifier(l, before *live) (err error) {
	if before != nil && l.foreign == before.foreign && reflect.DeepEqual(l.config.Tokens, before.config.Tokens) {
		l.verifier = before.verifier
		return nil
	}
	verifying := tokenConfig(l.config)
	if l.foreign != nil {
		verifying.Others = l.foreign
	}
	l.verifier, err = token.NewVerifier(verifying, s.keys, s.now)
	return err
}

func tokenConfig(cfg *config.Config) token.Config {
	t := cfg.Tokens
	return token.Config{Issuer: t.Issuer, Audience: t.Audience, AccessLifetime: t.AccessLifetime, Leeway: t.Leeway}
}

func (s *Server) buildLogin(ctx context.Context, l, before *live) error {
	issuer, err := token.NewIssuer(tokenConfig(l.config), s.keys, s.now, rand.Reader)
	if err != nil {
		return err
	}
	t, d, rate := l.config.Tokens, l.config.Devices, l.config.API.SignInRate
	options := login.Options{
		Store:     s.store,
		Users:     s.users,
		Devices:   s.devices(l.config),
		Passwords: s.hasher,
		Tokens:    issuing{issuer: issuer, lifetime: t.AccessLifetime},
		Config: login.Config{
			RefreshLifetime: t.RefreshLifetime, MaxLifetime: d.MaxLifetime,
			RefreshRotation: t.RefreshRotation, RefreshGrace: t.RefreshGrace, ReuseKnown: d.ReuseKnownDevice,
			Limits:     device.Limits{Max: d.MaxDevices, ByRole: d.MaxDevicesByRole, Hard: d.HardLimit, On: onLimit[d.OnLimit]},
			Weak:       func(phc string) bool { return password.NeedsRehash(phc, s.hashParams()) },
			SignInRate: login.Rate{Count: rate.Count, Per: rate.Per},
		},
		Now: s.now, Rand: rand.Reader, Activity: s.activity, Lockout: s.lockout, Places: s.places, Lost: s.lost,
	}
	if l.foreign != nil {
		options.Foreign = exchanging{l.foreign}
	}
	if before != nil {
		options.Before = before.login
	}
	l.login, err = login.Open(ctx, options)
	return err
}

var onLimit = map[string]device.OnLimit{
	config.EvictLeastRecent: device.EvictLeastRecent,
	config.EvictOldest:      device.EvictOldest,
	config.RefuseSignIn:     device.Refuse,
}

func (s *Server) devices(cfg *config.Config) *device.Registry {
	d := cfg.Devices
	return &device.Registry{
		Store: s.store, Index: s.index, Now: s.now, Keep: s.keep(), Activity: s.activity, Accounts: s.users,
		Rules: device.Rules{
			AllowDelete: d.AllowDelete, AllowUpdate: d.AllowUpdate,
			DeleteDelay: d.DeleteDelay, UpdateDelay: d.UpdateDelay, SeniorityDelay: d.SeniorityDelay,
		},
		CanUpdateOthers: d.DefaultCanUpdateOthers, CanDeleteOthers: d.DefaultCanDeleteOthers,
	}
}

func (s *Server) ipChange(cfg *config.Config) device.IPChange {
	c := cfg.Devices.IPChange
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

// exchanging gives it the refresh tokens of other issuers.
type exchanging struct{ issuers *foreign.Issuers }

func (e exchanging) Refresh(raw string) (login.ForeignSession, reason.Reason) {
	v, id, why := e.issuers.Refresh(raw)
	if why != reason.OK {
		return login.ForeignSession{}, why
	}
	return login.ForeignSession{User: v.User, Device: v.Device, Generation: v.Generation, Identity: v.Foreign, ID: id}, reason.OK
}

func (s *Server) authzConfig(l *live) authz.Config {
	cfg := l.config
	policies := make(map[string]authz.Policy, len(cfg.Policies))
	for name, p := range cfg.Policies {
		policies[name] = authz.Policy{
			RequireRoles: p.RequireRoles, RequireAllRoles: p.RequireAllRoles,
			MinDeviceAge: p.MinDeviceAge, MaxDeviceAge: p.MaxDeviceAge,
			AllowedNetworks: p.AllowedNetworks, RequireCountry: p.RequireCountry, DenyCountry: p.DenyCountry,
			Anonymous: p.Anonymous == config.PolicyAllow, CORSPreflight: p.CORSPreflight == config.PolicyAllow,
			RemoveAuthorization: p.Authorization == config.PolicyRemove, Report: p.Mode == config.PolicyReport,
		}
	}
	h := cfg.IdentityHeaders
	return authz.Config{
		AllowedPeers: cfg.Checks.AllowedPeers,
		Trusted:      clientaddr.Trusted(cfg.TrustedProxies),
		Policies:     policies,
		Headers:      authz.HeaderNames{User: h.User, Roles: h.Roles, Device: h.Device, Assertion: h.Assertion},
		Assertions:   l.asserter,
		Country:      s.countryOf,
	}
}

// countryOf returns the country of an address as far as it is known without asking anybody.
func (s *Server) countryOf(addr netip.Addr) string {
	found, _ := s.places.Find(addr)
	return found.Country
}

func (s *Server) apiOptions(l *live, base string) api.Options {
	policy := password.Policy{MinLength: l.config.Passwords.MinLength}
	return api.Options{
		Login: l.login, Tokens: l.verifier, Devices: s.index, Keys: s.keys,
		Trusted: clientaddr.Trusted(l.config.TrustedProxies), BasePath: base, Origins: l.config.API.CORSAllowedOrigins, Now: s.now, Log: s.log,
		Activity: s.activity, Lockout: s.lockout, Passwords: s.hasher,
		Issuers: issuerNames(l.config), HardLimit: l.config.Devices.HardLimit,
		Explain:       func(req authz.Request) authz.Explanation { return l.authz.Explain(req, l.verifier, s.index) },
		PolicyOfGRPC:  l.config.Checks.GRPC.Policy,
		CheckPassword: func(name, password string) error { return policy.Check(password, name, "devicegate") },
		MakePassword:  func() (string, error) { return password.Generate(rand.Reader) },
	}
}

// API returns the handler of the API's listener.
func (s *Server) API() http.Handler { return s.current(func(l *live) http.Handler { return l.api }) }

// Admin returns the handler of the admin socket, which does everything in the name of actor: activity.BySocket or
// activity.ByFile.
func (s *Server) Admin(actor string) http.Handler {
	return s.current(func(l *live) http.Handler { return l.admin[actor] })
}

// RemoteAdmin returns the handler of admin.address.
func (s *Server) RemoteAdmin() http.Handler {
	return s.current(func(l *live) http.Handler { return l.remote })
}

// Checks returns the handler of the HTTP check listener.
func (s *Server) Checks() http.Handler { return forwardauth.Handler(s.decider(), s.panicked) }

// current returns a handler that has each request answered by the configuration of its moment.
func (s *Server) current(pick func(*live) http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pick(s.live.Load()).ServeHTTP(w, r) })
}

// decider decides each check by the configuration of its moment.
func (s *Server) decider() deciding { return deciding{&s.live} }
