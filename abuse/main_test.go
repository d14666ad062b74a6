package abuse_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

var service string // the program devicegate

func TestMain(m *testing.M) {
	// Most of the time is spent waiting for the service to hang up, on which the number of cores has no bearing.
	_ = flag.Set("test.parallel", "16")
	flag.Parse()
	raiseFiles()
	dir, err := os.MkdirTemp("", "devicegate-abuse-")
	if err == nil {
		service, err = buildService(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "abuse:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// buildService builds the program as it is shipped, never with the race detector: its memory is measured.
func buildService(dir string) (string, error) {
	path := filepath.Join(dir, "devicegate")
	out, err := exec.Command("go", "build", "-race=false", "-o", path, "devicegate/cmd/devicegate").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the service: %w\n%s", err, out)
	}
	return path, nil
}

const (
	manyConnections = 10_000
	spareFiles      = 1_000 // what a process needs besides
)

// raiseFiles allows this process, and those it starts, the files that 10,000 connections need. Only root may raise
// the hard limit; connections says what becomes of the rest.
func raiseFiles() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur >= manyConnections+spareFiles {
		return
	}
	limit.Cur, limit.Max = manyConnections+spareFiles, max(limit.Max, manyConnections+spareFiles)
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) // connections looks at what came of it
}

// connections returns how many connections a test of many makes: 10,000, or what the hard limit of open files lets
// it. It says so then, and fails on CI, where the limit is ours to raise.
func connections(t *testing.T) int {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	count := min(manyConnections, int(limit.Cur)-spareFiles)
	if count == manyConnections {
		return count
	}
	if os.Getenv("CI") != "" || count < 1 {
		t.Fatalf("%d files may be open: raise the hard limit (ulimit -Hn) to %d", limit.Cur, manyConnections+spareFiles)
	}
	t.Logf("LESS THAN IT SHOULD BE: %d connections of %d, for only %d files may be open (ulimit -Hn)", count, manyConnections, limit.Cur)
	return count
}
