package compat_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"devicegate/activity"
	"devicegate/config"
	"devicegate/db/dbtest"
	"devicegate/password/passwordtest"
	"devicegate/server"
)

const (
	secret = "correct horse battery staple"
	home   = "198.51.100.7"
	cafe   = "203.0.113.9"
)

// service is the service that the tests talk to, without listeners.
type service struct {
	t                  *testing.T
	api, admin, checks http.Handler
	now                time.Time
	users              map[string]string // ids by name
}

// start opens a service with the configuration of the page, changed by lines of the form "old => new".
func start(t *testing.T, changes ...string) *service {
	t.Helper()
	// The tests sign in as fast as they can; the one of the throttle takes the page's own rate.
	text := strings.Replace(pageConfig(t), "sign_in_rate: 5/1m", "sign_in_rate: 100000/1s", 1)
	for _, change := range changes {
		before, after, _ := strings.Cut(change, " => ")
		if !strings.Contains(text, before) {
			t.Fatalf("the page's configuration has no %q to change", before)
		}
		text = strings.Replace(text, before, after, 1)
	}
	cfg, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	g := &service{t: t, now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), users: map[string]string{}}
	s, err := server.Open(t.Context(), cfg, zerolog.Nop(), server.WithStore(dbtest.New(t)),
		server.WithHasher(&passwordtest.Hasher{}), server.WithClock(func() time.Time { return g.now }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.api, g.admin, g.checks = s.API(), s.Admin(activity.BySocket), s.Checks()
	g.addUser("alice")
	return g
}

func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "devicegate.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Source{File: file, FileRequired: true})
}

// pageConfig is the configuration that docs/migrating-from-django.md tells people to begin with.
func pageConfig(t *testing.T) string {
	t.Helper()
	_, rest, found := strings.Cut(readPage(t), "```yaml\n")
	text, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("the page has no configuration")
	}
	return text
}

// request is what a client sends; the zero from is home.
type request struct {
	method, path, token, body, from string
	header                          []string // name, value, ...
}

type response struct {
	status int
	header http.Header
	body   []byte
}

func (r response) decode(into any) { _ = json.Unmarshal(r.body, into) } // what does not decode stays empty

func (r response) code() string {
	var p struct{ Code string }
	r.decode(&p)
	return p.Code
}

func (r response) detail() string {
	var p struct{ Detail string }
	r.decode(&p)
	return p.Detail
}

func (g *service) send(q request) response {
	handler := g.api
	if strings.HasPrefix(q.path, "/admin") {
		handler = g.admin
	}
	r := httptest.NewRequest(q.method, q.path, strings.NewReader(q.body))
	r.RemoteAddr = home + ":4711"
	if q.from != "" {
		r.RemoteAddr = q.from + ":4711"
	}
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	for i := 0; i < len(q.header); i += 2 {
		r.Header.Set(q.header[i], q.header[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return response{w.Code, w.Header(), w.Body.Bytes()}
}

// check asks as a proxy does for a client at from, and returns the reason of a refusal, or "ok".
func (g *service) check(token, from string) string {
	r := httptest.NewRequest("GET", "/auth/traefik", nil)
	r.RemoteAddr = "127.0.0.1:4711"
	for name, value := range map[string]string{
		"Authorization": "Bearer " + token, "X-Forwarded-For": from, "X-Forwarded-Method": "GET",
		"X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example", "X-Forwarded-Uri": "/",
	} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	g.checks.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		return "ok"
	}
	return w.Header().Get("X-Auth-Reason")
}

func (g *service) advance(d time.Duration) { g.now = g.now.Add(d) }

func (g *service) addUser(name string, roles ...string) {
	g.t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "password": secret, "roles": append([]string{}, roles...)})
	if err != nil {
		g.t.Fatal(err)
	}
	r := g.want(201, "", request{method: "POST", path: "/admin/users", body: string(body)})
	var user struct{ ID string }
	r.decode(&user)
	g.users[name] = user.ID
}

func (g *service) changeUser(name, body string) {
	g.t.Helper()
	g.want(200, "", request{method: "PATCH", path: "/admin/users/" + g.users[name], body: body})
}

func (g *service) disable(name string) { g.changeUser(name, `{"disabled":true}`) }

// want sends and demands status and code.
func (g *service) want(status int, code string, q request) response {
	g.t.Helper()
	r := g.send(q)
	if r.status != status || r.code() != code {
		g.t.Fatalf("%s %s %s = %d %s, want %d %s", q.method, q.path, q.body, r.status, r.body, status, code)
	}
	return r
}

// session is a signed-in client.
type session struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh"`
	UID     string `json:"device_uid"`
}

func signingIn(name string) request {
	return request{method: "POST", path: "/api/token", body: `{"username":"` + name + `","password":"` + secret + `"}`}
}

func refreshing(s session) request {
	return request{method: "POST", path: "/api/token/refresh", body: `{"refresh":"` + s.Refresh + `"}`}
}

func verifying(token string) request {
	return request{method: "POST", path: "/api/token/verify", body: `{"token":"` + token + `"}`}
}

// on is a call about one device.
func on(method string, by, target session, body string) request {
	return request{method: method, path: "/trusted-devices/" + target.UID, token: by.Access, body: body}
}

func listing(s session) request {
	return request{method: "GET", path: "/trusted-devices", token: s.Access}
}

func revokingAll(s session) request {
	return request{method: "POST", path: "/trusted-devices/revoke-all", token: s.Access}
}

func loggingOut(s session) request {
	return request{method: "POST", path: "/trusted-devices/logout", token: s.Access}
}

func (g *service) signIn(name string) session {
	g.t.Helper()
	return sessionOf(g.want(200, "", signingIn(name)))
}

func sessionOf(r response) (s session) {
	r.decode(&s)
	return s
}

// fresh refreshes the session, whose access token may be dead.
func (g *service) fresh(s session) session {
	g.t.Helper()
	return sessionOf(g.want(200, "", refreshing(s)))
}

// shown is a device as the API shows it.
type shown struct {
	UID       string    `json:"device_uid"`
	Name      string    `json:"name"`
	IP        string    `json:"ip_address"`
	LastIP    string    `json:"last_ip"`
	Country   *string   `json:"country"`
	City      *string   `json:"city"`
	LastSeen  time.Time `json:"last_seen"`
	CanUpdate bool      `json:"can_update_other_devices"`
	CanDelete bool      `json:"can_delete_other_devices"`
	IsCurrent bool      `json:"is_current"`
}

func (g *service) devices(s session) (all []shown) {
	g.t.Helper()
	g.want(200, "", listing(s)).decode(&all)
	return all
}

// device returns how by's user sees one device.
func (g *service) device(by, s session) (d shown) {
	g.t.Helper()
	g.want(200, "", on("GET", by, s, "")).decode(&d)
	return d
}
