package verify_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/token"
)

// example is one of the backends: how it is started.
type example struct {
	name  string
	start func(t *testing.T, jwks, host string) *exec.Cmd
}

var examples = []example{{"go", goExample}, {"python", pythonExample}}

// builtGo is the program of go/, built once.
var builtGo = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "devicegate-verify-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "verify")
	return path, exec.Command("go", "build", "-o", path, "devicegate/examples/verify/go").Run()
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := builtGo(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func goExample(t *testing.T, jwks, host string) *exec.Cmd {
	t.Helper()
	path, err := builtGo()
	if err != nil {
		t.Fatalf("building go/: %v", err)
	}
	return exec.Command(path, "-jwks", jwks, "-issuer", issuer, "-host", host, "-listen", "127.0.0.1:0")
}

// pythonExample runs python/ with the PyJWT that scripts/django fetches. Without it the test fails on CI, where nothing
// may be left out, and elsewhere says what it leaves out.
func pythonExample(t *testing.T, jwks, host string) *exec.Cmd {
	t.Helper()
	out, _ := exec.Command("../../scripts/django", "--print").Output() // its exit status says whether all is there
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, path, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			found[name] = path
		}
	}
	if found["python"] == "" || found["django"] == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("PyJWT is missing; run scripts/django first")
		}
		t.Skip("LEFT OUT: the example in Python, whose PyJWT is not installed; scripts/django gets it")
	}
	cmd := exec.Command(found["python"], "python/verify.py", jwks, issuer, host, "0")
	cmd.Env = append(cmd.Environ(), "PYTHONPATH="+found["django"], "PYTHONUTF8=1", "PYTHONDONTWRITEBYTECODE=1")
	return cmd
}

// serve starts an example for a host and returns its address. The test's end stops it.
func (e example) serve(t *testing.T, jwks, host string) string {
	t.Helper()
	cmd := e.start(t, jwks, host)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
	})
	tooLate := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer tooLate.Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s does not serve: %v", e.name, err)
	}
	return strings.TrimSpace(line)
}

// ask presents an assertion and returns the status and what is answered. absent: no header at all.
func ask(t *testing.T, url, assertion string, absent bool) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !absent {
		req.Header.Set("Remote-Assertion", assertion)
	}
	req.Host = ownHost // the client's word, whatever the backend serves
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestExamples: both examples take what a real gate says, and nothing else.
func TestExamples(t *testing.T) {
	for _, alg := range []token.Algorithm{token.EdDSA, token.ES256} {
		t.Run(string(alg), func(t *testing.T) {
			g := startGate(t, alg)
			tokens := g.tokens(alg)
			jwks, _ := g.keys()
			for _, e := range examples {
				t.Run(e.name, func(t *testing.T) { e.check(t, jwks, tokens) })
			}
		})
	}
}

func (e example) check(t *testing.T, jwks string, tokens tokens) {
	own, other := e.serve(t, jwks, ownHost), e.serve(t, jwks, another)
	status, answer := ask(t, own, tokens.good, false)
	var who map[string]any
	if err := json.Unmarshal([]byte(answer), &who); err != nil || status != http.StatusOK {
		t.Fatalf("a good assertion: %d %s", status, answer)
	}
	if diff := cmp.Diff(tokens.says, who); diff != "" {
		t.Errorf("who passed (-want +got):\n%s", diff)
	}
	if status, answer := ask(t, other, tokens.ofAnother, false); status != http.StatusOK {
		t.Errorf("a good assertion for the other backend: %d %s", status, answer)
	}
	for what, raw := range tokens.bad {
		if status, answer := ask(t, own, raw, false); status != http.StatusForbidden {
			t.Errorf("%s: %d %s", what, status, answer)
		}
	}
	if status, answer := ask(t, other, tokens.good, false); status != http.StatusForbidden {
		t.Errorf("a good assertion, replayed to another backend: %d %s", status, answer)
	}
	if status, answer := ask(t, own, "", true); status != http.StatusForbidden {
		t.Errorf("without the header: %d %s", status, answer)
	}
	if status, answer := ask(t, own, tokens.good, false); status != http.StatusOK {
		t.Errorf("the good assertion after all that: %d %s", status, answer)
	}
}
