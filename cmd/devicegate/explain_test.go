package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"devicegate/password"
	"devicegate/reason"
	"devicegate/server"
)

// explainPage is the page that shows the command.
func explainPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestEveryReasonHasAdvice: in the help and on the page, and nothing else is on it.
func TestEveryReasonHasAdvice(t *testing.T) {
	for _, r := range reason.All() {
		a := advices[r]
		if a.cause == "" || a.remedy == "" || strings.Contains(a.cause+a.remedy, "|") {
			t.Errorf("for %s there is no advice that fits a table: %+v", r, a)
		}
		if !strings.Contains(reasonsHelp(), "\n  "+r.String()+" (") {
			t.Errorf("the help lacks %s", r)
		}
	}
	if len(advices) != len(reason.All()) {
		t.Errorf("advices for %d reasons, want %d", len(advices), len(reason.All()))
	}
	_, table, _ := strings.Cut(explainPage(t), "| reason |")
	table, _, _ = strings.Cut("| reason |"+table, "\n\n")
	if diff := cmp.Diff(reasonsTable(), strings.TrimSpace(table)+"\n"); diff != "" {
		t.Errorf("the table of docs/explain.md is not that of the help (-help +page):\n%s", diff)
	}
}

// varying is what differs from one run to the next.
var varying = []struct {
	like *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`\b[A-Za-z0-9_-]{43}\b`), "KID"},
	{regexp.MustCompile(`\b\d+[smhd]\b`), "SPAN"},
}

func steady(text string) string {
	for _, v := range varying {
		text = v.like.ReplaceAllString(text, v.word)
	}
	return text
}

// TestPageShowsRealRuns: each run of the page is run, and says what the page says, but for times and ids.
func TestPageShowsRealRuns(t *testing.T) {
	s := newShell(t)
	conf := filepath.Join(t.TempDir(), "devicegate.yaml")
	if err := os.WriteFile(conf, []byte("policies:\n  default: {}\n  staff: {require_roles: [staff]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.environ = append([]string{"DEVICEGATE_CONFIG=" + conf}, s.environ[1:]...)
	s.must(t, secret+"\n", "user", "add", "alice", "--password-stdin")
	tokens := map[string]string{"alice.token": s.signIn(t, "alice"), "old.token": s.signIn(t, "alice")}
	s.must(t, "", "device", "revoke", claimed(t, tokens["old.token"], "device_uid"))

	runs := regexp.MustCompile("(?s)```console\n\\$ devicegate ([^\n]*) < ([a-z.]+)\n(.*?)```").FindAllStringSubmatch(explainPage(t), -1)
	if len(runs) < 2 {
		t.Fatalf("the page shows %d runs, want at least 2", len(runs))
	}
	for _, r := range runs {
		var stdout, stderr bytes.Buffer
		run(strings.Fields(r[1]), s.environ, strings.NewReader(tokens[r[2]]+"\n"), &stdout, &stderr)
		if diff := cmp.Diff(steady(r[3]), steady(stdout.String())); diff != "" || !strings.HasPrefix(stderr.String(), "Nobody listens on ") || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("devicegate %s (-page +run):\n%s%s\n%s", r[1], diff, &stderr, &stdout)
		}
	}
}

// claimed returns a claim of a token.
func claimed(t *testing.T, token, name string) string {
	t.Helper()
	var claims map[string]any
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	text, ok := claims[name].(string)
	if err != nil || !ok {
		t.Fatalf("the token has no %s: %v", name, err)
	}
	return text
}

// signIn signs in on the closed file and returns the access token.
func (s shell) signIn(t *testing.T, name string) string {
	t.Helper()
	cfg, err := (&cli{environ: s.environ}).load()
	if err != nil {
		t.Fatal(err)
	}
	cost := cfg.Passwords.Argon2id
	hasher := password.Inline(password.Params{Memory: cost.Memory, Iterations: cost.Iterations, Parallelism: cost.Parallelism})
	gate, err := server.Open(t.Context(), cfg, zerolog.Nop(), server.WithHasher(hasher))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := gate.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := gate.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(map[string]string{"username": name, "password": secret}) // plain values
	r := httptest.NewRequest(http.MethodPost, "/api/token", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "the test")
	w := httptest.NewRecorder()
	gate.API().ServeHTTP(w, r)
	var tokens struct{ Access string }
	if err := json.Unmarshal(w.Body.Bytes(), &tokens); err != nil || tokens.Access == "" {
		t.Fatalf("the sign-in is answered %d %s", w.Code, w.Body)
	}
	return tokens.Access
}
