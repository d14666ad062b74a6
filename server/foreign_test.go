package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"devicegate/activity"
	"devicegate/config"
	"devicegate/server"
	"devicegate/token/foreign"
)

const djangoSecret = "fifty letters that only Django and the gate know!!"

// abroad returns settings with two issuers: "django", whose devices are registered on first sight, and
// "keycloak", whose keys cannot be had.
func abroad(t *testing.T) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(djangoSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := settings(t)
	django := config.Issuer{
		Name: "django", Algorithms: []string{"HS256"}, SecretFile: path, AcceptAnyAudience: true, MaxLifetime: time.Hour,
		Claims:        config.IssuerClaims{UserID: "user_id", Username: "username", Roles: "groups", DeviceUID: "device_uid"},
		Roles:         map[string]string{"Staff": "staff", "Boss": "boss"},
		UnknownDevice: config.UnknownDeviceRegister, MaxDevices: 20,
	}
	keycloak := django
	keycloak.Name, keycloak.Issuer, keycloak.SecretFile, keycloak.Algorithms = "keycloak", "https://id.example", "", []string{"RS256"}
	keycloak.JWKSURL = "http://127.0.0.1:1/jwks"
	cfg.Issuers = []config.Issuer{django, keycloak}
	return cfg
}

// foreignToken signs claims as SimpleJWT does, on top of those that every token has.
func foreignToken(alg string, more map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{"token_type": "access", "exp": now + 600, "iat": now, "jti": "1", "user_id": "7", "username": "åsa, 7"}
	for name, value := range more {
		claims[name] = value
	}
	body, _ := json.Marshal(claims) // plain values
	encode := base64.RawURLEncoding.EncodeToString
	input := encode(fmt.Appendf(nil, `{"alg":%q,"typ":"JWT","kid":"1"}`, alg)) + "." + encode(body)
	mac := hmac.New(sha256.New, []byte(djangoSecret))
	mac.Write([]byte(input))
	return input + "." + encode(mac.Sum(nil))
}

// modes are the ways to ask over HTTP, and what the status of "cannot be decided" is there.
var modes = map[string]int{"/auth/traefik": 503, "/auth/nginx": 503, "/auth/caddy": 503, "/auth/haproxy": 503, "/auth/envoy/default/x": 403}

// Every proxy gets the issuer's user, his mapped roles and the device, on first sight and after a restart.
func TestForeignChecks(t *testing.T) {
	cfg := abroad(t)
	s := start(t, cfg)
	passes := func(s *service, token, device string) {
		t.Helper()
		for path := range modes {
			a := s.check(t, path, token)
			got := []string{a.header.Get("Remote-User"), a.header.Get("Remote-Groups"), a.header.Get("Remote-Device")}
			if want := []string{"%C3%A5sa%2C 7", "boss,staff", device}; a.status != 200 || strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("%s = %d %s with %q, want 200 with %q", path, a.status, a.header.Get("X-Auth-Reason"), got, want)
			}
		}
	}
	device, gone := uuid.NewString(), uuid.NewString()
	of := func(device string) string {
		return foreignToken("HS256", map[string]any{"device_uid": device, "groups": []string{"Boss", "admin", "Staff", "other"}})
	}
	passes(s, of(device), device)
	passes(s, of(gone), gone)
	user := foreign.UserID("django:7").String()
	if a := s.ask(t, "admin", "DELETE", "/admin/users/"+user+"/devices/"+gone, ""); a.status != 204 {
		t.Fatalf("DELETE = %d %s", a.status, a.body)
	}
	last := uuid.NewString()
	passes(s, of(last), last)
	s.stop()
	<-s.ended
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Issuers[0].UnknownDevice = config.UnknownDeviceRefuse // so that what passes was stored
	again := start(t, cfg)
	passes(again, of(device), device)
	passes(again, of(last), last)
	for path := range modes {
		a := again.check(t, path, of(gone))
		if reason := a.header.Get("X-Auth-Reason"); a.status == 200 || reason != "device_not_recognized" || a.header.Get("Remote-User") != "" {
			t.Errorf("%s lets an ended device pass after a restart: %d %s", path, a.status, reason)
		}
	}
}

// The service stores what a check has let in without being asked.
func TestForeignDevicesAreStored(t *testing.T) {
	s := start(t, abroad(t))
	s.check(t, "/auth/traefik", foreignToken("HS256", map[string]any{"device_uid": uuid.NewString()}))
	eventually(t, "the user is listed", func() bool {
		return strings.Contains(s.ask(t, "admin", "GET", "/admin/users", "").body, `"name":"django:7"`)
	})
}

// An issuer whose keys cannot be had refuses its own tokens, in every mode, and nobody else's.
func TestForeignKeysUnavailable(t *testing.T) {
	s := start(t, abroad(t))
	own := s.signIn(t)
	theirs := foreignToken("RS256", map[string]any{"iss": "https://id.example", "device_uid": uuid.NewString()})
	django := foreignToken("HS256", map[string]any{"device_uid": uuid.NewString()})
	for path, status := range modes {
		a := s.check(t, path, theirs)
		if got := a.header.Get("X-Auth-Reason"); a.status != status || got != "keys_unavailable" {
			t.Errorf("%s = %d %s, want %d keys_unavailable", path, a.status, got, status)
		}
		for _, token := range []string{own, django} {
			if a := s.check(t, path, token); a.status != 200 {
				t.Errorf("%s of another issuer's token = %d %s", path, a.status, a.header.Get("X-Auth-Reason"))
			}
		}
	}
	check := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Host: "app.example", Path: "/x", Headers: map[string]string{"authorization": "Bearer " + theirs},
		},
	}}}
	answer, err := authv3.NewAuthorizationClient(dialChecks(t, s)).Check(t.Context(), check)
	if err != nil {
		t.Fatal(err)
	}
	denied := answer.GetDeniedResponse()
	if got := codes.Code(answer.GetStatus().GetCode()); got != codes.Unavailable || denied.GetStatus().GetCode() != 503 || !strings.Contains(fmt.Sprint(denied.GetHeaders()), "keys_unavailable") {
		t.Errorf("over gRPC: %v, %v", got, answer)
	}
	if a := s.ask(t, "api", "GET", "/trusted-devices", "", "Authorization", "Bearer "+theirs); a.status != 503 || !strings.Contains(a.body, "keys_unavailable") {
		t.Errorf("on the API: %d %s", a.status, a.body)
	}
	ready := s.ask(t, "operations", "GET", "/readyz", "")
	var said struct {
		Status string
		Keys   map[string]string `json:"keys_unavailable"`
	}
	if err := json.Unmarshal([]byte(ready.body), &said); err != nil || ready.status != 200 || said.Status != "ready" || len(said.Keys) != 1 || said.Keys["keycloak"] == "" {
		t.Errorf("/readyz = %d %s, want 200 ready that names keycloak alone", ready.status, ready.body)
	}
	wantHealth(t, s, 200, "ready", healthpb.HealthCheckResponse_SERVING)
}

// A device that is let in by the command line without a service lives as long as any other.
func TestForeignRegisteredOffline(t *testing.T) {
	cfg := abroad(t)
	cfg.Devices.MaxLifetime = 48 * time.Hour
	cfg.Issuers[0].SecretFile = "not there" // no token is judged
	s := open(t, cfg, server.Offline())
	if err := s.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	put := httptest.NewRequest(http.MethodPut, "/admin/devices/"+uuid.NewString(), strings.NewReader(`{"issuer":"django","user_id":"7"}`))
	put.Header.Set("Content-Type", "application/json")
	s.Admin(activity.ByFile).ServeHTTP(w, put)
	var made struct {
		Created time.Time `json:"created_at"`
		Expires time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 200 || made.Expires.Sub(made.Created) != cfg.Devices.MaxLifetime {
		t.Errorf("PUT = %d %s, want it to live for %v", w.Code, w.Body, cfg.Devices.MaxLifetime)
	}
}
