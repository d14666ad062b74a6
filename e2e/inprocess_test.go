package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"devicegate/config"
	"devicegate/db/bolt"
	"devicegate/password"
	"devicegate/server"
)

// openGate runs the service within the test, for what no operator can set: its clock and its store.
// It ends with the test, or when stop is called.
func openGate(t *testing.T, dir, example string, environment []string, options ...server.Option) (g *gate, stop func()) {
	t.Helper()
	g = &gate{dir: dir, config: filepath.Join(dir, "devicegate.yaml"), log: &output{}}
	copyExample(t, example, "devicegate.yaml", dir, gateLiterals)
	cfg, err := config.Load(config.Source{File: g.config, FileRequired: true,
		Environ: append(environment, "DEVICEGATE_STORE_PATH="+filepath.Join(dir, "devicegate.db"))})
	if err != nil {
		t.Fatal(err)
	}
	options = append(options, server.WithHasher(password.Inline(password.Params{})))
	s, err := server.Open(t.Context(), cfg, zerolog.New(g.log), options...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() { ended <- s.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("the gate ended at once: %v", err)
	case <-time.After(patience):
		t.Fatal("the gate did not get ready")
	}
	g.address = s.Addresses()
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the gate ended with: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("closing the gate: %v", err)
		}
	}
	t.Cleanup(stop)
	return g, stop
}

// openStore opens a new store in dir.
func openStore(t *testing.T, dir string) *bolt.Store {
	t.Helper()
	store, err := bolt.Open(filepath.Join(dir, "devicegate.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// gateDir returns a folder for a gate. Its name is short, because the path of a socket has to be.
func gateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// oddTokens returns tokens of alice's that are signed with the gate's own key and yet are not good.
// They are issued by the gate itself, on the same store, with other settings or at another time.
func oddTokens(t *testing.T, dir, example string) map[string]string {
	t.Helper()
	at := func(d time.Duration) server.Option {
		return server.WithClock(func() time.Time { return time.Now().Add(d) })
	}
	closed := &gate{dir: dir, config: filepath.Join(dir, "devicegate.yaml")}
	copyExample(t, example, "devicegate.yaml", dir, gateLiterals)
	closed.addUser(t, "alice", "editors")
	tokens := map[string]string{}
	for _, odd := range []struct {
		name        string
		environment []string
		options     []server.Option
	}{
		{"audience", []string{"DEVICEGATE_TOKENS_AUDIENCE=elsewhere"}, nil},
		{"issuer", []string{"DEVICEGATE_TOKENS_ISSUER=elsewhere"}, nil},
		{"expired", nil, []server.Option{at(-time.Hour)}},
		{"future", nil, []server.Option{at(time.Hour)}},
		{"long", []string{"DEVICEGATE_TOKENS_ACCESS_LIFETIME=24h"}, nil},
	} {
		g, stop := openGate(t, dir, example, odd.environment, odd.options...)
		tokens[odd.name] = g.signIn(t, "alice").Access
		stop()
	}
	return tokens
}
