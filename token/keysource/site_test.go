package keysource_test

import (
	"context"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"devicegate/token/keysource"
)

const secretQuery = "api_key=hunter2"

// site is an issuer's server in memory, in the clock of a bubble, with the source that asks it. Only the network
// is not real: the transport is the one of production.
type site struct {
	t      *testing.T
	source *keysource.Source
	log    log
	began  time.Time

	mu     sync.Mutex
	answer http.HandlerFunc
	times  []time.Duration // of the requests, since the start
	dialed []string
	open   int // requests at the moment
	most   int
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// withSite runs test in a bubble with a source that is being run and a server that answers with answer.
func withSite(t *testing.T, answer http.HandlerFunc, jitter float64, test func(w *site)) {
	t.Helper()
	pool() // outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		w := &site{t: t, answer: answer, began: time.Now()}
		listener := &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: http.HandlerFunc(w.serve), ErrorLog: stdlog.New(io.Discard, "", 0)}
		go func() { _ = server.Serve(listener) }()
		transport := keysource.NewTransport()
		transport.DialContext = func(_ context.Context, _, address string) (net.Conn, error) {
			w.mu.Lock()
			w.dialed = append(w.dialed, address)
			w.mu.Unlock()
			mine, theirs := net.Pipe()
			listener.waiting <- theirs
			return mine, nil
		}
		w.source = mustOpen(t, keysource.Options{
			Algorithms: publicAlgorithms, JWKSURL: "http://localhost/keys?" + secretQuery, Log: w.log.add,
			Transport: transport, Jitter: func() float64 { return jitter },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.source.Run(ctx) }()
		synctest.Wait()
		test(w)
		cancel()
		<-done
		_ = server.Close()
	})
}

func (w *site) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.times = append(w.times, time.Since(w.began))
	w.open++
	w.most = max(w.most, w.open)
	answer := w.answer
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.open--; w.mu.Unlock() }()
	answer(rw, r)
}

// turn changes what the server answers from now on.
func (w *site) turn(answer http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

// pass lets time go by, until nothing moves.
func (w *site) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *site) requests() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.times)
}

func (w *site) hosts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(w.dialed)))
}

func serves(document string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, document) }
}

func fails(status int) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) }
}

func seconds(list ...float64) []time.Duration {
	var durations []time.Duration
	for _, s := range list {
		durations = append(durations, time.Duration(s*float64(time.Second)))
	}
	return durations
}
