package server_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"devicegate/config"
)

// runToEnd runs a server that cannot serve and returns why.
func runToEnd(t *testing.T, cfg *config.Config) error {
	t.Helper()
	s := open(t, cfg)
	s.run(t)
	select {
	case <-s.ended:
		return s.err
	case <-s.ready:
		t.Fatal("the service became ready")
		return nil
	}
}

// TestListenerThatCannotBeHad ends the service with the key that says where, and leaves nothing open.
func TestListenerThatCannotBeHad(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	there := config.Address{Network: "tcp", Addr: taken.Addr().String()}
	for key, set := range map[string]func(*config.Config){
		"operations.address":  func(c *config.Config) { c.Operations.Address = there },
		"api.address":         func(c *config.Config) { c.API.Address = there },
		"checks.http.address": func(c *config.Config) { c.Checks.HTTP.Address = there },
		"checks.grpc.address": func(c *config.Config) { c.Checks.GRPC.Address = there },
		"admin.socket":        func(c *config.Config) { c.Admin.Socket = filepath.Join(filepath.Dir(c.Store.Path), "no", "folder") },
	} {
		cfg := settings(t)
		set(cfg)
		if err := runToEnd(t, cfg); err == nil || !strings.Contains(err.Error(), key+": ") || strings.Contains(err.Error(), "stopped") {
			t.Errorf("%s: Run = %v, want an error that begins with the key", key, err)
		}
		if _, err := os.Lstat(cfg.AdminSocket()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the admin socket was left behind: %v", key, err)
		}
	}
}

func TestUnixSockets(t *testing.T) {
	cfg := settings(t)
	dir := filepath.Dir(cfg.Store.Path)
	at := func(name string) config.Address {
		return config.Address{Network: "unix", Addr: filepath.Join(dir, name)}
	}
	cfg.API.Address, cfg.Checks.HTTP.Address, cfg.Checks.GRPC.Address, cfg.Operations.Address = at("api"), at("http"), at("grpc"), at("ops")
	cfg.Checks.AllowedPeers = nil // whoever can open the socket may ask
	s := start(t, cfg)
	if got := s.address(t, "checks.grpc"); got != at("grpc") {
		t.Errorf("checks.grpc = %v, want %v", got, at("grpc"))
	}
	if a := s.check(t, "/auth/traefik", s.signIn(t)); a.status != 200 {
		t.Errorf("a check over a unix socket = %d %s, want 200", a.status, a.body)
	}
	if a := s.ask(t, "operations", "GET", "/readyz", ""); a.status != 200 {
		t.Errorf("/readyz over a unix socket = %d", a.status)
	}
	info, err := os.Lstat(cfg.AdminSocket())
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("the admin socket has the mode %v (%v), want a socket of mode 0600", info.Mode(), err)
	}
	if got := s.log.with(`"level":"warn"`); len(got) > 0 {
		t.Errorf("unix sockets are warned of: %v", got)
	}
}

// TestStaleSocketIsReplaced: a killed process leaves its sockets behind.
func TestStaleSocketIsReplaced(t *testing.T) {
	cfg := settings(t)
	cfg.API.Address = config.Address{Network: "unix", Addr: cfg.Store.Path + ".api"}
	for _, path := range []string{cfg.AdminSocket(), cfg.API.Address.Addr} {
		leaveSocket(t, path)
	}
	start(t, cfg).signIn(t)
}

func leaveSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
}

// TestWhatIsInTheWayIsLeftAlone: a socket somebody answers on, and anything that is no socket.
func TestWhatIsInTheWayIsLeftAlone(t *testing.T) {
	cfg := settings(t)
	used := filepath.Join(filepath.Dir(cfg.Store.Path), "used")
	l, err := net.Listen("unix", used)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(filepath.Dir(cfg.Store.Path), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, words := range map[string]string{used: "another process listens on " + used, file: file + " exists and is not a socket"} {
		for key, set := range map[string]func(*config.Config){
			"admin.socket": func(c *config.Config) { c.Admin.Socket = path },
			"api.address":  func(c *config.Config) { c.API.Address = config.Address{Network: "unix", Addr: path} },
		} {
			cfg := settings(t)
			set(cfg)
			if err := runToEnd(t, cfg); err == nil || !strings.Contains(err.Error(), key+": "+words) {
				t.Errorf("%s at %s: Run = %v, want %s: %s", key, path, err, key, words)
			}
		}
	}
	if c, err := net.Dial("unix", used); err != nil {
		t.Errorf("the socket in use was taken away: %v", err)
	} else {
		_ = c.Close()
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

// TestPlainListenerWarnsOnce for each listener that other machines can reach.
func TestPlainListenerWarnsOnce(t *testing.T) {
	cfg := settings(t)
	cfg.API.Address = config.Address{Network: "tcp", Addr: "0.0.0.0:0"}
	s := start(t, cfg)
	warnings := s.log.with(`"level":"warn"`)
	if len(warnings) != 1 || !strings.Contains(warnings[0], `"listener":"api"`) || !strings.Contains(warnings[0], "plain") {
		t.Errorf("warnings = %v, want one about api", warnings)
	}
	if got := s.log.with(`"message":"listening"`); len(got) != 5 {
		t.Errorf("listening is logged %d times, want 5: %v", len(got), got)
	}
	if got := s.log.with(`"message":"ready"`); len(got) != 1 {
		t.Errorf("ready is logged %d times, want once", len(got))
	}
}
