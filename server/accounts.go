package server

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"devicegate/activity"
	"devicegate/authz"
	"devicegate/lockout"
	"devicegate/login"
	"devicegate/place"
)

// openAccounts opens what the accounts are made of: their records, what happened to them, the lockout and
// where addresses are.
func (s *Server) openAccounts() error {
	a, l := s.config.Activity, s.config.Lockout
	s.activity = activity.Open(activity.Options{
		Store: login.Accountable(s.store), Now: s.now, Rand: rand.Reader, Sink: s.journal.Event,
		Retention: a.Retention, MaxPerUser: a.MaxPerUser, MaxTotal: a.MaxTotal,
	})
	s.closers = append(s.closers, s.activity.Close)
	s.users = &login.Users{Store: s.store, Now: s.now, Rand: rand.Reader, Activity: s.activity, EncodeHeader: authz.EncodeValue}
	s.lockout = lockout.New(lockout.Options{
		Store: s.store, Now: s.now, Threshold: l.Threshold, NameThreshold: l.NameThreshold,
		BaseDelay: l.BaseDelay, MaxDelay: l.MaxDelay, Window: l.Window, Exempt: l.ExemptNetworks,
		Exists: s.users.Exists,
	})
	s.registerAccountMetrics()
	s.registerReloads()
	s.registerCertificates()
	return s.openPlaces()
}

func (s *Server) openPlaces() error {
	g := s.config.Geo
	o := place.Options{MMDBFile: g.MMDBFile, HTTPURL: g.HTTPURL, HTTPTimeout: g.HTTPTimeout, Now: s.now, Log: s.lost}
	if s.offline {
		o.MMDBFile, o.HTTPURL = "", ""
	}
	places, err := place.Open(o)
	if err != nil {
		return err
	}
	s.places = places
	s.closers = append(s.closers, places.Close)
	return nil
}

// lost logs what went wrong for nobody who waits, or, without an error, what is worth a line.
func (s *Server) lost(what string, err error) {
	line := s.log.Info()
	if err != nil {
		line = s.log.Warn().Err(err)
	}
	line.Msg(what)
}

// count reads how much is kept, beside the requests: until it is done the bounds in all are not kept.
func (s *Server) count(ctx context.Context) {
	if err := s.activity.Fill(ctx); err != nil && ctx.Err() == nil {
		s.lost("counting the activity events", err)
	}
	if err := s.lockout.Fill(ctx); err != nil && ctx.Err() == nil {
		s.lost("counting the lockout counters", err)
	}
}

// sweeping removes devices, events and counters whose time is over, a batch at a time, so that sign-ins never
// wait long behind it. It is a loop of its own: what is due every few seconds must not wait for it.
func (s *Server) sweeping(ctx context.Context) {
	minute, hour := time.NewTicker(sweepInterval), time.NewTicker(counterInterval)
	defer minute.Stop()
	defer hour.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-minute.C:
			s.inBatches(ctx, "sweeping ended devices", untilNone(s.live.Load().login.Devices.Forget))
			s.inBatches(ctx, "sweeping the activity events", untilNone(s.activity.Sweep))
		case <-hour.C:
			s.inBatches(ctx, "sweeping the lockout counters", func(ctx context.Context, limit int) (bool, error) {
				_, more, err := s.lockout.Sweep(ctx, limit)
				return more, err
			})
		}
	}
}

// untilNone turns a sweep that says how many it removed into one that says whether there may be more.
func untilNone(sweep func(context.Context, int) (int, error)) func(context.Context, int) (bool, error) {
	return func(ctx context.Context, limit int) (bool, error) {
		n, err := sweep(ctx, limit)
		return n > 0, err
	}
}

func (s *Server) inBatches(ctx context.Context, what string, sweep func(ctx context.Context, limit int) (more bool, err error)) {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = sweep(ctx, sweepBatch); err != nil && ctx.Err() == nil {
			s.lost(what, err)
			return
		}
	}
}

// Bounds of the sweep. Counters that nobody asks for take only room, so they are looked at less often.
const (
	sweepInterval   = time.Minute
	counterInterval = time.Hour
	sweepBatch      = 100
)

func (s *Server) registerAccountMetrics() {
	events := func(class string, count func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "devicegate_activity_events", Help: "Events kept, by what they are of.", ConstLabels: prometheus.Labels{"of": class},
		}, func() float64 { return float64(count()) })
	}
	s.registry.MustRegister(
		events("unknown_names", func() int64 { n, _, _ := s.activity.Counts(); return n }),
		events("failures", func() int64 { _, n, _ := s.activity.Counts(); return n }),
		events("others", func() int64 { _, _, n := s.activity.Counts(); return n }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "devicegate_lockout_unknown_names", Help: "Lockout counters kept of names that do not exist.",
		}, func() float64 { return float64(s.lockout.Unknown()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "devicegate_lockout_dropped_total", Help: "Lockout counters of names that do not exist which gave way to newer ones.",
		}, func() float64 { return float64(s.lockout.Dropped()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "devicegate_place_dropped_total", Help: "Addresses whose place was not asked for, because too many were waiting.",
		}, func() float64 { return float64(s.places.Dropped()) }),
	)
}
