// Package e2e_test starts the real nginx, Traefik, Envoy, Caddy and HAProxy with the files of
// examples/, the real service behind them, and a backend that keeps every byte it was sent, and runs
// one table of cases through all six ways of asking. It guarantees that the examples are safe as they stand: what the
// table says of a proxy is what that proxy did.
//
// scripts/proxies fetches the proxies. On CI a missing one fails the run.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var (
	update = flag.Bool("update", false, "write the table of cases into docs/proxies.md")

	programs map[string]string // of the proxies that are there, by name
	service  string            // the program devicegate
)

func TestMain(m *testing.M) {
	// Most of the time is spent waiting for proxies, on which the number of cores has no bearing.
	_ = flag.Set("test.parallel", "8")
	flag.Parse()
	dir, err := os.MkdirTemp("", "devicegate-e2e-")
	if err == nil {
		programs = findProxies()
		service, err = buildService(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// findProxies asks scripts/proxies what is there. Its exit status says whether all are; which are is
// in its output.
func findProxies() map[string]string {
	out, _ := exec.Command("../scripts/proxies", "--print").Output()
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, path, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			found[name] = path
		}
	}
	return found
}

func buildService(dir string) (string, error) {
	path := filepath.Join(dir, "devicegate")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "devicegate/cmd/devicegate")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the service: %w\n%s", err, out)
	}
	return path, nil
}

// needProgram returns the path of a proxy. Without it the test fails on CI, where nothing may be
// left out, and elsewhere says what it leaves out.
func needProgram(t *testing.T, name string) string {
	t.Helper()
	path, ok := programs[name]
	if ok {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing; run scripts/proxies first", name)
	}
	t.Skipf("LEFT OUT: everything through %s, which is not installed; scripts/proxies gets it", name)
	return ""
}
