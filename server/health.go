package server

import (
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"devicegate/clientaddr"
	"devicegate/config"
	"devicegate/envoy"
	"devicegate/problem"
	"devicegate/reason"
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
	ready := map[string]any{"status": "ready"}
	if trouble := s.issuerTrouble(); len(trouble) > 0 {
		ready["keys_unavailable"] = trouble // of others: our own checks are answered
	}
	if reporting := s.reporting(); len(reporting) > 0 {
		ready["report_mode"] = reporting // nothing behind these policies is protected
	}
	// Not 503: whoever takes a gate that is not ready out of service would have every check fail for the lack of sign-ins.
	if s.writes.refused.Load() {
		ready["writes_refused"] = true
	}
	writeStatus(w, http.StatusOK, ready)
}

func writeStatus[Body any](w http.ResponseWriter, status int, body Body) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}

// reporting returns the policies that only report.
func (s *Server) reporting() []string {
	var names []string
	for name, p := range s.live.Load().config.Policies {
		if p.Mode == config.PolicyReport {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// setHealth tells gRPC health what Ready says.
func (s *Server) setHealth() {
	serving := healthpb.HealthCheckResponse_NOT_SERVING
	if s.Ready() == nil {
		serving = healthpb.HealthCheckResponse_SERVING
	}
	// Setting it wakes every watcher, also to the same.
	if last := s.served.Swap(int32(serving)); last != int32(serving) {
		s.grpcHealth.SetServingStatus("", serving)
		s.grpcHealth.SetServingStatus(envoy.ServiceName, serving)
	}
}

// watchers lets only those watch gRPC health who may ask, and no longer than the service serves: a watch has
// no end of its own, and an orderly stop would wait for it. Everything else here is one message and its answer.
func (s *Server) watchers(serving context.Context) grpc.StreamServerInterceptor {
	watching := make(chan struct{}, maxWatches)
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		if info.FullMethod != healthpb.Health_Watch_FullMethodName {
			return handle(srv, stream)
		}
		allowed := clientaddr.Trusted(s.live.Load().config.Checks.AllowedPeers)
		p, ok := peer.FromContext(stream.Context())
		if !ok || p.Addr.Network() != "unix" && !allowed.Contains(clientaddr.OfConn(p.Addr.String())) {
			return status.Error(codes.PermissionDenied, reason.PeerNotAllowed.String())
		}
		select {
		case watching <- struct{}{}:
			defer func() { <-watching }()
		default:
			return status.Error(codes.ResourceExhausted, "too many watch already: ask Check")
		}
		ctx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		defer context.AfterFunc(serving, cancel)()
		return handle(srv, boundStream{stream, ctx})
	}
}

// boundStream is a stream with a context that ends earlier.
type boundStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context returns the stream's context.
func (b boundStream) Context() context.Context { return b.ctx }

// healthInterval is how soon gRPC health follows.
const healthInterval = 250 * time.Millisecond

func (s *Server) followHealth(ctx context.Context) {
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.setHealth()
		}
	}
}

// flushInterval bounds how much of when devices were last seen a crash can lose.
const flushInterval = 5 * time.Second

// housekeeping writes down when devices were seen, ends those that must end for their change of address, and
// closes the log's seconds.
func (s *Server) housekeeping(ctx context.Context) {
	second, flush := time.NewTicker(time.Second), time.NewTicker(flushInterval)
	defer second.Stop()
	defer flush.Stop()
	for {
		select {
		case <-ctx.Done():
			s.flush(context.WithoutCancel(ctx)) // what the last requests left
			s.journal.Flush()
			return
		case <-second.C:
			s.journal.Flush()
		case <-flush.C:
			s.flush(ctx)
		case <-s.index.Urgent():
			s.flush(ctx)
		case <-s.index.Arrived():
			s.storeArrivals(ctx)
		}
	}
}

func (s *Server) flush(ctx context.Context) {
	s.storeArrivals(ctx)
	if err := s.live.Load().login.Devices.Flush(ctx); err != nil {
		s.lost("writing when devices were last seen", err)
	}
}

func (s *Server) storeArrivals(ctx context.Context) {
	if err := s.live.Load().login.Devices.StoreArrivals(ctx); err != nil {
		s.lost("storing the devices that tokens of other issuers have shown", err)
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
			Name: "devicegate_store_writes_refused", Help: "1 while the store takes no writes, as on a full disk: sign-ins and changes are refused.",
		}, func() float64 {
			if s.writes.refused.Load() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "devicegate_policies_in_report_mode", Help: "Policies that only report: nothing behind them is protected.",
		}, func() float64 { return float64(len(s.reporting())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "devicegate_build_info", Help: "Always 1; the labels say what is running.",
			ConstLabels: prometheus.Labels{"version": s.version, "go": runtime.Version()},
		}, func() float64 { return 1 }),
	)
}
