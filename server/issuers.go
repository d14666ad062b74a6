package server

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"time"

	"devicegate/authz"
	"devicegate/config"
	"devicegate/login"
	"devicegate/token/foreign"
	"devicegate/token/keysource"
)

// buildIssuers makes ready for the tokens of other issuers. Keys in files are read now; those behind a URL are
// fetched once Run has begun, and nobody waits for them.
func (s *Server) buildIssuers(l, before *live) error {
	if len(l.config.Issuers) == 0 || s.offline {
		return nil
	}
	if before != nil && reflect.DeepEqual(l.config.Issuers, before.config.Issuers) && l.config.Tokens.Issuer == before.config.Tokens.Issuer {
		l.sources, l.foreign = before.sources, before.foreign
		return nil
	}
	l.sources = map[sourceKey]*source{}
	var issuers []foreign.Config
	for _, c := range l.config.Issuers {
		keys, err := s.source(c, before)
		if err != nil {
			return err
		}
		l.sources[keyOf(c)] = keys
		issuers = append(issuers, issuerConfig(c, keys.Source))
	}
	var err error
	l.foreign, err = foreign.New(foreign.Options{
		Ours: l.config.Tokens.Issuer, Issuers: issuers, Now: s.now,
		Names: foreign.Names{Check: login.CheckName, Fold: login.FoldName, Key: login.ForeignNameKey, Header: authz.EncodeValue},
	})
	return err
}

func issuerConfig(c config.Issuer, keys *keysource.Source) foreign.Config {
	f := foreign.Config{
		Name: c.Name, Issuer: c.Issuer, Audience: c.Audience, MaxLifetime: c.MaxLifetime, Leeway: c.Leeway,
		Claims: foreign.Claims{
			UserID: c.Claims.UserID, Username: c.Claims.Username, Roles: c.Claims.Roles, DeviceUID: c.Claims.DeviceUID,
		},
		Roles: c.Roles, Exchange: c.Refresh == config.RefreshExchange, Keys: keys,
	}
	if c.UnknownDevice == config.UnknownDeviceRegister {
		f.Register = c.MaxDevices
	}
	return f
}

// foreignKeep is how long the end of a foreign device is told: as long as any token of any issuer could live.
func foreignKeep(cfg *config.Config) time.Duration {
	var longest time.Duration
	for _, c := range cfg.Issuers {
		longest = max(longest, c.MaxLifetime+c.Leeway+time.Second)
	}
	return longest
}

func issuerNames(cfg *config.Config) []string {
	var names []string
	for _, c := range cfg.Issuers {
		names = append(names, c.Name)
	}
	return names
}

// issuerTrouble returns which issuers have no keys at this moment, and why.
func (s *Server) issuerTrouble() map[string]string {
	trouble := map[string]string{}
	issuers := s.live.Load().foreign
	if issuers == nil {
		return trouble
	}
	for name, err := range issuers.Trouble() {
		trouble[name] = err.Error()
	}
	return trouble
}

// sourceKey is what a source of keys is the same by, over reloads. The name is in it because messages have it.
type sourceKey struct{ name, algorithms, secret, public, set, url string }

func keyOf(c config.Issuer) sourceKey {
	return sourceKey{c.Name, strings.Join(c.Algorithms, " "), c.SecretFile, c.PublicKeyFile, c.JWKSFile, c.JWKSURL}
}

// source is a source of keys and what ends it.
type source struct {
	*keysource.Source
	stop context.CancelFunc // nil until it runs
}

// source returns the keys of an issuer: those that are kept already, or new ones.
func (s *Server) source(c config.Issuer, before *live) (*source, error) {
	if before != nil {
		if kept := before.sources[keyOf(c)]; kept != nil {
			return kept, nil
		}
	}
	keys, err := keysource.Open(keysource.Options{
		Name: c.Name, Algorithms: c.Algorithms, Now: s.now, Log: s.lost,
		SecretFile: c.SecretFile, PublicKeyFile: c.PublicKeyFile, JWKSFile: c.JWKSFile, JWKSURL: c.JWKSURL,
	})
	if err != nil {
		return nil, err
	}
	for _, w := range keys.Warnings() {
		s.log.Warn().Msg(w)
	}
	return &source{Source: keys}, nil
}

// sources runs the sources of keys that the configuration names at the moment.
type sources struct {
	mu      sync.Mutex
	ctx     context.Context // nil until run; they end with it
	current map[sourceKey]*source
	running sync.WaitGroup
}

// run keeps the keys of the current sources until ctx ends.
func (r *sources) run(ctx context.Context) {
	r.mu.Lock()
	r.ctx = ctx
	r.start()
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	r.ctx = nil // what a last reload brings does not begin any more
	r.mu.Unlock()
	r.running.Wait()
}

// keep replaces the current sources: those that are not among next end, and new ones begin.
func (r *sources) keep(next map[sourceKey]*source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, old := range r.current {
		if next[key] != old && old.stop != nil {
			old.stop()
		}
	}
	r.current = next
	if r.ctx != nil {
		r.start()
	}
}

// start begins those that do not run. The lock is held.
func (r *sources) start() {
	for _, one := range r.current {
		if one.stop != nil {
			continue
		}
		ctx, stop := context.WithCancel(r.ctx)
		one.stop = stop
		r.running.Go(func() { one.Run(ctx) })
	}
}
