package journal

import (
	"net/netip"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"devicegate/authz"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// Journal records checks and sign-ins. It is safe for concurrent use.
type Journal struct {
	log      zerolog.Logger
	sample   uint64 // one of so many allowed checks is logged
	allowed  atomic.Uint64
	refusals refusals // of checks
	failures refusals // of sign-ins
	metrics  metrics
}

var (
	_ authz.Recorder = (*Journal)(nil)
	_ login.Journal  = (*Journal)(nil)
)

// New returns a journal that writes to log and counts in registry. allowedSample is at least 1.
func New(log zerolog.Logger, allowedSample int, registry prometheus.Registerer) *Journal {
	return &Journal{
		log: log, sample: uint64(max(allowedSample, 1)), metrics: newMetrics(registry),
		refusals: refusals{log: log, left: "checks refused without a line of their own"},
		failures: refusals{log: log, left: "sign-ins failed without a line of their own"},
	}
}

// Check records one check. Every refusal is logged, up to a bound per second and reason; of the allowed
// ones one in allowedSample.
func (j *Journal) Check(rec authz.Record) {
	outcome := rec.Decision.Outcome()
	j.metrics.check(rec.Request.Adapter, rec.Decision.Reason, rec.Took)
	if outcome == reason.Allow {
		if j.allowed.Add(1)%j.sample == 0 {
			j.line(j.log.Info(), rec)
		}
		return
	}
	if j.refusals.admit(rec.Decision.Reason.String()) {
		j.line(j.log.Warn(), rec)
	}
}

// Bounds of what a client chose, in bytes.
const (
	maxText = 64
	maxHost = 128
	maxPath = 256
	maxUser = 600 // the longest name that an account may have, whole
)

// line writes the decision line; its members are the contract's.
func (j *Journal) line(e *zerolog.Event, rec authz.Record) {
	if e == nil {
		return
	}
	req, d := &rec.Request, &rec.Decision
	e.Str("adapter", req.Adapter.String()).
		Str("policy", bound(req.Policy, maxText)).
		Str("outcome", d.Outcome().String()).
		Str("reason", d.Reason.String()).
		Int("status", rec.Status).
		Str("user", bound(d.User, maxUser)).
		Str("device_uid", uid(d.Device)).
		Str("client_ip", address(rec.Client)).
		Str("method", bound(req.Method, maxText)).
		Str("host", bound(req.Host, maxHost)).
		Str("path", bound(withoutQuery(req.Path), maxPath)).
		Str("request_id", bound(req.RequestID, maxText)).
		Int64("duration_us", rec.Took.Microseconds()).
		Msg("check")
}

// SignIn records one attempt to sign in.
func (j *Journal) SignIn(a login.Attempt) {
	outcome, e := "failure", j.log.Warn()
	if a.Reason == login.SignedIn {
		outcome, e = "success", j.log.Info()
	}
	j.metrics.signIn(outcome, a.Reason)
	if a.Reason != login.SignedIn && !j.failures.admit(string(a.Reason)) {
		return
	}
	e.Str("outcome", outcome).
		Str("reason", string(a.Reason)).
		Str("name_tried", bound(a.NameTried, maxText)).
		Str("user_id", uid(a.User)).
		Str("device_uid", uid(a.Device)).
		Str("client_ip", address(a.Client.IP)).
		Str("user_agent", bound(a.Client.UserAgent, maxPath)).
		Msg("sign_in")
}

// Ended records the end of a device.
func (j *Journal) Ended(user, dev uuid.UUID, why device.EndReason) {
	j.log.Info().Str("reason", why.String()).Str("user_id", uid(user)).Str("device_uid", uid(dev)).Msg("device_ended")
}

// AddressChanged records that a device was used from another address within the window.
func (j *Journal) AddressChanged(use device.Use, before netip.Addr) {
	j.log.Warn().Str("user_id", uid(use.User)).Str("device_uid", uid(use.Device)).
		Str("client_ip", address(use.From)).Str("last_ip", address(before)).Msg("device_address_changed")
}

// Flush logs how many refusals and failures were not written one by one. Call it every second.
func (j *Journal) Flush() {
	j.refusals.flush()
	j.failures.flush()
}
