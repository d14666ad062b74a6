package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"devicegate/activity"
	"devicegate/envoy"
)

// Bounds of connections. Headers may be larger than what any of the proxies passes on, so that it is
// the proxy who refuses.
const (
	headerTimeout  = 5 * time.Second
	keepaliveEvery = 5 * time.Second // the most often that a client may ping
	requestTimeout = 30 * time.Second
	idleTimeout    = 5 * time.Minute
	maxHeaderBytes = 256 << 10
	// maxWatchBytes bounds the one message that gRPC reads itself: the name of a service whose health is watched.
	// Checks are read by envoy, which refuses what is too large instead of answering it with an error.
	maxWatchBytes = 4 << 10
	// maxWatches bounds those who watch health, for as long as they like.
	maxWatches = 64
	// maxStreams bounds the calls under way on one connection; Envoy opens another for more. Each may have sent
	// checkWindow before anybody looks at it.
	maxStreams = 128
	// checkWindow is the least that gRPC knows. Without it the window grows with what a client sends, up to 16 MB a call.
	checkWindow = 64 << 10
	// connWindow is what all calls of a connection may send before gRPC has read it from the socket, which it does
	// whether somebody takes it from there or not: it bounds the speed, not the memory.
	connWindow = 1 << 20
	// unreadInterval is how often it is logged that messages are not read.
	unreadInterval = 10 * time.Second
	// streamWorkers covers the checks under way at once; beyond it gRPC starts a goroutine for each.
	streamWorkers = 256
)

// Run serves until ctx ends, then drains for at most the configured time. It returns nil after an orderly
// end, else why the service could not go on. ready (may be nil) is called once all listeners are open and
// the index is filled. The caller closes the server afterwards.
func (s *Server) Run(ctx context.Context, ready func()) error {
	g, ctx := errgroup.WithContext(ctx)
	end := newEnding(ctx)
	err := s.serveAll(end, g)
	s.begin(ctx, end)
	if err != nil {
		return errors.Join(err, s.stopStarted(g))
	}
	g.Go(func() error {
		if err := s.Fill(ctx); err != nil {
			return err
		}
		s.setHealth()
		s.log.Info().Str("version", s.version).Msg("ready")
		if ready != nil {
			ready()
		}
		return nil
	})
	g.Go(func() error { s.housekeeping(end.watched); return nil })
	g.Go(func() error { s.sweeping(end.watched); return nil })
	g.Go(func() error { s.count(end.watched); return nil })
	g.Go(func() error { s.keepKeys(end.watched); return nil })
	g.Go(func() error { s.places.Run(end.watched); return nil })
	g.Go(func() error { s.sources.run(end.watched); return nil })
	g.Go(func() error { s.keepCertificates(end.serving); return nil })
	g.Go(func() error { s.followConfig(end.serving); return nil })
	return g.Wait()
}

// ending is an orderly end, one stage after the other: the service says that it is not ready, then what
// is under way finishes, and the operations listener, which told so until then, closes last.
type ending struct {
	serving  context.Context // ends when the service is no longer ready
	watched  context.Context // ends when everything but the operations listener has drained
	draining sync.WaitGroup  // of the listeners that drain in between

	notReady, drained context.CancelFunc
}

func newEnding(ctx context.Context) *ending {
	e := &ending{}
	e.serving, e.notReady = context.WithCancel(context.WithoutCancel(ctx))
	e.watched, e.drained = context.WithCancel(context.WithoutCancel(ctx))
	return e
}

// begin goes through the stages once ctx ends. Every listener has joined e.draining before.
func (s *Server) begin(ctx context.Context, e *ending) {
	context.AfterFunc(ctx, func() {
		s.stopping.Store(true)
		e.notReady()
		e.draining.Wait()
		e.drained()
	})
}

// drains runs stop within g when the service is no longer ready.
func (e *ending) drains(g *errgroup.Group, stop func() error) {
	e.draining.Add(1)
	g.Go(func() error {
		defer e.draining.Done()
		<-e.serving.Done()
		return stop()
	})
}

// errStopped ends what serveAll had started when a later listener could not be had.
var errStopped = errors.New("stopped")

func (s *Server) stopStarted(g *errgroup.Group) error {
	g.Go(func() error { return errStopped })
	if err := g.Wait(); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// serveAll opens every listener and serves it within g.
func (s *Server) serveAll(end *ending, g *errgroup.Group) error {
	for _, w := range s.config.Warnings {
		s.log.Warn().Msg(w)
	}
	admin, err := s.listenAdmin()
	if err != nil {
		return err
	}
	s.serveHTTP(end, g, "admin", admin, s.Admin(activity.BySocket))
	remote, err := s.listen("admin.address", s.config.Admin.Address)
	if err != nil {
		return err
	}
	s.serveHTTP(end, g, "admin.address", remote, s.RemoteAdmin())
	operations, err := s.listen("operations", s.config.Operations.Address)
	if err != nil {
		return err
	}
	s.serveOperations(end, g, operations)
	people, err := s.listen("api", s.config.API.Address)
	if err != nil {
		return err
	}
	s.serveHTTP(end, g, "api", people, s.API())
	checks, err := s.listen("checks.http", s.config.Checks.HTTP.Address)
	if err != nil {
		return err
	}
	s.serveHTTP(end, g, "checks.http", checks, s.Checks())
	rpc, err := s.listen("checks.grpc", s.config.Checks.GRPC.Address)
	if err != nil {
		return err
	}
	s.serveGRPC(end, g, rpc)
	return nil
}

func (s *Server) panicked(p any) {
	s.log.Error().Str("panic", fmt.Sprint(p)).Bytes("stack", debug.Stack()).Msg("a check panicked and was refused")
}

// unread returns what logs why a check over gRPC was not read: at once, then the count of what came since, for a flood of
// such checks must not be one of lines.
func (s *Server) unread() func(why error) {
	var mu sync.Mutex
	var next time.Time
	var count int
	return func(why error) {
		mu.Lock()
		defer mu.Unlock()
		count++
		now := s.now()
		if now.Before(next) {
			return
		}
		s.log.Warn().Str("listener", "checks.grpc").Err(why).Int("count", count).Msg("the message of a call was not read, so it was refused")
		next, count = now.Add(unreadInterval), 0
	}
}

// serveHTTP serves one listener until the service ends. A listener that is off is nil.
func (s *Server) serveHTTP(end *ending, g *errgroup.Group, name string, l net.Listener, h http.Handler) {
	if l == nil {
		return
	}
	server := s.httpServer(name, h)
	server.TLSConfig = s.tlsOf(name)
	g.Go(func() error { return serve(server, name, s.room.listener(l, server.TLSConfig == nil)) })
	end.drains(g, func() error { return s.shutDown(server, name) })
}

// serveOperations is serveHTTP for the listener that closes last.
func (s *Server) serveOperations(end *ending, g *errgroup.Group, l net.Listener) {
	if l == nil {
		return
	}
	server := s.httpServer("operations", s.operations())
	g.Go(func() error { return serve(server, "operations", s.room.listener(l, true)) })
	g.Go(func() error {
		<-end.watched.Done()
		return s.shutDown(server, "operations")
	})
}

func (s *Server) httpServer(name string, h http.Handler) *http.Server {
	return &http.Server{
		Handler: s.room.around(h), ConnContext: s.room.remember, ConnState: s.room.rest, ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, IdleTimeout: idleTimeout,
		WriteTimeout: requestTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: errorLog(s.log, name),
		DisableGeneralOptionsHandler: true, // it answers "OPTIONS *" with 200, which is what allows
	}
}

func serve(server *http.Server, name string, l net.Listener) error {
	run := func() error { return server.Serve(l) }
	if server.TLSConfig != nil {
		run = func() error { return server.ServeTLS(l, "", "") }
	}
	if err := run(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// shutDown lets requests under way finish, within the configured time.
func (s *Server) shutDown(server *http.Server, name string) error {
	drain, cancel := context.WithTimeout(context.Background(), s.config.ShutdownTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		s.log.Warn().Str("listener", name).Msg("requests were still under way after shutdown_timeout and were cut off")
		return server.Close()
	}
	return nil
}

func (s *Server) serveGRPC(end *ending, g *errgroup.Group, l net.Listener) {
	if l == nil {
		return
	}
	secure := insecure.NewCredentials()
	if config := s.tlsOf("checks.grpc"); config != nil {
		secure = credentials.NewTLS(config)
	}
	server := grpc.NewServer(
		grpc.Creds(envoy.Credentials(secure)),
		grpc.ForceServerCodecV2(envoy.NewCodec()), grpc.NumStreamWorkers(streamWorkers),
		grpc.ConnectionTimeout(headerTimeout), grpc.MaxHeaderListSize(64<<10),
		// Left alone, gRPC hangs up on an Envoy that keeps its connection alive more often than every
		// five minutes, and a check that fails for it passes with failure_mode_allow.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveEvery, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(maxWatchBytes), grpc.MaxConcurrentStreams(maxStreams),
		grpc.StaticStreamWindowSize(checkWindow), grpc.StaticConnWindowSize(connWindow),
		grpc.StreamInterceptor(s.watchers(end.serving)),
	)
	calls := envoy.Register(server, envoy.Options{
		Decider: s.decider(), DefaultPolicy: s.decider().defaultPolicy, Panicked: s.panicked, Refused: s.unread(),
	})
	s.setHealth()
	calls.RegisterHealth(server, s.grpcHealth)
	g.Go(func() error { calls.Run(end.watched); return nil })
	g.Go(func() error {
		// A stop that comes before Serve is an orderly end as well.
		if err := server.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			return fmt.Errorf("checks.grpc: %w", err)
		}
		return nil
	})
	g.Go(func() error { s.followHealth(end.serving); return nil })
	end.drains(g, func() error {
		s.grpcHealth.Shutdown()
		stop := time.AfterFunc(s.config.ShutdownTimeout, server.Stop)
		defer stop.Stop()
		server.GracefulStop()
		return nil
	})
}

// errorLog takes what net/http has to say, which is mostly about clients that went away.
func errorLog(log zerolog.Logger, name string) *stdLogger {
	return newStdLogger(log.With().Str("listener", name).Logger())
}
