package compat_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long anything on this machine may take before a test gives up on it.
const patience = time.Minute

// The SimpleJWT that scripts/django fetches: today's, and the last one that wrote user_id as a number.
const (
	newest = "5.5.1"
	before = "5.5.0"
)

// packages is what scripts/django --print says is there, by name.
var packages = sync.OnceValue(func() map[string]string {
	out, _ := exec.Command("../scripts/django", "--print").Output() // its exit status says whether all is there
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, path, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			found[name] = path
		}
	}
	return found
})

// needDjango returns the Python that runs a project and where that finds its packages. Without them the test
// fails on CI, where nothing may be left out, and elsewhere says what it leaves out.
func needDjango(t *testing.T, version string) (python, path string) {
	t.Helper()
	found := packages()
	python, path = found["python"], found["django"]
	old, hasOld := found["simplejwt-"+before]
	if version == before && path != "" {
		path = old + string(filepath.ListSeparator) + path
	}
	if python != "" && path != "" && (version == newest || hasOld) {
		return python, path
	}
	if os.Getenv("CI") != "" {
		t.Fatal("Django is missing; run scripts/django first")
	}
	t.Skip("LEFT OUT: everything with tokens of a real Django, which is not installed; scripts/django gets it")
	return "", ""
}

// project is a running Django project with SimpleJWT and django-trusted-devices: testdata/django/project.py.
type project struct {
	t    *testing.T
	url  string
	stop func() // is called at the end of the test as well
}

// startProject runs a project on the data in folder, of which it makes what is missing: alice, who is the user 1,
// bob and carol. settings are those of SIMPLE_JWT, lifetimes in seconds.
func startProject(t *testing.T, folder, version, secretKey string, settings map[string]any) *project {
	t.Helper()
	python, path := needDjango(t, version)
	content, err := json.Marshal(map[string]any{
		"SECRET_KEY": secretKey, "SIMPLE_JWT": settings, "USERS": []string{"alice", "bob", "carol"}, "PASSWORD": secret,
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "settings.json"), content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, python, "testdata/django/project.py", folder)
	cmd.Env = append(cmd.Environ(), "PYTHONPATH="+path, "PYTHONUTF8=1")
	p := &project{t: t, stop: cancel}
	p.run(cmd, version)
	return p
}

// run starts the project and waits until it serves.
func (p *project) run(cmd *exec.Cmd, version string) {
	p.t.Helper()
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	_, err := cmd.StdinPipe() // stays open for as long as the test runs
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	kill, ended := p.stop, false
	p.stop = func() {
		if ended {
			return
		}
		ended = true
		kill()
		_ = cmd.Wait() // says that it was killed
		if p.t.Failed() {
			p.t.Logf("what Django said: %s", complaints.Bytes())
		}
	}
	p.t.Cleanup(p.stop)
	tooLate := time.AfterFunc(patience, kill)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	tooLate.Stop()
	var serving struct {
		Port     json.Number
		Versions map[string]string
	}
	if err == nil {
		err = json.Unmarshal(line, &serving)
	}
	if err != nil {
		p.t.Fatalf("Django does not serve: %v", err)
	}
	if got := serving.Versions["djangorestframework-simplejwt"]; got != version {
		p.t.Fatalf("SimpleJWT is %s, want %s", got, version)
	}
	p.url = "http://127.0.0.1:" + serving.Port.String()
}

// want sends to Django and demands the status.
func (p *project) want(t *testing.T, status int, q request) response {
	t.Helper()
	r := overHTTP(t, http.DefaultClient, p.url, q)
	if r.status != status {
		t.Fatalf("Django: %s %s = %d %s, want %d", q.method, q.path, r.status, r.body, status)
	}
	return r
}

// signIn signs a user in at Django. under is where it serves another serializer, or empty.
func (p *project) signIn(t *testing.T, under, name string) session {
	t.Helper()
	q := signingIn(name)
	q.path = under + q.path
	return sessionOf(p.want(t, 200, q))
}

// fresh returns the session with a new access token of Django's for the same device.
func (p *project) fresh(t *testing.T, s session) session {
	t.Helper()
	next := sessionOf(p.want(t, 200, refreshing(s)))
	if next.Access == "" || next.Access == s.Access {
		t.Fatal("Django gave no new access token")
	}
	s.Access = next.Access
	return s
}
