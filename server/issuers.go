package server

import (
	"context"
	"time"

	"devicegate/authz"
	"devicegate/config"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
	"devicegate/token/foreign"
	"devicegate/token/keysource"
)

// openIssuers makes ready for the tokens of other issuers. Keys in files are read now; those behind a URL are
// fetched once Run has begun, and nobody waits for them.
func (s *Server) openIssuers() error {
	if len(s.config.Issuers) == 0 {
		return nil
	}
	s.index.AcceptForeign(device.ForeignRules{
		Keep: s.foreignKeep(), Lifetime: s.config.Devices.MaxLifetime, NameKey: login.ForeignNameKey,
	})
	if s.offline {
		return nil
	}
	var issuers []foreign.Config
	for _, c := range s.config.Issuers {
		keys, err := keysource.Open(keysource.Options{
			Name: c.Name, Algorithms: c.Algorithms, Now: s.now, Log: s.lost,
			SecretFile: c.SecretFile, PublicKeyFile: c.PublicKeyFile, JWKSFile: c.JWKSFile, JWKSURL: c.JWKSURL,
		})
		if err != nil {
			return err
		}
		for _, w := range keys.Warnings() {
			s.log.Warn().Msg(w)
		}
		issuers = append(issuers, issuerConfig(c, keys))
	}
	var err error
	s.foreign, err = foreign.New(foreign.Options{
		Ours: s.config.Tokens.Issuer, Issuers: issuers, Now: s.now,
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

// foreignKeep is keep for the devices of other issuers: as long as any token of any of them could live.
func (s *Server) foreignKeep() time.Duration {
	var longest time.Duration
	for _, c := range s.config.Issuers {
		longest = max(longest, c.MaxLifetime+c.Leeway+time.Second)
	}
	return longest
}

// keepForeignKeys keeps the keys of other issuers until ctx ends.
func (s *Server) keepForeignKeys(ctx context.Context) {
	if s.foreign != nil {
		s.foreign.Run(ctx)
	}
}

// issuerTrouble returns which issuers have no keys at this moment, and why.
func (s *Server) issuerTrouble() map[string]string {
	trouble := map[string]string{}
	if s.foreign == nil {
		return trouble
	}
	for name, err := range s.foreign.Trouble() {
		trouble[name] = err.Error()
	}
	return trouble
}

func (s *Server) issuerNames() []string {
	var names []string
	for _, c := range s.config.Issuers {
		names = append(names, c.Name)
	}
	return names
}

// exchanging gives the login service the refresh tokens of other issuers in its own words.
type exchanging struct{ issuers *foreign.Issuers }

func (e exchanging) Refresh(raw string) (login.ForeignSession, reason.Reason) {
	v, id, why := e.issuers.Refresh(raw)
	if why != reason.OK {
		return login.ForeignSession{}, why
	}
	return login.ForeignSession{User: v.User, Device: v.Device, Generation: v.Generation, Identity: v.Foreign, ID: id}, reason.OK
}
