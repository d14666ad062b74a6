package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"devicegate/api"
)

// TestActivityFollows the running service until it is told to stop.
func TestActivityFollows(t *testing.T) {
	g := startGate(t, t.TempDir())
	g.call("POST", "/admin/users", "", "name", "alice", "password", secret).must(t, 201, "making a user")
	p := startProgram(t, g.cmd.Dir, g.cmd.Env, "activity", "--follow")
	p.wait(t, "what was before", func() bool { return strings.Contains(p.stdout.String(), "user_created") })
	g.signIn("nobody").must(t, 401, "a sign-in")
	g.signIn("alice").must(t, 200, "a sign-in")
	p.wait(t, "what came after", func() bool { return strings.Count(p.stdout.String(), "\n") >= 3 })
	p.end(syscall.SIGINT)
	if code := p.cmd.ProcessState.ExitCode(); code != exitDone || p.stderr.String() != "" {
		t.Errorf("it ends with %d, %s", code, p.stderr)
	}
	var reasons []string
	for line := range strings.Lines(p.stdout.String()) {
		var e api.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		reasons = append(reasons, e.Reason)
	}
	if got := strings.Join(reasons, " "); got != "user_created unknown_user ok" {
		t.Errorf("it shows %q", got)
	}
	unknown := startProgram(t, g.cmd.Dir, g.cmd.Env, "activity", "--follow", "--user", "nobody")
	<-unknown.exited
	if code := unknown.cmd.ProcessState.ExitCode(); code != exitNo {
		t.Errorf("following nobody exits with %d: %s", code, unknown.stderr)
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"":                          "",
		"24h":                       "2026-03-07T12:00:00Z",
		"7d":                        "2026-03-01T12:00:00Z",
		"0s":                        "2026-03-08T12:00:00Z",
		"2026-03-01T08:00:00+02:00": "2026-03-01T08:00:00+02:00",
	} {
		if got, err := sinceWhen(text, now); err != nil || got != want {
			t.Errorf("since %q is %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestEventInWords(t *testing.T) {
	uid := "a1000b35-9ca4-42e7-acca-8ee2b9eb3fea"
	for _, c := range []struct {
		event api.Event
		want  string
	}{
		{api.Event{Kind: "sign_in", Outcome: "success", Reason: "ok", NameTried: "Alice", DeviceUid: uid, Ip: "203.0.113.7", City: "Berlin", Region: "Land", Country: "DE", NewCountry: true, NewNetwork: true},
			"signed in|ok|Alice|a1000b35|203.0.113.7 (Berlin, DE)||country, network"},
		{api.Event{Kind: "sign_in", Outcome: "failure", Reason: "locked", NameTried: strings.Repeat("x", 50), Ip: "2001:db8::1", Country: "DE", NewNetwork: true},
			"!sign-in failed|locked|" + strings.Repeat("x", 39) + "…||2001:db8::1 (DE)||network"},
		{api.Event{Kind: "device_ended", Outcome: "success", Reason: "logout", DeviceUid: uid, Actor: "device:" + uid},
			"device ended|logout|the name|a1000b35||device:a1000b35|"},
		{api.Event{Kind: "device_ended", Outcome: "success", Reason: "revoked_by_admin", Actor: "admin:bob", NewCountry: true},
			"all devices ended|revoked_by_admin|the name|||admin:bob|country"},
		{api.Event{Kind: "password_changed", Outcome: "success", Reason: "password_changed", Actor: "reset_token"},
			"password changed|password_changed|the name|||reset_token|"},
		{api.Event{Kind: "admin", Outcome: "success", Reason: "user_created", NameTried: "carol", Actor: "socket"},
			"admin|user_created|carol|||socket|"},
		{api.Event{Kind: "later", Outcome: "failure"}, "!later failed||the name||||"},
		{api.Event{Kind: "later", Outcome: "success"}, "later||the name||||"},
	} {
		var texts []string
		for _, cell := range eventRow(c.event, "the name")[1:] {
			if cell.bad {
				cell.text = "!" + cell.text
			}
			texts = append(texts, cell.text)
		}
		if got := strings.Join(texts, "|"); got != c.want {
			t.Errorf("%+v is\n%s, want\n%s", c.event, got, c.want)
		}
	}
}
