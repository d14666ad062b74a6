package api_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"devicegate/activity"
	"devicegate/config"
	"devicegate/server"
)

// inProcess answers requests with a handler, without a listener.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// openOn puts a second service on the store of g, as after a restart, whose index is not filled yet.
func openOn(t *testing.T, g *gate) *gate {
	t.Helper()
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(t.TempDir(), "db")
	s, err := server.Open(t.Context(), &cfg, zerolog.New(g.log),
		server.WithStore(g.reads), server.WithHasher(g.hasher), server.WithClock(g.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	later := *g
	later.server, later.people, later.admins = s, inProcess{s.API()}, inProcess{s.Admin(activity.BySocket)}
	later.remote = inProcess{s.RemoteAdmin()}
	return &later
}
