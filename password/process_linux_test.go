package password_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"devicegate/password"
)

func mustRead(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryThreadOfTheWorkerHasLowPriority(t *testing.T) {
	p := mustPool(t, password.Options{Params: cheap, MaxConcurrent: 4})
	mustHash(t, p, right)
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.WorkerPID()))
	if err != nil || len(stats) < 2 {
		t.Fatalf("threads of the worker: %v, %v, want several", stats, err)
	}
	for _, path := range stats {
		stat := mustRead(t, path)
		// Field 3 follows the name, which is in brackets and may hold spaces.
		field := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
		if nice, policy := field[19-3], field[41-3]; nice != "19" || policy != "5" {
			t.Errorf("%s: nice %s, policy %s, want 19 and 5 (idle)", path, nice, policy)
		}
	}
}

func TestWorkerSeesNothingOfTheService(t *testing.T) {
	t.Setenv("DEVICEGATE_SECRET", "horse")
	p := mustPool(t, password.Options{Params: cheap, MaxConcurrent: 3})
	mustHash(t, p, right)
	proc := fmt.Sprintf("/proc/%d/", p.WorkerPID())
	if got, want := mustRead(t, proc+"cmdline"), "devicegate\x00hash-worker\x00"; got != want {
		t.Errorf("arguments %q, want %q", got, want)
	}
	if got, want := mustRead(t, proc+"environ"), "GOMAXPROCS=4\x00"; got != want {
		t.Errorf("environment %q, want %q", got, want)
	}
}

// Without it hashes keep checks waiting until the clock ticks (docs/performance.md).
func TestWorkerRemindsTheSchedulerWhileItComputes(t *testing.T) {
	costly := password.Params{Memory: 64 << 20, Iterations: 4, Parallelism: 1}
	p := mustPool(t, password.Options{Params: costly, MaxConcurrent: 1})
	fdinfo := fmt.Sprintf("/proc/%d/fdinfo/", p.WorkerPID())
	if reminds(t, fdinfo) {
		t.Error("the timer runs although nothing is computed")
	}
	hashed := make(chan struct{})
	go func() {
		defer close(hashed)
		_, _ = p.Hash(t.Context(), right)
	}()
	for !reminds(t, fdinfo) {
		select {
		case <-hashed:
			t.Fatal("the timer did not run while a password was hashed")
		default:
		}
	}
	<-hashed
}

// reminds reports whether a process whose open files are described there has a timer that runs.
func reminds(t *testing.T, fdinfo string) bool {
	t.Helper()
	files, err := os.ReadDir(fdinfo)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		about, _ := os.ReadFile(fdinfo + file.Name()) // one may have been closed meanwhile
		if _, interval, timer := strings.Cut(string(about), "it_interval: "); timer {
			return !strings.HasPrefix(interval, "(0, 0)")
		}
	}
	return false
}
