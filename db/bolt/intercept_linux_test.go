package bolt_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/db/dbtest"
)

func init() {
	roles["killed"] = commitUntilKilled
	roles["refused"] = commitsRefused
	roles["intercepts"] = func(string) error { return dbtest.Intercept(func(int, string) unix.Errno { return 0 }) }
}

// atCall names the variable that says at which system call a child is killed.
const atCall = "BOLT_TEST_AT"

// needInterception leaves the test out where the kernel, or what keeps this process in, hands over no system calls.
func needInterception(t *testing.T) {
	t.Helper()
	if out, err := child(t, "intercepts", "").CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("on CI nothing is left out: %s", bytes.TrimSpace(out))
		}
		t.Skipf("LEFT OUT: the system calls of a store, one by one: %s", bytes.TrimSpace(out))
	}
}

// history is one commit after the other, small and large ones, so that the file grows, and pages are freed and used again.
func history() (txns []db.Txn) {
	for i, size := range []int{10, 60_000, 10, 60_000, 60_000, 0, 10} {
		txns = append(txns, db.Txn{Writes: []db.Write{
			db.Put(fmt.Sprint("a/", i), make([]byte, size/2)), db.Put(fmt.Sprint("w/", i), make([]byte, size/2)),
			db.Delete(fmt.Sprint("a/", i-2)), db.Delete(fmt.Sprint("w/", i-2)),
		}})
	}
	return txns
}

// commitUntilKilled makes a store, or opens it, and says after each commit of the history how many there are.
func commitUntilKilled(path string) error {
	at, err := strconv.Atoi(os.Getenv(atCall))
	if err != nil {
		return err
	}
	err = dbtest.Intercept(func(n int, _ string) unix.Errno {
		if n == at {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {} // it may take a moment
		}
		return 0
	})
	if err != nil {
		return err
	}
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	for i, txn := range history() {
		if _, err := s.Commit(context.Background(), txn); err != nil {
			return err
		}
		fmt.Println(i + 1)
	}
	return s.Close()
}

// Killed before each write, truncation, sync and change of a name in turn, from the making of the file to its closing:
// the next start finds all that was acknowledged, and at most the one commit more that was under way, whole.
func TestKilledAtEachCall(t *testing.T) {
	needInterception(t)
	killed := 0
	for at := 1; ; at++ {
		path := filepath.Join(t.TempDir(), "test.db")
		cmd := child(t, "killed", path)
		cmd.Env = append(cmd.Env, fmt.Sprint(atCall, "=", at))
		out, err := cmd.Output()
		acknowledged := strings.Count(string(out), "\n")
		s := mustOpen(t, path, bolt.Options{})
		wantHistory(t, s, at, acknowledged)
		if warnings := s.Warnings(); len(warnings) > 0 {
			t.Errorf("killed at call %d: %q", at, warnings)
		}
		dbtest.MustPut(t, s, "more", "v")
		if err := s.Close(); err != nil {
			t.Errorf("killed at call %d: close: %v", at, err)
		}
		if err == nil {
			break
		}
		wantKilled(t, err, at)
		if t.Failed() {
			return
		}
		killed++
	}
	t.Logf("it was killed at %d calls", killed)
	if killed < 30 {
		t.Errorf("it was killed at %d calls only: this proves little", killed)
	}
}

func wantKilled(t *testing.T, err error, at int) {
	t.Helper()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		t.Fatalf("at call %d the child ended by itself: %v\n%s", at, err, exit.Stderr)
	}
}

// wantHistory demands the store as it was after so many commits of the history, or after one more.
func wantHistory(t *testing.T, s *bolt.Store, at, acknowledged int) {
	t.Helper()
	kept := -1
	entries, revision, err := s.Range(t.Context(), "a/", "x", 100)
	if err != nil {
		t.Fatalf("call %d: %v", at, err)
	}
	for _, n := range []int{acknowledged, min(acknowledged+1, len(history()))} {
		if revision == db.Revision(n) && sameEntries(entries, n) {
			kept = n
		}
	}
	if kept < 0 {
		t.Errorf("call %d: %d commits were acknowledged, and the store at revision %d has %d entries", at, acknowledged, revision, len(entries))
	}
}

// sameEntries compares with a model of the first n commits.
func sameEntries(entries []db.Entry, n int) bool {
	model := map[string]string{}
	for _, txn := range history()[:n] {
		for _, w := range txn.Writes {
			if delete(model, w.Key); !w.Delete {
				model[w.Key] = string(w.Value)
			}
		}
	}
	for _, e := range entries {
		if value, is := model[e.Key]; !is || value != string(e.Value) {
			return false
		}
	}
	return len(entries) == len(model)
}

// commitsRefused lets the kernel answer each call of the history in turn with an error, each time on a new store: EIO, as of a
// disk that fails, and ENOSPC.
func commitsRefused(dir string) error {
	var calls, at atomic.Int64
	var with atomic.Uintptr
	err := dbtest.Intercept(func(int, string) unix.Errno {
		if calls.Add(1) == at.Load() {
			return unix.Errno(with.Load())
		}
		return 0
	})
	if err != nil {
		return err
	}
	for _, errno := range []unix.Errno{unix.EIO, unix.ENOSPC} {
		with.Store(uintptr(errno))
		for n := int64(1); ; n++ {
			at.Store(0)
			path := filepath.Join(dir, fmt.Sprintf("%d-%d.db", errno, n))
			s, err := bolt.Open(path, bolt.Options{})
			if err != nil {
				return err
			}
			at.Store(calls.Load() + n)
			report, reached := commitAll(s), calls.Load() >= at.Load()
			if err := s.Close(); err != nil {
				return err
			}
			fmt.Println(path, errno == unix.EIO, report)
			if !reached {
				break
			}
		}
	}
	return nil
}

// commitAll commits the history and says of each commit: "ack", "not" (surely not written), or "unknown"; and "sick" once the
// store says so of itself.
func commitAll(s *bolt.Store) string {
	var words []string
	for _, txn := range history() {
		switch _, err := s.Commit(context.Background(), txn); {
		case err == nil:
			words = append(words, "ack")
		case errors.Is(err, db.ErrUnknown):
			words = append(words, "unknown")
		default:
			words = append(words, "not")
		}
		if s.Health() != nil {
			words = append(words, "sick")
		}
	}
	return strings.Join(words, " ")
}

// After the kernel refused a write, a truncation or a sync nothing is acknowledged that is not in the file, whichever it was.
// After EIO nothing more is acknowledged at all; a lack of room passes.
func TestKernelRefusesACall(t *testing.T) {
	needInterception(t)
	cmd := child(t, "refused", t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the child: %v\n%s", err, cmd.Stderr)
	}
	sick, recovered := 0, 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		path, rest, _ := strings.Cut(lines.Text(), " ")
		disk, report, _ := strings.Cut(rest, " ")
		acked, after, refused := strings.Cut(report, "unknown")
		if !refused {
			acked, after, refused = strings.Cut(report, "not")
		}
		s := mustOpen(t, path, bolt.Options{})
		switch {
		case strings.Contains(after, "ack") && strings.Contains(report, "sick"):
			t.Errorf("%s: acknowledged by a sick store: %s", path, report)
		case strings.Contains(report, "sick"):
			sick++
			wantHistory(t, s, 0, strings.Count(acked, "ack"))
		case disk == "true" && refused:
			t.Errorf("%s: went on after EIO: %s", path, report)
		case refused:
			recovered++
			wantRevision(t, s, path, strings.Count(report, "ack"))
		default: // the call was none that counts, or the history was over before it
			wantHistory(t, s, 0, len(history()))
		}
	}
	t.Logf("%d stores gave up, %d went on after a lack of room", sick, recovered)
	if sick < 20 || recovered < 5 {
		t.Errorf("%d stores gave up, %d went on after a lack of room: this proves little", sick, recovered)
	}
}

func wantRevision(t *testing.T, s *bolt.Store, path string, acked int) {
	t.Helper()
	if _, at, err := s.Range(t.Context(), "", "", 1); err != nil || at != db.Revision(acked) {
		t.Errorf("%s: %d commits were acknowledged, and the store is at revision %d, %v", path, acked, at, err)
	}
}
