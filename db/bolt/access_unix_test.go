//go:build unix

package bolt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"devicegate/db/bolt"
)

// openAsNobody gives up what root may do to files, in a child alone: a process cannot take it back.
func openAsNobody(path string) error {
	if os.Geteuid() == 0 {
		if err := unix.Setuid(65534); err != nil {
			return err
		}
	}
	return openAndSay(path)
}

// A folder or a file that this user may not write is told in one sentence, and a named pipe is no
// store.
func TestNoPermission(t *testing.T) {
	dir := t.TempDir()
	unwritable, unreadable := filepath.Join(dir, "unwritable"), filepath.Join(dir, "unreadable.db")
	if err := os.Mkdir(unwritable, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(unreadable, []byte("x"), 0o000); err != nil {
		t.Fatal(err)
	}
	for parent := dir; parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Join(unwritable, "test.db"), unreadable} {
		out, err := child(t, "nobody", path).CombinedOutput()
		if err != nil {
			t.Fatalf("the child: %v\n%s", err, out)
		}
		if said := strings.TrimSpace(string(out)); strings.Contains(said, "\n") || !strings.Contains(said, path) ||
			!strings.Contains(said, "may not read and write it") {
			t.Errorf("the child said %q, want one sentence", said)
		}
	}
	onlyFiles(t, unwritable)
}

func TestNamedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := bolt.Open(path, bolt.Options{})
	wantSentence(t, err, path, bolt.ErrNotOurs)
}

// What another process is writing looks damaged: the lock comes before the inspection.
func TestLockedBeforeInspected(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	half := sample(t)[:10_000]
	if err := os.WriteFile(path, half, 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }() // lets go of the lock
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	_, err = bolt.Open(path, bolt.Options{Timeout: 1})
	wantSentence(t, err, path, bolt.ErrInUse)
}
