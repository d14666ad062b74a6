package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"devicegate/config"
	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/password/passwordtest"
	"devicegate/server"
)

const (
	secret  = "correct horse battery staple"
	secret2 = "a better one than before"
	guessed = "Go-http-client/1.1" // the name of a device that the tests sign in without one
)

// gate is a running service as its callers see it.
type gate struct {
	t      *testing.T
	server *server.Server
	url    string // of the API, with the base path
	people http.RoundTripper
	admins http.RoundTripper // over the admin socket
	remote http.RoundTripper // over admin.address
	commit *dbtest.Faulty
	reads  *reads
	hasher *passwordtest.Hasher
	clock  *clock
	log    *lines
	page   *page
}

// start runs a service until the test ends.
func start(t *testing.T, changes ...func(*config.Config)) *gate {
	t.Helper()
	g := open(t, changes...)
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- g.server.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil after an orderly end", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("Run ended before it was ready: %v", err)
	}
	at := g.server.Addresses()
	g.url = "http://" + at["api"] + g.url
	g.people = transport("tcp", at["api"])
	g.admins = transport("unix", strings.TrimPrefix(at["admin"], "unix:"))
	g.remote = transport("tcp", at["admin.address"])
	return g
}

// open puts a service together that does not run; url is the base path alone.
func open(t *testing.T, changes ...func(*config.Config)) *gate {
	t.Helper()
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(t.TempDir(), "db")
	for _, address := range []*config.Address{&cfg.API.Address, &cfg.Admin.Address, &cfg.Checks.HTTP.Address, &cfg.Checks.GRPC.Address, &cfg.Operations.Address} {
		*address = config.Address{Network: "tcp", Addr: "127.0.0.1:0"}
	}
	cfg.API.SignInRate.Count = 1_000_000 // all clients of a test have one address
	for _, change := range changes {
		change(&cfg)
	}
	g := &gate{t: t, url: cfg.API.BasePath, hasher: &passwordtest.Hasher{}, clock: &clock{}, log: &lines{}, page: readPage(t)}
	g.commit = dbtest.NewFaulty(dbtest.New(t))
	g.reads = &reads{Store: g.commit}
	var err error
	g.server, err = server.Open(t.Context(), &cfg, zerolog.New(g.log),
		server.WithStore(g.reads), server.WithHasher(g.hasher), server.WithClock(g.clock.Now))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = g.server.Close() })
	return g
}

func transport(network, address string) http.RoundTripper {
	return &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
}

// call is one request. The zero token sends no Authorization, a body is JSON unless header says else.
type call struct {
	method, path, token, body string
	header                    http.Header
	chunked                   bool   // the body without a Content-Length
	remote                    bool   // over admin.address, not the admin socket
	meanwhile                 func() // what happens between the headers and the body
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends the call and holds the answer against openapi.yaml.
func (g *gate) do(c call) answer {
	g.t.Helper()
	a := g.send(c)
	for _, fault := range g.page.faults(c.method, c.path, a) {
		g.t.Errorf("%s %s answered %d %s: %s", c.method, c.path, a.status, a.body, fault)
	}
	return a
}

// send sends the call, to an admin listener where it or its path says so.
func (g *gate) send(c call) answer {
	g.t.Helper()
	var body io.Reader = http.NoBody
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	if c.meanwhile != nil {
		body = &heldBack{body, c.meanwhile}
	}
	if c.chunked {
		body = struct{ io.Reader }{body}
	}
	base, by := g.url, g.people
	switch {
	case c.remote:
		base, by = "http://admin", g.remote
	case strings.HasPrefix(c.path, "/admin"):
		base, by = "http://admin", g.admins
	}
	req, err := http.NewRequestWithContext(g.t.Context(), c.method, base+c.path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.meanwhile != nil && !c.chunked {
		req.ContentLength = int64(len(c.body))
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	resp, err := by.RoundTrip(req)
	if err != nil {
		g.t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		g.t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	return a
}

// want sends the call and demands the status.
func (g *gate) want(status int, c call) answer {
	g.t.Helper()
	a := g.do(c)
	if a.status != status {
		g.t.Fatalf("%s %s = %d %s, want %d", c.method, c.path, a.status, a.body, status)
	}
	return a
}

// refused sends the call and demands a problem with status and code.
func (g *gate) refused(status int, code string, c call) answer {
	g.t.Helper()
	a := g.do(c)
	if a.status != status || a.code() != code {
		g.t.Errorf("%s %s with %.60s = %d %s, want %d %s", c.method, c.path, c.body, a.status, a.body, status, code)
	}
	return a
}

func (a answer) code() string { return decoded[struct{ Code string }](a).Code }

// pointers returns what the problem's errors point to, joined by spaces.
func (a answer) pointers() string {
	var all []string
	for _, e := range decoded[struct{ Errors []struct{ Pointer string } }](a).Errors {
		all = append(all, e.Pointer)
	}
	return strings.Join(all, " ")
}

func decoded[T any](a answer) T {
	var v T
	_ = json.Unmarshal(a.body, &v) // what does not decode is seen as empty by the comparison that follows
	return v
}

type tokens struct {
	Access, Refresh string
	UID             string `json:"device_uid"`
}

type resetToken struct {
	Token   string    `json:"reset_token"`
	Expires time.Time `json:"expires_at"`
}

type deviceView struct {
	UID       string `json:"device_uid"`
	Name      string
	UserAgent string `json:"user_agent"`
	IP        string `json:"ip_address"`
	LastIP    string `json:"last_ip"`
	CanUpdate bool   `json:"can_update_other_devices"`
	CanDelete bool   `json:"can_delete_other_devices"`
	IsCurrent bool   `json:"is_current"`
}

// addUser makes an account with the password secret and returns its id.
func (g *gate) addUser(name string) string {
	g.t.Helper()
	a := g.want(201, call{method: "POST", path: "/admin/users", body: object("name", name, "password", secret)})
	return decoded[struct{ ID string }](a).ID
}

// addAdmin is addUser with the role that administrates.
func (g *gate) addAdmin(name string) string {
	g.t.Helper()
	a := g.want(201, call{method: "POST", path: "/admin/users", body: object("name", name, "password", secret, "roles", []string{"admin"})})
	return decoded[struct{ ID string }](a).ID
}

func (g *gate) signIn(name string) tokens {
	g.t.Helper()
	return decoded[tokens](g.want(200, signInOf(name, secret)))
}

func (g *gate) devices(token string) []deviceView {
	g.t.Helper()
	return decoded[[]deviceView](g.want(200, call{method: "GET", path: "/trusted-devices", token: token}))
}

// live demands that the device still passes, dead that it is refused with code.
func (g *gate) live(d tokens) {
	g.t.Helper()
	g.want(200, call{method: "GET", path: "/trusted-devices/" + d.UID, token: d.Access})
	g.want(200, verifying(d.Access))
	g.want(200, verifying(d.Refresh))
}

func (g *gate) dead(code string, d tokens) {
	g.t.Helper()
	g.refused(401, code, call{method: "GET", path: "/trusted-devices", token: d.Access})
	g.refused(401, code, verifying(d.Access))
	g.refused(401, code, verifying(d.Refresh))
	g.refused(401, code, refreshing(d.Refresh))
}

func signInOf(name, password string) call {
	return call{method: "POST", path: "/api/token", body: object("username", name, "password", password)}
}

func refreshing(token string) call {
	return call{method: "POST", path: "/api/token/refresh", body: object("refresh", token)}
}

func verifying(token string) call {
	return call{method: "POST", path: "/api/token/verify", body: object("token", token)}
}

func revoking(token string) call {
	return call{method: "POST", path: "/api/token/revoke", body: object("refresh", token)}
}

// object returns a JSON object of the names and values.
func object(pairs ...any) string {
	members := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		members[pairs[i].(string)] = pairs[i+1]
	}
	b, _ := json.Marshal(members) // plain values
	return string(b)
}

// reads is a store whose reads fail, or panic, on command.
type reads struct {
	db.Store
	fault atomic.Pointer[func() error]
	gets  atomic.Pointer[func(key string) error]
}

// failGets makes every Get ask fault first.
func (r *reads) failGets(fault func(key string) error) { r.gets.Store(&fault) }

func (r *reads) failWith(fault func() error) {
	if fault == nil {
		r.fault.Store(nil)
		return
	}
	r.fault.Store(&fault)
}

func (r *reads) Get(ctx context.Context, key string) (db.Entry, error) {
	if f := r.fault.Load(); f != nil {
		return db.Entry{}, (*f)()
	}
	if f := r.gets.Load(); f != nil {
		if err := (*f)(key); err != nil {
			return db.Entry{}, err
		}
	}
	return r.Store.Get(ctx, key)
}

func (r *reads) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	if f := r.fault.Load(); f != nil {
		return nil, 0, (*f)()
	}
	return r.Store.Range(ctx, from, to, limit)
}

// clock runs with the machine's and can be put forward, or stopped.
type clock struct{ ahead, stopped atomic.Int64 }

func (c *clock) Now() time.Time {
	now := time.Now()
	if at := c.stopped.Load(); at != 0 {
		now = time.Unix(0, at)
	}
	return now.Add(time.Duration(c.ahead.Load()))
}

func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// stop holds the clock at a whole second, so that ages are exact.
func (c *clock) stop() { c.stopped.Store(time.Now().Truncate(time.Second).UnixNano()) }

// lines collects the log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
