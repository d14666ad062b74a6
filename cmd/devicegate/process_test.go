package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
)

const secret = "correct horse battery staple"

// output collects what a process prints.
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

// process is this program, running.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *output
	exited         chan struct{}
}

// startProgram runs the program in dir until the test ends.
func startProgram(t *testing.T, dir string, environ []string, args ...string) *process {
	t.Helper()
	program, err := exec.LookPath("devicegate")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(program, args...), stdout: &output{}, stderr: &output{}, exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append([]string{atOnce}, environ...)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.end(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("log of %v:\n%.6000s", args, p.stderr)
		}
	})
	return p
}

// end sends the signal and waits for the end.
func (p *process) end(signal os.Signal) {
	_ = p.cmd.Process.Signal(signal) // it may have ended by itself
	<-p.exited
}

// wait polls until ok, and fails when the process ends before.
func (p *process) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-p.exited:
			t.Fatalf("the program ended (%v) before %s:\n%s", p.cmd.ProcessState, what, p.stderr)
		case <-deadline:
			t.Fatalf("it never came to this: %s\n%s", what, p.stderr)
		}
	}
}

// gate is "devicegate serve", running.
type gate struct {
	*process
	address map[string]string // of each listener
	people  *http.Client
	admins  *http.Client // over the admin socket
}

// startGate serves the store in dir, with more of an environment, and waits until it is ready.
func startGate(t *testing.T, dir string, more ...string) *gate {
	t.Helper()
	environ := []string{
		"DEVICEGATE_CONFIG=" + filepath.Join(dir, "none.yaml"), "DEVICEGATE_LOG_ALLOWED_SAMPLE=1000",
		"DEVICEGATE_API_SIGN_IN_RATE=100000/1s", // tests sign in more often than people
	}
	for _, listener := range []string{"OPERATIONS", "API", "CHECKS_HTTP", "CHECKS_GRPC"} {
		environ = append(environ, "DEVICEGATE_"+listener+"_ADDRESS=127.0.0.1:0")
	}
	if err := os.WriteFile(filepath.Join(dir, "none.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := &gate{process: startProgram(t, dir, append(environ, more...), "serve"), address: map[string]string{}}
	g.wait(t, "it was ready", func() bool { return strings.Contains(g.stderr.String(), `"message":"ready"`) })
	for line := range strings.Lines(g.stderr.String()) {
		var l struct{ Level, Listener, Address string }
		_ = json.Unmarshal([]byte(line), &l) // what is no such line is left empty
		if l.Listener != "" {
			g.address[l.Listener] = l.Address
		}
		if l.Level != "info" {
			t.Errorf("the start is not without a complaint: %s", line)
		}
	}
	g.people = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	g.admins = &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(dir, "devicegate.db.sock"))
	}}}
	t.Cleanup(g.people.CloseIdleConnections)
	t.Cleanup(g.admins.CloseIdleConnections)
	return g
}

type reply struct {
	status int
	header http.Header
	body   string
}

// call sends one request to the API, or to the admin socket; status 0 where no answer came.
func (g *gate) call(method, path, token string, members ...string) reply {
	base, client := "http://"+g.address["api"], g.people
	if strings.HasPrefix(path, "/admin") {
		base, client = "http://admin", g.admins
	}
	return send(client, method, base+path, token, members...)
}

func send(client *http.Client, method, url, token string, members ...string) reply {
	var body io.Reader = http.NoBody
	if len(members) > 0 {
		object := map[string]string{}
		for i := 0; i < len(members); i += 2 {
			object[members[i]] = members[i+1]
		}
		b, _ := json.Marshal(object) // plain strings
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return reply{body: err.Error()}
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, name := range []string{"Method", "Proto", "Host", "Uri"} {
		req.Header.Set("X-Forwarded-"+name, map[string]string{"Method": "GET", "Proto": "https", "Host": "app.example", "Uri": "/"}[name])
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{body: err.Error()}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{body: err.Error()}
	}
	return reply{resp.StatusCode, resp.Header, string(b)}
}

// must demands the status.
func (r reply) must(t *testing.T, status int, format string, args ...any) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("%s = %d %s, want %d", fmt.Sprintf(format, args...), r.status, r.body, status)
	}
	return r
}

type tokens struct {
	Access, Refresh string
	UID             string `json:"device_uid"`
}

func (r reply) tokens() (got tokens) {
	_ = json.Unmarshal([]byte(r.body), &got) // an answer of another form has none
	return got
}

func (g *gate) signIn(name string) reply {
	return g.call("POST", "/api/token", "", "username", name, "password", secret)
}

func (g *gate) refresh(token string) reply {
	return g.call("POST", "/api/token/refresh", "", "refresh", token)
}

func (g *gate) verify(token string) reply {
	return g.call("POST", "/api/token/verify", "", "token", token)
}

// check asks the gate as Traefik does.
func (g *gate) check(token string) reply {
	return send(g.people, "GET", "http://"+g.address["checks.http"]+"/auth/traefik", token)
}
