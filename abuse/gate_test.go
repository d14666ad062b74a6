package abuse_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"devicegate/certificate/certificatetest"
)

// patience is how long anything on this machine may take before a test gives up on it.
const patience = 40 * time.Second

const passphrase = "correct horse battery staple"

// output collects what a process writes. It is safe for concurrent use.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// settings are keys of the configuration, dotted, and their values.
type settings map[string]any

// document writes the settings as a configuration file: JSON is YAML.
func (s settings) document(t *testing.T) []byte {
	t.Helper()
	tree := map[string]any{}
	for key, value := range s {
		node, names := tree, strings.Split(key, ".")
		for _, name := range names[:len(names)-1] {
			if node[name] == nil {
				node[name] = map[string]any{}
			}
			node = node[name].(map[string]any)
		}
		node[names[len(names)-1]] = value
	}
	text, err := json.MarshalIndent(tree, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// session is what a sign-in gives.
type session struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh"`
	Device  string `json:"device_uid"`
}

// gate is the program, serving on free ports of loopback with a store of its own.
type gate struct {
	cmd            *exec.Cmd
	stdout, stderr *output
	exited         chan struct{}
	dir            string
	address        map[string]string // of each listener
	secure         *tls.Config       // nil: the listeners are plain
	anna           session           // of an honest user
}

// startGate starts the program, and signs Anna in.
func startGate(t *testing.T, more settings) *gate { t.Helper(); return start(t, more, nil) }

// start starts the program with some settings besides those of all tests. secure (may be nil) is how its clients speak
// TLS; through is a command that starts what follows it.
func start(t *testing.T, more settings, secure *tls.Config, through ...string) *gate {
	t.Helper()
	dir, err := os.MkdirTemp("", "dg") // short: the kernel bounds the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	g := &gate{dir: dir, secure: secure, stdout: &output{}, stderr: &output{}, exited: make(chan struct{}), address: map[string]string{}}
	all := settings{
		"store.path": g.file("db"), "api.sign_in_rate": "100000/1s", "log.format": "json", "log.allowed_sample": 1000,
		"checks.http.address": "127.0.0.1:0", "checks.grpc.address": "127.0.0.1:0", "api.address": "127.0.0.1:0", "operations.address": "127.0.0.1:0",
	}
	for key, value := range more {
		all[key] = value
	}
	certificatetest.Write(t, g.file("gate.yaml"), all.document(t))
	args := append(through, service, "--config", g.file("gate.yaml"), "serve")
	g.cmd = exec.Command(args[0], args[1:]...)
	g.cmd.Dir, g.cmd.Env, g.cmd.Stdout, g.cmd.Stderr = dir, []string{}, g.stdout, g.stderr
	g.run(t)
	g.addUser(t, "anna", passphrase)
	g.anna = g.signIn(t, "anna", passphrase)
	return g
}

// startSecure is startGate with TLS on the listeners of checks and of the API.
func startSecure(t *testing.T) *gate {
	t.Helper()
	ca := certificatetest.Authority(t, "servers")
	cert, key := ca.Issue(t, "gate").Write(t, t.TempDir())
	more := settings{}
	for _, listener := range []string{"checks.http", "checks.grpc", "api"} {
		more[listener+".tls.cert_file"], more[listener+".tls.key_file"] = cert, key
	}
	return start(t, more, &tls.Config{RootCAs: ca.Pool(), ServerName: "gate.example"})
}

func (g *gate) file(name string) string { return filepath.Join(g.dir, name) }

// run starts the process and waits until it is ready; the test's end ends it.
func (g *gate) run(t *testing.T) {
	t.Helper()
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = g.cmd.Wait() // how it ended is in ProcessState
		close(g.exited)
	}()
	t.Cleanup(func() {
		_ = g.cmd.Process.Signal(syscall.SIGKILL)
		<-g.exited
		if t.Failed() {
			t.Logf("log of the gate:\n%.1500s", g.stderr)
		}
	})
	eventually(t, "the gate is ready", func() bool { return g.alive(t) && strings.Contains(g.stderr.String(), `"message":"ready"`) })
	for line := range strings.Lines(g.stderr.String()) {
		var l struct{ Listener, Address string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Listener != "" {
			g.address[l.Listener] = l.Address
		}
	}
}

// alive fails the test once the process has ended.
func (g *gate) alive(t *testing.T) bool {
	t.Helper()
	select {
	case <-g.exited:
		t.Fatalf("the gate has ended: %v\n%.4000s", g.cmd.ProcessState, g.stderr)
	default:
	}
	return true
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
		<-tick.C
	}
}

// dial connects to a listener, with TLS where it speaks that.
func (g *gate) dial(listener string) (net.Conn, error) {
	if path, unix := strings.CutPrefix(g.address[listener], "unix:"); unix {
		return net.DialTimeout("unix", path, patience)
	}
	plain, err := net.DialTimeout("tcp", g.address[listener], patience)
	if err != nil {
		return nil, err
	}
	_ = plain.(*net.TCPConn).SetLinger(0) // 10,000 connections leave no ports behind that wait for their time
	if g.secure == nil || listener == "operations" {
		return plain, nil
	}
	return tls.Client(plain, g.secure), nil
}

// client returns a client of one listener, whatever host the URL names. Its connections are kept where that is said.
func (g *gate) client(listener string, kept bool) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: !kept, DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return g.dial(listener) },
	}}
}

// reply is an answer; status 0 means that none came.
type reply struct {
	status int
	header http.Header
	body   string
}

func do(client *http.Client, r *http.Request) (reply, error) {
	resp, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(body)}, err
}

// call sends one request with a JSON body (none where in is nil) to a listener and must be answered.
func (g *gate) call(t *testing.T, listener, method, path, token string, in any) reply {
	t.Helper()
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, "http://gate.example"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := do(g.client(listener, false), r)
	if err != nil {
		t.Fatalf("%s %s at %s: %v", method, path, listener, err)
	}
	return got
}

func (r reply) must(t *testing.T, status int, what string) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("%s: answered %d %.300s, want %d", what, r.status, r.body, status)
	}
	return r
}

func (r reply) into(t *testing.T, out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), out); err != nil {
		t.Fatal(err)
	}
}

func (g *gate) addUser(t *testing.T, name, password string, roles ...string) (id string) {
	t.Helper()
	var made struct{ ID string }
	g.call(t, "admin", "POST", "/admin/users", "", map[string]any{"name": name, "password": password, "roles": append([]string{}, roles...)}).must(t, 201, "making "+name).into(t, &made)
	return made.ID
}

func (g *gate) signIn(t *testing.T, name, password string) (s session) {
	t.Helper()
	unlessBusy(func() reply {
		return g.call(t, "api", "POST", "/api/token", "", map[string]string{"username": name, "password": password})
	}).must(t, 200, "signing in "+name).into(t, &s)
	return s
}

// unlessBusy asks again while the gate says after its 5 s that it is busy, as every client is told to, for a minute:
// hashes have the lowest priority of all, and the other tests want the same cores.
func unlessBusy(ask func() reply) (got reply) {
	for range 12 {
		if got = ask(); got.status != http.StatusServiceUnavailable {
			break
		}
	}
	return got
}
