package authz

import (
	"context"
	"net/netip"
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

// Assertions makes the signed identity of somebody who passes to a host, "" where it has none for him. Every reason but OK
// refuses.
type Assertions interface {
	Assert(s token.Subject, audience string, now time.Time) (raw string, why reason.Reason)
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

// Config is what the operator decides about checks.
type Config struct {
	AllowedPeers []netip.Prefix
	Trusted      clientaddr.Trusted
	Policies     map[string]Policy // "default" included
	Headers      HeaderNames
	Assertions   Assertions // asked where Headers names a header for them, and not nil there
	// Country returns the ISO 3166-1 alpha-2 code of where an address is, "" where that is not known. It is asked
	// on the way of a check and must not wait for anything. Nil: nothing is known.
	Country func(netip.Addr) string
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
	d := a.judge(&policy, req, client, now)
	if policy.Report {
		return a.report(d)
	}
	return d
}

// judge decides by a policy that is known.
func (a *Authorizer) judge(policy *Policy, req Request, client netip.Addr, now time.Time) Decision {
	if why := a.devices.State(); why != reason.OK {
		return refusal(why)
	}
	subject, why := Authenticate(a.tokens, a.devices, req.Authorization, client, now)
	switch {
	case why == reason.NoToken && policy.CORSPreflight && req.preflight():
		return a.unknown(policy, reason.CORSPreflight, client)
	case why == reason.NoToken && policy.Anonymous:
		return a.unknown(policy, reason.Anonymous, client)
	case why != reason.OK:
		d := refusal(why)
		d.Device, d.User = subject.Device, subject.Name
		return d
	}
	return a.known(policy, subject, req.Host, client, now)
}

// refusal is the decision for a reason that somebody else has found. A reason that allows is none.
func refusal(why reason.Reason) Decision {
	if why.Outcome() == reason.Allow {
		return Decision{}
	}
	return Decision{Reason: why}
}

// known decides about somebody who has proved himself and asks for host.
func (a *Authorizer) known(policy *Policy, s device.Subject, host string, client netip.Addr, now time.Time) Decision {
	d := Decision{User: s.Name, Device: s.Device}
	if d.Reason = policy.demandOf(s, now); d.Reason != reason.OK {
		return d
	}
	if d.Reason = a.place(policy, client); d.Reason != reason.OK {
		return d
	}
	assertion, why := a.assert(s, host, now)
	if why != reason.OK {
		d.Reason = refusal(why).Reason
		return d
	}
	d.Identity = policy.strip(a.config.Headers.identity(s, assertion))
	return d
}

// assert returns the signed identity of somebody who passes. It is "" where the configuration wants none, and for a host
// that is none: a backend that wants one then refuses.
func (a *Authorizer) assert(s device.Subject, host string, now time.Time) (string, reason.Reason) {
	if a.config.Headers.Assertion == "" {
		return "", reason.OK
	}
	to := audience(host)
	if to == "" {
		return "", reason.OK
	}
	return a.config.Assertions.Assert(token.Subject{
		User: s.User, Device: s.Device, Generation: s.Generation, Username: s.Name, Roles: s.Roles,
	}, to, now)
}

// unknown decides about a request that passes without a token, for why.
func (a *Authorizer) unknown(policy *Policy, why reason.Reason, client netip.Addr) Decision {
	if place := a.place(policy, client); place != reason.OK {
		return Decision{Reason: place}
	}
	return Decision{Reason: why, Identity: policy.strip(a.config.Headers.nobody())}
}

// report lets a request pass that may or may not have been let pass, without an identity: a backend must not
// believe in one while the gate is only tried.
func (a *Authorizer) report(d Decision) Decision {
	return Decision{Reason: reason.Report, Would: d.Reason, Identity: a.config.Headers.nobody(), User: d.User, Device: d.Device}
}

// Authenticate returns who stands behind the Authorization values of a request: the token is located and
// verified, its device and its user live. client is where the request came from. Every reason but OK refuses; the subject then names at most the
// device, and a user of another issuer, for the log. The API asks it as well, so that no token passes here that does not pass there.
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
		unknown := device.Subject{Device: verified.Device}
		if verified.Foreign != nil { // his issuer has proved who he is; nobody here may know him
			unknown.Name = verified.Foreign.Owner
		}
		return unknown, why
	}
	return subject, reason.OK
}

// client returns the address that the log names as the client's.
func (a *Authorizer) client(req Request) netip.Addr { return a.walk(req, nil) }

// walk is client that tells each hop it looks at; each may be nil.
func (a *Authorizer) walk(req Request, each func(clientaddr.Hop)) netip.Addr {
	if req.Source.IsValid() {
		return a.config.Trusted.TraceFromPeer(req.Source, req.ForwardedFor, each)
	}
	return a.config.Trusted.TraceFromProxy(req.Peer, req.ForwardedFor, each)
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	return clientaddr.Trusted(networks).Contains(addr)
}
