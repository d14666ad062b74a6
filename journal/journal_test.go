package journal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"devicegate/activity"
	"devicegate/authz"
	"devicegate/device"
	"devicegate/journal"
	"devicegate/login"
	"devicegate/reason"
)

// fixture is a journal with what it writes.
type fixture struct {
	*journal.Journal
	out      bytes.Buffer
	registry *prometheus.Registry
}

func newFixture(sample int) *fixture {
	f := &fixture{registry: prometheus.NewRegistry()}
	log := zerolog.New(&f.out).Level(zerolog.TraceLevel).With().Timestamp().Logger()
	f.Journal = journal.New(log, sample, f.registry)
	return f
}

// lines returns what was written, line by line, and starts anew.
func (f *fixture) lines() []string {
	all := strings.Split(strings.TrimSuffix(f.out.String(), "\n"), "\n")
	f.out.Reset()
	if len(all) == 1 && all[0] == "" {
		return nil
	}
	return all
}

func members(t testing.TB, line string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatalf("%q is not JSON: %v", line, err)
	}
	return m
}

// order returns the names of a line's members as they stand there.
func order(t testing.TB, line string) []string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	var names []string
	for i := 0; ; i++ {
		token, err := d.Token()
		if err != nil {
			return names
		}
		if name, ok := token.(string); ok && i%2 == 1 {
			names = append(names, name)
		}
	}
}

var dev = uuid.MustParse("6ba7b810-9dad-41d1-80b4-00c04fd430c8")

func record(why reason.Reason) authz.Record {
	return authz.Record{
		Request: authz.Request{
			Adapter: authz.Nginx, Policy: "staff", Method: "GET", Host: "app.example", Path: "/x?token=query-canary#f", RequestID: "r-1",
			Authorization: []string{"Bearer authorization-canary"},
		},
		Decision: authz.Decision{Reason: why, User: "anna", Device: dev},
		Status:   200, Client: netip.MustParseAddr("203.0.113.9"), Took: 1500 * time.Microsecond,
	}
}

// The members of the decision line are a contract with whoever reads the log by machine.
func TestDecisionLine(t *testing.T) {
	f := newFixture(1)
	f.Check(record(reason.OK))
	line := f.lines()[0]
	got := members(t, line)
	if _, err := time.Parse(time.RFC3339, fmt.Sprint(got["time"])); err != nil {
		t.Errorf("time: %v", err)
	}
	delete(got, "time")
	want := map[string]any{
		"level": "info", "message": "check", "adapter": "nginx", "policy": "staff", "outcome": "allow", "reason": "ok", "status": 200.0, "user": "anna",
		"device_uid": dev.String(), "client_ip": "203.0.113.9", "method": "GET", "host": "app.example", "path": "/x", "request_id": "r-1", "duration_us": 1500.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The decision's members stand in the contract's order, behind the level; time and message are zerolog's to place.
	names := []string{"level", "adapter", "policy", "outcome", "reason", "status", "user", "device_uid", "client_ip", "method", "host", "path", "request_id", "duration_us", "time", "message"}
	if diff := cmp.Diff(names, order(t, line)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if strings.Contains(line, "canary") {
		t.Errorf("the line holds a credential: %s", line)
	}
	// What is not known is there and empty, so that a reader finds the same members in every line.
	f.Check(authz.Record{})
	empty := members(t, f.lines()[0])
	if len(empty) != len(names) || empty["user"] != "" || empty["device_uid"] != "" || empty["client_ip"] != "" || empty["level"] != "warn" {
		t.Errorf("an empty record: %v", empty)
	}
}

// hostile is what clients write to forge a line, to paint on a terminal or to read backwards.
var hostile = []string{
	"/x\r\n{\"message\":\"check\",\"outcome\":\"allow\"}", `/x","outcome":"allow","y":"`, "/\x1b[2J\x1b[31mred", "/\u202egnp.exe", "/\u2066x\u2069", "/a\u200bb", "/\u2028x\u2029",
	"/\x80\xff", "/\x00", "/\u009b31m", "/\x7f", "/\ufeff", "/\U000e0041", "/字", "/\ufffd", "/" + strings.Repeat("a", 300), "/" + strings.Repeat("字", 300),
	"/" + strings.Repeat("\x80x", 300), strings.Repeat("?", 10), "#", "",
}

// checkHostile puts text wherever a client chooses one, and holds the line to what must come of it.
func checkHostile(t *testing.T, text string) {
	t.Helper()
	f := newFixture(1)
	rec := record(reason.NoToken)
	rec.Request.Policy, rec.Request.Method, rec.Request.Host, rec.Request.Path, rec.Request.RequestID = text, text, text, text, text
	rec.Decision.User = text
	f.Check(rec)
	lines := f.lines()
	if len(lines) != 1 {
		t.Fatalf("%q made %d lines: %q", text, len(lines), lines)
	}
	m := members(t, lines[0])
	if names := order(t, lines[0]); len(names) != 16 || m["outcome"] != "unauthenticated" || m["message"] != "check" {
		t.Errorf("%q changed the members: %s", text, lines[0])
	}
	for name, limit := range map[string]int{"policy": 64, "method": 64, "host": 128, "path": 256, "request_id": 64, "user": 600} {
		got := m[name].(string)
		if len(got) > limit || !utf8.ValidString(got) {
			t.Errorf("%s of %q is %q: %d bytes", name, text, got, len(got))
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%s of %q holds %U", name, text, r)
			}
		}
	}
	if path := m["path"].(string); strings.ContainsAny(path, "?#") {
		t.Errorf("path of %q is %q", text, path)
	}
}

func TestHostileText(t *testing.T) {
	for _, text := range hostile {
		checkHostile(t, text)
	}
}

func FuzzText(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(checkHostile)
}

// What fits and is harmless is logged as it is, to the last byte; what does not is cut between characters.
func TestPathIsKept(t *testing.T) {
	fits := "/" + strings.Repeat("a", 252) + "字"
	for path, want := range map[string]string{
		"/a b/%2e%2e/字?x=1": "/a b/%2e%2e/字", fits: fits, fits + "b": fits, "/b" + strings.Repeat("a", 252) + "字": "/b" + strings.Repeat("a", 252),
		strings.Repeat("c", 257): strings.Repeat("c", 256),
	} {
		f := newFixture(1)
		rec := record(reason.OK)
		rec.Request.Path = path
		f.Check(rec)
		if got := members(t, f.lines()[0])["path"]; got != want {
			t.Errorf("path %q is logged as %q, want %q", path, got, want)
		}
	}
}

func TestAllowedSample(t *testing.T) {
	for sample, want := range map[int]int{-1: 1000, 0: 1000, 1: 1000, 7: 142, 100: 10, 2000: 0} {
		f := newFixture(sample)
		for range 1000 {
			f.Check(record(reason.OK))
		}
		if got := len(f.lines()); got != want {
			t.Errorf("allowed_sample %d: %d of 1000 lines, want %d", sample, got, want)
		}
		f.Check(record(reason.NoToken))
		if got := len(f.lines()); got != 1 {
			t.Errorf("allowed_sample %d: %d lines of one refusal", sample, got)
		}
	}
}

// A flood for one reason costs no line after the hundredth in a second, hides no other reason, and is told.
func TestRefusalFlood(t *testing.T) {
	f := newFixture(1)
	for second := range 2 {
		for range 350 {
			f.Check(record(reason.TokenExpired))
			f.Check(record(reason.OK))
		}
		for range 100 {
			f.Check(record(reason.NoToken))
		}
		count := map[any]int{}
		for _, line := range f.lines() {
			count[members(t, line)["reason"]]++
		}
		if diff := cmp.Diff(map[any]int{"token_expired": 100, "no_token": 100, "ok": 350}, count); diff != "" {
			t.Errorf("second %d (-want +got):\n%s", second, diff)
		}
		f.Flush()
		told := f.lines()
		if len(told) != 1 {
			t.Fatalf("second %d: %d lines about what was left out: %q", second, len(told), told)
		}
		if m := members(t, told[0]); m["reason"] != "token_expired" || m["count"] != 250.0 {
			t.Errorf("second %d: %v", second, m)
		}
	}
	f.Flush()
	if told := f.lines(); told != nil {
		t.Errorf("a quiet second was told: %q", told)
	}
}

// Every event is one line with the same members, bounded like the others.
func TestEvents(t *testing.T) {
	f := newFixture(1)
	hostile := activity.Event{
		Kind: activity.SignIn, Outcome: activity.Failure, Reason: login.WrongPassword, NameTried: "a\r\nb\x1b[2J" + strings.Repeat("x", 500),
		UserAgent: "\u202e" + strings.Repeat("y", 5000), Country: "\x1b[2J", Region: strings.Repeat("z", 500), City: "\n", Actor: "admin:" + strings.Repeat("w", 5000),
	}
	f.Event(hostile)
	f.Event(activity.Event{ID: dev, Kind: activity.SignIn, Outcome: activity.Success, Reason: login.SignedIn, NameTried: "anna", User: dev, Device: dev,
		IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "test/1", Country: "DE", Region: "Berlin", City: "Mitte", NewCountry: true, NewNetwork: true})
	f.Event(activity.Event{Kind: activity.DeviceEnded, Outcome: activity.Success, Reason: device.Replaced.String(), User: dev, Actor: activity.ByService})
	lines := f.lines()
	if len(lines) != 3 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	failed, signedIn, ended := members(t, lines[0]), members(t, lines[1]), members(t, lines[2])
	if failed["outcome"] != "failure" || failed["level"] != "warn" || strings.ContainsAny(lines[0], "\r\x1b\u202e") {
		t.Errorf("%s", lines[0])
	}
	for name, limit := range map[string]int{"name_tried": 64, "user_agent": 256, "country": 64, "region": 64, "city": 64, "actor": 600} {
		if got := failed[name].(string); len(got) > limit {
			t.Errorf("%s has %d bytes, want at most %d", name, len(got), limit)
		}
	}
	delete(signedIn, "time")
	want := map[string]any{
		"level": "warn", "message": "sign_in", "event_id": dev.String(), "outcome": "success", "reason": "ok", "name_tried": "anna", "user_id": dev.String(),
		"device_uid": dev.String(), "client_ip": "192.0.2.1", "user_agent": "test/1", "country": "DE", "region": "Berlin", "city": "Mitte",
		"new_country": true, "new_network": true, "actor": "",
	}
	if diff := cmp.Diff(want, signedIn); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if ended["message"] != "device_ended" || ended["reason"] != "replaced" || ended["device_uid"] != "" || ended["actor"] != "service" || ended["level"] != "info" {
		t.Errorf("%s", lines[2])
	}
}

// Sign-ins that cost no hash can come as fast as requests do; their lines are bounded as refusals are.
func TestSignInFlood(t *testing.T) {
	f := newFixture(1)
	for range 350 {
		f.Event(activity.Event{Kind: activity.SignIn, Outcome: activity.Failure, Reason: login.Locked})
		f.Event(activity.Event{Kind: activity.SignIn, Outcome: activity.Success, Reason: login.SignedIn})
	}
	count := map[any]int{}
	for _, line := range f.lines() {
		count[members(t, line)["reason"]]++
	}
	if diff := cmp.Diff(map[any]int{"locked": 100, "ok": 350}, count); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.Flush()
	if told := f.lines(); len(told) != 1 || members(t, told[0])["count"] != float64(250) {
		t.Errorf("told %q", told)
	}
}
