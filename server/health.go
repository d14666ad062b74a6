package server

import (
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"devicegate/envoy"
	"devicegate/problem"
)

// operations is the handler of the operations listener: /healthz, /readyz, /metrics, never more.
func (s *Server) operations() http.Handler {
	metrics := promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			writeStatus(w, http.StatusOK, map[string]string{"status": "alive"})
		case "/readyz":
			s.readyz(w)
		case "/metrics":
			metrics.ServeHTTP(w, r)
		default:
			p := problem.New(http.StatusNotFound, "not_found", "Here are /healthz, /readyz and /metrics.")
			w.Header().Set("Content-Type", problem.ContentType)
			w.WriteHeader(p.Status)
			_, _ = w.Write(p.JSON())
		}
	})
}

func (s *Server) readyz(w http.ResponseWriter) {
	if err := s.Ready(); err != nil {
		writeStatus(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready", "missing": err.Error()})
		return
	}
	writeStatus(w, http.StatusOK, map[string]string{"status": "ready"})
}

func writeStatus(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}

// setHealth tells gRPC health what Ready says.
func (s *Server) setHealth(status *health.Server) {
	serving := healthpb.HealthCheckResponse_NOT_SERVING
	if s.Ready() == nil {
		serving = healthpb.HealthCheckResponse_SERVING
	}
	status.SetServingStatus("", serving)
	status.SetServingStatus(envoy.ServiceName, serving)
}

// healthInterval is how soon gRPC health follows.
const healthInterval = 250 * time.Millisecond

func (s *Server) followHealth(ctx context.Context, status *health.Server) {
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.setHealth(status)
		}
	}
}

// Bounds of the sweep: a batch at a time, so that sign-ins never wait long behind it.
const (
	sweepInterval = time.Minute
	sweepBatch    = 100
)

// housekeeping removes what is over, and closes the log's seconds.
func (s *Server) housekeeping(ctx context.Context) {
	second, minute := time.NewTicker(time.Second), time.NewTicker(sweepInterval)
	defer second.Stop()
	defer minute.Stop()
	for {
		select {
		case <-ctx.Done():
			s.journal.Flush()
			return
		case <-second.C:
			s.journal.Flush()
		case <-minute.C:
			s.sweep(ctx)
		}
	}
}

func (s *Server) sweep(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := s.login.Devices.Sweep(ctx, sweepBatch)
		if err != nil {
			s.log.Warn().Err(err).Msg("sweeping ended devices")
			return
		}
		if n == 0 {
			return
		}
	}
}

func (s *Server) registerMetrics() {
	s.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "devicegate_devices", Help: "Live devices."}, func() float64 {
			return float64(s.index.Live(s.now()))
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "devicegate_build_info", Help: "Always 1; the labels say what is running.",
			ConstLabels: prometheus.Labels{"version": s.version, "go": runtime.Version()},
		}, func() float64 { return 1 }),
	)
}
