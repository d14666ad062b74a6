package authz

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"devicegate/clientaddr"
	"devicegate/device"
	"devicegate/reason"
	"devicegate/token"
)

// DefaultPolicy is the policy of a check that names none. It always exists.
const DefaultPolicy = "default"

// Tokens verifies access tokens. Every reason but OK refuses.
type Tokens interface {
	Verify(raw string) (token.Verified, reason.Reason)
}

// Devices answers for devices and users. Every reason but OK refuses.
type Devices interface {
	State() reason.Reason
	Check(use device.Use) (device.Subject, reason.Reason)
}

// Recorder writes down what was decided: the log line and the metrics, in one place for every adapter.
type Recorder interface {
	Check(Record)
}

// Record is one finished check.
type Record struct {
	Request  Request
	Decision Decision
	Status   int
	Client   netip.Addr // zero where unknown
	Took     time.Duration
}

// Policy is what one route demands beyond a live device of an enabled user.
type Policy struct {
	RequireRoles []string // one of them; none demanded when empty
}

// Config is what the operator decides about checks.
type Config struct {
	AllowedPeers []netip.Prefix
	Trusted      clientaddr.Trusted
	Policies     map[string]Policy // "default" included
	Headers      HeaderNames
}

// Authorizer decides checks. It is immutable and safe for concurrent use.
type Authorizer struct {
	config   Config
	tokens   Tokens
	devices  Devices
	recorder Recorder
	now      func() time.Time
}

// New returns an authorizer. config is not to be changed afterwards.
func New(config Config, tokens Tokens, devices Devices, recorder Recorder, now func() time.Time) *Authorizer {
	return &Authorizer{config: config, tokens: tokens, devices: devices, recorder: recorder, now: now}
}

// Decide answers one check and records it. It is total: every request has a decision, and whatever is
// not proved is refused.
func (a *Authorizer) Decide(_ context.Context, req Request) Decision {
	start := a.now()
	client := a.client(req)
	d := a.decide(req, client, start)
	a.recorder.Check(Record{
		Request: req, Decision: d, Status: req.Adapter.Status(d.Outcome()),
		Client: client, Took: a.now().Sub(start),
	})
	return d
}

// decide goes through the contract's order; the first demand that fails names the reason.
func (a *Authorizer) decide(req Request, client netip.Addr, now time.Time) Decision {
	if !req.Adapter.known() {
		return Decision{}
	}
	if !req.Local && !contains(a.config.AllowedPeers, req.Peer) {
		return Decision{Reason: reason.PeerNotAllowed}
	}
	if !req.Complete {
		return Decision{Reason: reason.RequestIncomplete}
	}
	policy, known := a.config.Policies[req.Policy]
	if !known || req.Policy == "" {
		return Decision{Reason: reason.PolicyUnknown}
	}
	if why := a.devices.State(); why != reason.OK {
		return Decision{Reason: why}
	}
	subject, why := Authenticate(a.tokens, a.devices, req.Authorization, client, now)
	if why != reason.OK {
		return Decision{Reason: why, Device: subject.Device}
	}
	return a.demand(policy, subject)
}

// Authenticate returns who stands behind the Authorization values of a request: the token is located and
// verified, its device and its user live. client is where the request came from. Every reason but OK refuses; the subject then names at most the
// device, for the log. The API asks it as well, so that no token passes here that does not pass there.
func Authenticate(tokens Tokens, devices Devices, authorization []string, client netip.Addr, now time.Time) (device.Subject, reason.Reason) {
	raw, why := Bearer(authorization)
	if why != reason.OK {
		return device.Subject{}, why
	}
	verified, why := tokens.Verify(raw)
	if why != reason.OK {
		return device.Subject{}, why
	}
	subject, why := devices.Check(device.Use{
		User: verified.User, Device: verified.Device, Generation: verified.Generation, From: client, At: now, Foreign: verified.Foreign,
	})
	if why != reason.OK {
		return device.Subject{Device: verified.Device}, why
	}
	return subject, reason.OK
}

func (a *Authorizer) demand(policy Policy, s device.Subject) Decision {
	d := Decision{User: s.Name, Device: s.Device}
	if len(policy.RequireRoles) > 0 && !intersects(policy.RequireRoles, s.Roles) {
		d.Reason = reason.RoleMissing
		return d
	}
	d.Reason = reason.OK
	d.Identity = a.config.Headers.identity(s)
	return d
}

// client returns the address that the log names as the client's.
func (a *Authorizer) client(req Request) netip.Addr {
	if req.Source.IsValid() {
		return a.config.Trusted.FromPeer(req.Source, req.ForwardedFor)
	}
	return a.config.Trusted.FromProxy(req.Peer, req.ForwardedFor)
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	return clientaddr.Trusted(networks).Contains(addr)
}

func intersects(demanded, held []string) bool {
	return slices.ContainsFunc(demanded, func(role string) bool { return slices.Contains(held, role) })
}
