package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"devicegate/config"
	"devicegate/password"
	"devicegate/password/passwordtest"
	"devicegate/server"
)

// held is a hasher that holds sign-ins until it is let go.
type held struct {
	passwordtest.Hasher
	reached, release chan struct{}
	once             sync.Once
}

var _ password.Hasher = (*held)(nil)

func (h *held) Verify(ctx context.Context, text, phc string) (bool, error) {
	h.reached <- struct{}{}
	<-h.release
	return h.Hasher.Verify(ctx, text, phc)
}

func (h *held) letGo() { h.once.Do(func() { close(h.release) }) }

// TestGracefulStop: the service says first that it is not ready, takes no new connections, finishes what
// is under way, and keeps the rules while it does.
func TestGracefulStop(t *testing.T) {
	h := &held{reached: make(chan struct{}), release: make(chan struct{})}
	cfg := settings(t)
	cfg.Devices.MaxDevices = 1
	s := start(t, cfg, server.WithHasher(h))
	t.Cleanup(h.letGo)
	if a := s.ask(t, "admin", "POST", "/admin/users", `{"name":"alice","password":"`+secret+`"}`); a.status != 201 {
		t.Fatalf("making a user: %d %s", a.status, a.body)
	}
	at := s.address(t, "api").Addr
	answers := make(chan answer, 2)
	for range cap(answers) {
		go func() { answers <- post("http://"+at+"/api/token", `{"username":"alice","password":"`+secret+`"}`) }()
		<-h.reached
	}
	s.stop()
	eventually(t, "no new connection is taken", func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if a := s.ask(t, "operations", "GET", "/readyz", ""); a.status != 503 || !strings.Contains(a.body, "stopping") {
		t.Errorf("/readyz while draining = %d %s, want 503 stopping", a.status, a.body)
	}
	select {
	case <-s.ended:
		t.Fatal("Run returned before the requests under way were answered")
	default:
	}
	h.letGo()
	for range cap(answers) {
		if a := <-answers; a.status != 200 {
			t.Errorf("a sign-in under way = %d %s, want 200", a.status, a.body)
		}
	}
	<-s.ended
	if s.err != nil {
		t.Errorf("Run = %v, want nil", s.err)
	}
	for name, address := range s.Addresses() {
		network, addr := "tcp", address
		if path, unix := strings.CutPrefix(address, "unix:"); unix {
			network, addr = "unix", path
		}
		if c, err := net.Dial(network, addr); err == nil {
			_ = c.Close()
			t.Errorf("%s still listens after Run has returned", name)
		}
	}
	if _, err := os.Lstat(cfg.AdminSocket()); err == nil {
		t.Error("the admin socket is still there")
	}
	if got := liveDevices(t, s, cfg); got != 1 {
		t.Errorf("two sign-ins during the drain left %d live devices, want 1", got)
	}
}

// liveDevices opens the store anew and counts.
func liveDevices(t *testing.T, s *service, cfg *config.Config) int {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close = %v", err)
	}
	again := start(t, cfg)
	a := again.ask(t, "api", "POST", "/api/token", `{"username":"alice","password":"`+secret+`"}`)
	var tokens struct{ Access string }
	_ = json.Unmarshal([]byte(a.body), &tokens)
	if again.check(t, "/auth/traefik", tokens.Access).status != 200 {
		t.Fatal("a new sign-in does not pass")
	}
	// The sign-in ended all others but what the limit leaves; how many there were is in the log.
	return len(again.log.with(`"message":"device_ended"`))
}

func post(url, body string) answer {
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return answer{body: err.Error()}
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body) // a cut answer is seen by its status or text
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// TestStopDoesNotWaitForEver: a request that never ends is cut off after shutdown_timeout.
func TestStopDoesNotWaitForEver(t *testing.T) {
	h := &held{reached: make(chan struct{}), release: make(chan struct{})}
	cfg := settings(t)
	cfg.ShutdownTimeout = 50 * time.Millisecond
	s := start(t, cfg, server.WithHasher(h))
	t.Cleanup(h.letGo)
	cut := make(chan answer, 1)
	at := s.address(t, "api").Addr
	go func() { cut <- post("http://"+at+"/api/token", `{"username":"alice","password":"`+secret+`"}`) }()
	<-h.reached
	s.stop()
	<-s.ended
	if s.err != nil {
		t.Errorf("Run = %v, want nil", s.err)
	}
	if a := <-cut; a.status != 0 {
		t.Errorf("the request that was cut off got the answer %d %s", a.status, a.body)
	}
	if got := s.log.with("shutdown_timeout"); len(got) != 1 || !strings.Contains(got[0], `"listener":"api"`) {
		t.Errorf("the log says %v, want one line about api", got)
	}
}

// TestStopAtOnce: a stop while the listeners are only just being opened is an orderly end as well.
func TestStopAtOnce(t *testing.T) {
	for range 20 {
		s := open(t, settings(t))
		s.run(t)
		s.stop()
		<-s.ended
		if s.err != nil {
			t.Fatalf("Run = %v, want nil", s.err)
		}
	}
}
