package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/config"
	"devicegate/server"
)

const sharedSecret = "0123456789abcdefghijklmnopqrstuvwxyz of Django"

// withDjango returns a copy of cfg that takes the tokens of a Django.
func withDjango(t *testing.T, cfg *config.Config) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(sharedSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	next := *cfg
	next.Issuers = []config.Issuer{{
		Name: "django", Algorithms: []string{"HS256"}, SecretFile: file, Audience: "gate", MaxLifetime: time.Hour,
		Claims:        config.IssuerClaims{UserID: "user_id", Username: "username", DeviceUID: "device_uid"},
		UnknownDevice: config.UnknownDeviceRegister, MaxDevices: 20,
	}}
	return &next
}

// djangoToken is a token of that Django, good for a minute.
func djangoToken(user, device string) string {
	now := time.Now().Unix()
	text := base64.RawURLEncoding.EncodeToString
	signed := text([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + text([]byte(fmt.Sprintf(
		`{"token_type":"access","exp":%d,"iat":%d,"jti":"x","aud":"gate","user_id":%q,"device_uid":%q}`, now+60, now-1, user, device)))
	mac := hmac.New(sha256.New, []byte(sharedSecret))
	mac.Write([]byte(signed))
	return signed + "." + text(mac.Sum(nil))
}

// reload takes another configuration.
func (s *service) reload(t *testing.T, cfg *config.Config) (changed, waiting []string) {
	t.Helper()
	changed, waiting, err := s.Reload(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Reload = %v", err)
	}
	return changed, waiting
}

// demand asks the gate and demands an outcome, by the reason of a refusal or "" for an allowed check.
func (s *service) demand(t *testing.T, what, path, token, reason string) {
	t.Helper()
	a := s.check(t, path, token)
	if got := a.header.Get("X-Auth-Reason"); got != reason || (reason == "") != (a.status == 200) {
		t.Errorf("%s: %d %q, want %q", what, a.status, got, reason)
	}
}

// TestReloadReachesCachedTokens: what was verified a moment ago is not, once its issuer or its audience is gone.
func TestReloadReachesCachedTokens(t *testing.T) {
	before := settings(t)
	cfg := withDjango(t, before)
	s := start(t, cfg)
	theirs, ours := djangoToken("7", "5b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a"), s.signIn(t)
	warm := func(what string) {
		for range 3 {
			s.demand(t, what+", theirs", "/auth/traefik", theirs, "")
			s.demand(t, what+", ours", "/auth/traefik", ours, "")
		}
	}
	warm("at the start")

	s.reload(t, before)
	s.demand(t, "the issuer is gone", "/auth/traefik", theirs, "token_unverified")
	s.demand(t, "the issuer is gone, and we are not", "/auth/traefik", ours, "")
	s.reload(t, cfg)
	warm("the issuer is back")

	other := *cfg
	other.Issuers = append([]config.Issuer{}, cfg.Issuers...)
	other.Issuers[0].Audience = "another gate"
	s.reload(t, &other)
	s.demand(t, "its audience is gone", "/auth/traefik", theirs, "token_wrong_audience")
	s.reload(t, cfg)
	warm("its audience is back")

	other = *cfg
	other.Tokens.Audience = "another gate"
	s.reload(t, &other)
	s.demand(t, "our audience is gone", "/auth/traefik", ours, "token_wrong_audience")
	s.demand(t, "our audience is gone, and theirs is not", "/auth/traefik", theirs, "")
	other.Tokens.Audience, other.Tokens.Issuer = cfg.Tokens.Audience, "another issuer"
	s.reload(t, &other)
	s.demand(t, "our issuer is gone", "/auth/traefik", ours, "token_unverified")
	s.reload(t, cfg)
	warm("all is back")
}

// TestReloadOfTheFirstIssuer: names of users from before count for its tokens at once.
func TestReloadOfTheFirstIssuer(t *testing.T) {
	cfg := settings(t)
	s := start(t, cfg)
	s.signIn(t)
	if a := s.ask(t, "admin", "POST", "/admin/users", `{"name":"Django:7"}`); a.status != 201 {
		t.Fatalf("making a user: %d %s", a.status, a.body)
	}
	s.reload(t, withDjango(t, cfg))
	s.demand(t, "a name that is taken", "/auth/traefik", djangoToken("7", "0b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a"), "token_unverified")
	if len(s.log.with(`"reason":"token_unverified","status":401,"user":"django:7"`)) != 1 {
		t.Error("the log does not say whom a good signature named")
	}
	s.demand(t, "a name that is not", "/auth/traefik", djangoToken("8", "1b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a"), "")
}

// TestReloadCountsAtOnce goes through what a reload changes.
func TestReloadCountsAtOnce(t *testing.T) {
	cfg := settings(t)
	s := start(t, cfg)
	token := s.signIn(t)
	s.demand(t, "a policy that is not there yet", "/auth/traefik?policy=staff", token, "policy_unknown")

	next := *cfg
	next.Policies = map[string]config.Policy{"default": {}, "staff": {RequireRoles: []string{"staff"}}}
	next.IdentityHeaders.User = "X-Who"
	changed, waiting := s.reload(t, &next)
	if diff := cmp.Diff([]string{"policies", "identity_headers.user"}, changed); diff != "" || waiting != nil {
		t.Errorf("changed (-want +got):\n%swaiting: %q", diff, waiting)
	}
	s.demand(t, "a policy that has come", "/auth/traefik?policy=staff", token, "role_missing")
	if a := s.check(t, "/auth/traefik", token); a.header.Get("X-Who") != "alice" || a.header.Get("Remote-User") != "" {
		t.Errorf("the identity is told as %v", a.header)
	}

	next = *cfg
	next.Checks.AllowedPeers = nil
	s.reload(t, &next)
	s.demand(t, "a peer that may not ask any more", "/auth/traefik", token, "peer_not_allowed")

	next = *cfg
	next.Passwords.MinLength = 8
	s.reload(t, &next)
	if a := s.ask(t, "admin", "POST", "/admin/users", `{"name":"bob","password":"nutmegs-9"}`); a.status != 201 {
		t.Errorf("a shorter password: %d %s", a.status, a.body)
	}
	next.Devices.AllowDelete = false
	s.reload(t, &next)
	if a := s.ask(t, "api", "POST", "/trusted-devices/revoke-all", "", "Authorization", "Bearer "+token); a.status != 403 {
		t.Errorf("a switch that was turned off: %d %s", a.status, a.body)
	}
}

// TestReloadOfWhatOnlyAStartCanChange: it is said, and nothing else is held up by it.
func TestReloadOfWhatOnlyAStartCanChange(t *testing.T) {
	cfg := settings(t)
	s := start(t, cfg)
	token := s.signIn(t)
	next := *cfg
	next.Store.Path, next.API.Address = "elsewhere", config.Address{}
	next.Tokens.AccessLifetime, next.Log.Level = time.Hour, "error"
	next.Policies = map[string]config.Policy{"default": {RequireRoles: []string{"staff"}}}
	changed, waiting := s.reload(t, &next)
	if diff := cmp.Diff([]string{"store.path", "api.address", "tokens.access_lifetime", "log.level"}, waiting); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"policies"}, changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	s.demand(t, "the rest counts", "/auth/traefik", token, "role_missing")
	if again, _ := s.reload(t, &next); again != nil {
		t.Errorf("the same once more changes %q", again)
	}
}

// TestReloadThatFails: everything stays, and it shows.
func TestReloadThatFails(t *testing.T) {
	cfg := settings(t)
	s := start(t, withDjango(t, cfg))
	theirs := djangoToken("7", "5b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a")
	s.demand(t, "before", "/auth/traefik", theirs, "")
	next := withDjango(t, cfg)
	next.Policies = map[string]config.Policy{"default": {RequireRoles: []string{"staff"}}}
	next.Issuers[0].Name, next.Issuers[0].SecretFile = "other", filepath.Join(t.TempDir(), "missing")
	if _, _, err := s.Reload(t.Context(), next); err == nil || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("Reload without the secret = %v", err)
	}
	s.demand(t, "after", "/auth/traefik", theirs, "")
	metrics := s.ask(t, "operations", "GET", "/metrics", "").body
	for _, line := range []string{"devicegate_config_last_reload_successful 0", `devicegate_config_reloads_total{outcome="failure"} 1`, `devicegate_config_reloads_total{outcome="success"} 0`} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// TestReloadOfWhatDoesNotAgree: what would need a start to be true is not taken half, and so not taken for true.
func TestReloadOfWhatDoesNotAgree(t *testing.T) {
	cfg := settings(t)
	s := start(t, cfg)
	next := *cfg
	next.Geo.MMDBFile = "places.mmdb"
	next.Policies = map[string]config.Policy{"default": {DenyCountry: []string{"KP"}}}
	if _, _, err := s.Reload(t.Context(), &next); err == nil || !strings.Contains(err.Error(), "policies.default.deny_country needs geo.mmdb_file") {
		t.Errorf("Reload = %v", err)
	}
}

// TestReloadKeepsFetchedKeys: an issuer that did not change is not asked again, and one that goes is not asked
// any more.
func TestReloadKeepsFetchedKeys(t *testing.T) {
	var asked atomic.Int32
	provider := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer provider.Close()
	cfg := settings(t)
	with := withDjango(t, cfg)
	with.Issuers = append(with.Issuers, config.Issuer{
		Name: "provider", Algorithms: []string{"RS256"}, JWKSURL: provider.URL, Issuer: "https://id.example", AcceptAnyAudience: true,
		MaxLifetime: time.Hour, Claims: config.IssuerClaims{UserID: "sub", DeviceUID: "sid"}, UnknownDevice: config.UnknownDeviceRefuse, MaxDevices: 20,
	})
	s := start(t, with)
	eventually(t, "the provider is asked", func() bool { return asked.Load() > 0 })
	if a := s.ask(t, "operations", "GET", "/readyz", ""); a.status != 200 || !strings.Contains(a.body, `"keys_unavailable":{"provider":`) {
		t.Errorf("/readyz without the provider's keys: %d %s", a.status, a.body)
	}
	next := *with
	next.Issuers = append([]config.Issuer{}, with.Issuers...)
	next.Issuers[0].Leeway = time.Second
	s.reload(t, &next)
	s.reload(t, cfg)
	if a := s.ask(t, "operations", "GET", "/readyz", ""); a.body != `{"status":"ready"}`+"\n" {
		t.Errorf("/readyz without issuers: %s", a.body)
	}
}

// written is a configuration file that a service follows.
type written struct {
	path, base string
	hup        chan os.Signal
}

func followed(t *testing.T) (*service, *written) {
	t.Helper()
	cfg := settings(t)
	w := &written{path: filepath.Join(t.TempDir(), "devicegate.yaml"), hup: make(chan os.Signal, 1)}
	w.base = fmt.Sprintf(`
store: {path: %q}
checks: {http: {address: "127.0.0.1:0"}, grpc: {address: "127.0.0.1:0"}}
api: {address: "127.0.0.1:0"}
operations: {address: "127.0.0.1:0"}
`, cfg.Store.Path)
	w.write(t, w.base)
	load := func() (*config.Config, error) { return config.Load(config.Source{File: w.path, FileRequired: true}) }
	taken := server.StateOf(w.path)
	first, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, first, server.WithReload(load, w.path, taken, w.hup)), w
}

// write replaces the file as an editor does.
func (w *written) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(w.path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(w.path+".new", w.path); err != nil {
		t.Fatal(err)
	}
}

const staffOnly = "policies: {default: {require_roles: [staff]}}\n"

func TestSIGHUP(t *testing.T) {
	s, w := followed(t)
	token := s.signIn(t)
	w.write(t, w.base+staffOnly)
	w.hup <- syscall.SIGHUP
	eventually(t, "the new policy counts", func() bool { return s.check(t, "/auth/traefik", token).status == 403 })
	eventually(t, "it is logged", func() bool {
		return len(s.log.with(`"why":"SIGHUP","changed":["policies"],"message":"configuration reloaded"`)) == 1
	})

	w.write(t, w.base+"policies: {default: {require_rolls: []}}\nlogs: {}\n")
	w.hup <- syscall.SIGHUP
	eventually(t, "both faults are logged", func() bool { return len(s.log.with("the configuration has a fault")) == 2 })
	eventually(t, "what became of it is logged", func() bool {
		return len(s.log.with("the configuration was not reloaded: the one from before stays")) == 1
	})
	s.demand(t, "beside a bad file", "/auth/traefik", token, "role_missing")
	for _, fault := range []string{`devicegate.yaml:6:22: unknown key \"require_rolls\"`, `devicegate.yaml:7:1: unknown key \"logs\"`} {
		if len(s.log.with(fault)) != 1 {
			t.Errorf("the log lacks %s", fault)
		}
	}
}

// TestChangedFile: it is taken without a signal, also when only where a link leads to has changed.
func TestChangedFile(t *testing.T) {
	s, w := followed(t)
	token := s.signIn(t)
	w.write(t, w.base+staffOnly)
	eventually(t, "the new policy counts", func() bool { return s.check(t, "/auth/traefik", token).status == 403 })

	// As Kubernetes does it: the name is a link, and the link is replaced.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data"), []byte(w.base), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(filepath.Join(dir, "data"), w.path+".link"), os.Rename(w.path+".link", w.path)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file behind the link counts", func() bool { return s.check(t, "/auth/traefik", token).status == 200 })

	// A pipe without a writer holds nothing up: not the stop, and not the next file.
	if err := errors.Join(syscall.Mkfifo(w.path+".pipe", 0o600), os.Rename(w.path+".pipe", w.path)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is logged", func() bool { return len(s.log.with("a pipe or a socket")) > 0 })
	w.write(t, w.base+staffOnly)
	eventually(t, "the next file counts", func() bool { return s.check(t, "/auth/traefik", token).status == 403 })
	w.write(t, w.base)
	eventually(t, "and the one after it", func() bool { return s.check(t, "/auth/traefik", token).status == 200 })

	// A file that is gone is a fault, and what was stays.
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is logged", func() bool { return len(s.log.with("there is no such file")) > 0 })
	s.demand(t, "without the file", "/auth/traefik", token, "")
}

// TestReloadsUnderLoad: no check is refused or lost for a thousand of them, and nothing is left behind.
func TestReloadsUnderLoad(t *testing.T) {
	cfg := settings(t)
	with := withDjango(t, cfg)
	s := start(t, with)
	tokens := []string{s.signIn(t), djangoToken("7", "5b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a")}
	for _, token := range tokens {
		s.demand(t, "at the start", "/auth/traefik", token, "")
	}
	checks := s.Checks()
	over := make(chan struct{})
	var busy sync.WaitGroup
	var done atomic.Int64
	for _, token := range tokens {
		busy.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if w := inProcessCheck(checks, token); w.Code != http.StatusOK {
					t.Errorf("a check beside a reload: %d %v", w.Code, w.Header())
					return
				}
				done.Add(1)
			}
		})
	}
	goroutines := runtime.NumGoroutine()
	for i := range 1000 {
		next := *with
		next.Devices.MaxDevices = i % 2
		next.Tokens.RefreshGrace = time.Duration(i%3) * time.Second
		next.Issuers = append([]config.Issuer{}, with.Issuers...)
		next.Issuers[0].Leeway = time.Duration(i%5) * time.Second
		s.reload(t, &next)
	}
	eventually(t, "checks went on", func() bool { return done.Load() > 1000 || t.Failed() })
	close(over)
	busy.Wait()
	if now := runtime.NumGoroutine(); now > goroutines+10 {
		t.Errorf("%d goroutines after a thousand reloads, %d before", now, goroutines)
	}
}

// inProcessCheck asks as Traefik does, without a connection.
func inProcessCheck(checks http.Handler, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/auth/traefik", nil)
	r.RemoteAddr, r.RequestURI = "127.0.0.1:4711", "/auth/traefik"
	for name, value := range map[string]string{
		"Authorization": "Bearer " + token, "X-Forwarded-Method": "GET", "X-Forwarded-Proto": "https",
		"X-Forwarded-Host": "app.example", "X-Forwarded-Uri": "/x",
	} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	checks.ServeHTTP(w, r)
	return w
}
