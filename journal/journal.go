package journal

import (
	"net/netip"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"devicegate/activity"
	"devicegate/authz"
	"devicegate/device"
	"devicegate/reason"
	"devicegate/safetext"
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

var _ authz.Recorder = (*Journal)(nil)

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
	if rec.Decision.Reason == reason.Report {
		j.report(rec)
		return
	}
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

// report records what a policy that only reports would have done: every refusal of it has its line, as if it had
// been one.
func (j *Journal) report(rec authz.Record) {
	would := rec.Decision.Would
	j.metrics.report(would)
	if would.Outcome() == reason.Allow {
		if j.allowed.Add(1)%j.sample == 0 {
			j.line(j.log.Info(), rec)
		}
		return
	}
	if j.refusals.admit(would.String()) {
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
	if d.Reason == reason.Report {
		e.Str("would", d.Would.String())
	}
	e.Str("adapter", req.Adapter.String()).
		Str("policy", safetext.Bound(req.Policy, maxText)).
		Str("outcome", d.Outcome().String()).
		Str("reason", d.Reason.String()).
		Int("status", rec.Status).
		Str("user", safetext.Bound(d.User, maxUser)).
		Str("device_uid", uid(d.Device)).
		Str("client_ip", address(rec.Client)).
		Str("method", safetext.Bound(req.Method, maxText)).
		Str("host", safetext.Bound(req.Host, maxHost)).
		Str("path", safetext.Bound(withoutQuery(req.Path), maxPath)).
		Str("request_id", safetext.Bound(req.RequestID, maxText)).
		Int64("duration_us", rec.Took.Microseconds()).
		Msg("check")
}

// Event records what happened to an account, after it was committed. Failed sign-ins are bounded per second
// and reason; everything else has its line.
func (j *Journal) Event(e activity.Event) {
	if e.Kind == activity.SignIn {
		j.metrics.signIn(e.Outcome, e.Reason)
		if e.Outcome != activity.Success && !j.failures.admit(e.Reason) {
			return
		}
	}
	line := j.log.Info()
	if e.Outcome != activity.Success || e.NewCountry {
		line = j.log.Warn()
	}
	line.Str("event_id", uid(e.ID)).
		Str("outcome", string(e.Outcome)).
		Str("reason", safetext.Bound(e.Reason, maxText)).
		Str("name_tried", safetext.Bound(e.NameTried, maxText)).
		Str("user_id", uid(e.User)).
		Str("device_uid", uid(e.Device)).
		Str("client_ip", address(e.IP)).
		Str("user_agent", safetext.Bound(e.UserAgent, maxPath)).
		Str("country", safetext.Bound(e.Country, maxText)).
		Str("region", safetext.Bound(e.Region, maxText)).
		Str("city", safetext.Bound(e.City, maxText)).
		Bool("new_country", e.NewCountry).
		Bool("new_network", e.NewNetwork).
		Str("actor", safetext.Bound(e.Actor, maxUser)).
		Msg(string(e.Kind))
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
