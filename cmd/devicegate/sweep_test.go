package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// run runs one command beside the service, on the same configuration, and returns what it prints.
func (g *gate) run(t *testing.T, args ...string) string {
	t.Helper()
	p := startProgram(t, g.cmd.Dir, g.cmd.Env, args...)
	<-p.exited
	if code := p.cmd.ProcessState.ExitCode(); code != exitDone || p.stderr.String() != "" {
		t.Fatalf("%v exits with %d: %s", args, code, p.stderr)
	}
	return p.stdout.String()
}

// TestCommandsEndDevices: through the running service, and on the closed file.
func TestCommandsEndDevices(t *testing.T) {
	dir := t.TempDir()
	g := startGate(t, dir)
	g.call("POST", "/admin/users", "", "name", "alice", "password", secret).must(t, 201, "making a user")
	first, second := g.signIn("alice").must(t, 200, "a sign-in").tokens(), g.signIn("alice").must(t, 200, "a sign-in").tokens()
	if got := g.run(t, "device", "sweep", "--older-than", "0s", "--dry-run"); got != "Would end 2 devices not used for 0s.\n" {
		t.Errorf("a dry run prints %q", got)
	}
	g.check(first.Access).must(t, 200, "a check after a dry run")
	if got := g.run(t, "device", "sweep", "--older-than", "0s", "-o", "json"); got != `{"swept_count":2,"dry_run":false}`+"\n" {
		t.Errorf("a sweep prints %q", got)
	}
	g.check(first.Access).must(t, 401, "a check after the sweep")
	g.check(second.Access).must(t, 401, "a check after the sweep")

	third := g.signIn("alice").must(t, 200, "a sign-in").tokens()
	var made struct{ Password string }
	if err := json.Unmarshal([]byte(g.run(t, "user", "password", "alice", "--generate", "-o", "json")), &made); err != nil {
		t.Fatal(err)
	}
	g.check(third.Access).must(t, 401, "a check after the password was set")
	g.signIn("alice").must(t, 401, "a sign-in with the password before")
	fourth := g.call("POST", "/api/token", "", "username", "alice", "password", made.Password).must(t, 200, "a sign-in with the new one").tokens()
	g.end(syscall.SIGTERM)
	if got := g.run(t, "device", "sweep", "--older-than", "0s"); got != "Ended 1 device not used for 0s.\n" {
		t.Errorf("a sweep of the closed file prints %q", got)
	}
	g = startGate(t, dir)
	g.check(fourth.Access).must(t, 401, "a check after the sweep of the closed file")
}

// TestSweepShowsHowFarItIs: page by page, on one line that is gone at the end; elsewhere it is silent.
func TestSweepShowsHowFarItIs(t *testing.T) {
	pages := []string{`{"swept_count":2,"next":"a"}`, `{"swept_count":0,"next":"b"}`, `{"swept_count":1,"next":null}`}
	var terminal bytes.Buffer
	for _, c := range []struct {
		show *progress
		want string
	}{
		{&progress{out: &terminal}, clearLine + "2 devices so far" + clearLine + "2 devices so far" + clearLine},
		{&progress{}, ""},
	} {
		terminal.Reset()
		var sent []string
		a := &admin{client: &http.Client{Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var body struct{ Cursor string }
			_ = json.NewDecoder(r.Body).Decode(&body) // what does not decode is seen as empty
			sent = append(sent, body.Cursor)
			_, _ = w.Write([]byte(pages[len(sent)-1]))
		})}}}
		done, err := sweep(context.Background(), a, time.Hour, true, c.show)
		if err != nil || done != (swept{3, true}) || strings.Join(sent, ",") != ",a,b" {
			t.Errorf("sweep = %+v, %v after the cursors %q", done, err, sent)
		}
		if got := terminal.String(); got != c.want {
			t.Errorf("the terminal shows %q, want %q", got, c.want)
		}
	}
	failing := &admin{client: &http.Client{Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})}}}
	if _, err := sweep(context.Background(), failing, time.Hour, false, &progress{}); err == nil {
		t.Error("a sweep that failed says that it worked")
	}
}
