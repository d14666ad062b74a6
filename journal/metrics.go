package journal

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"devicegate/activity"
	"devicegate/authz"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// metrics holds every counter bound to its labels: a look-up by label on the way of a check costs more
// than the count.
type metrics struct {
	checks    [][]prometheus.Counter // [adapter][reason]
	durations []prometheus.Observer  // [adapter]
	reports   []prometheus.Counter   // [reason]
	signIns   *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) metrics {
	checks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "devicegate_checks_total", Help: "Checks answered, by how they were asked and what came of them.",
	}, []string{"adapter", "outcome", "reason"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "devicegate_check_duration_seconds", Help: "Time to decide a check, without the transport.",
		Buckets: []float64{1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 1e-1, 1},
	}, []string{"adapter"})
	signIns := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "devicegate_sign_ins_total", Help: "Attempts to sign in, by what came of them.",
	}, []string{"outcome", "reason"})
	reports := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "devicegate_reported_checks_total", Help: "Checks let pass because their policy only reports, by what would have come of them.",
	}, []string{"outcome", "reason"})
	registry.MustRegister(checks, durations, signIns, reports)

	all := append([]reason.Reason{reason.Undecided}, reason.All()...)
	m := metrics{signIns: signIns}
	for _, adapter := range append([]authz.Adapter{0}, authz.Adapters()...) {
		row := make([]prometheus.Counter, len(all))
		for _, why := range all {
			row[why] = checks.WithLabelValues(adapter.String(), why.Outcome().String(), why.String())
		}
		m.checks = append(m.checks, row)
		m.durations = append(m.durations, durations.WithLabelValues(adapter.String()))
	}
	for _, why := range all {
		m.reports = append(m.reports, reports.WithLabelValues(why.Outcome().String(), why.String()))
	}
	signIns.WithLabelValues(string(activity.Success), device.FirstSight)
	signIns.WithLabelValues(string(activity.Success), login.Exchanged)
	for _, why := range login.AttemptReasons() {
		outcome := activity.Failure
		if why == login.SignedIn {
			outcome = activity.Success
		}
		signIns.WithLabelValues(string(outcome), why)
	}
	return m
}

func (m *metrics) check(adapter authz.Adapter, why reason.Reason, took time.Duration) {
	if int(adapter) >= len(m.checks) {
		adapter = 0
	}
	if int(why) >= len(m.checks[adapter]) {
		why = reason.Undecided
	}
	m.checks[adapter][why].Inc()
	m.durations[adapter].Observe(took.Seconds())
}

func (m *metrics) report(would reason.Reason) {
	if int(would) >= len(m.reports) {
		would = reason.Undecided
	}
	m.reports[would].Inc()
}

func (m *metrics) signIn(outcome activity.Outcome, why string) {
	m.signIns.WithLabelValues(string(outcome), why).Inc()
}
