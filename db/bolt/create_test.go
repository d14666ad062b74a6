package bolt_test

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"devicegate/db/bolt"
	"devicegate/db/dbtest"
)

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	s := mustOpen(t, path, bolt.Options{})
	onlyFiles(t, dir, "test.db")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if w := s.Warnings(); len(w) != 0 {
		t.Errorf("warnings %q, want none", w)
	}
	entries, at, err := s.Range(t.Context(), "", "", 1)
	if err != nil || len(entries) != 0 || at != 0 {
		t.Errorf("got %v at %d, %v, want a new store", entries, at, err)
	}
}

func TestReadableByOthersIsAWarning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	if err := mustOpen(t, path, bolt.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if w := mustOpen(t, path, bolt.Options{}).Warnings(); len(w) != 1 || !strings.Contains(w[0], "0644") {
		t.Errorf("warnings %q, want one that names the mode", w)
	}
}

func TestPlacesWithoutAFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		dir,
		filepath.Join(dir, "missing", "test.db"),
		filepath.Join(file, "test.db"),
		dangling,
		"",
	} {
		_, err := bolt.Open(path, bolt.Options{})
		wantSentence(t, err, path, bolt.ErrAccess)
	}
	onlyFiles(t, dir, "dangling", "file")
}

// The last step of creation leaves a file alone that appeared meanwhile.
func TestPlaceNeverReplaces(t *testing.T) {
	for name, place := range map[string]func(from, to string) error{"link": bolt.Place, "rename": bolt.RenameNew} {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "new"), filepath.Join(dir, "test.db")
		for path, content := range map[string]string{from: "new", to: "old"} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := place(from, to)
		if got, readErr := os.ReadFile(to); string(got) != "old" {
			t.Errorf("%s: the file holds %q, %v, %v, want what it held", name, got, readErr, err)
		}
		if err := os.Remove(to); err != nil {
			t.Fatal(err)
		}
		if err := place(from, to); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s to a free name: %v", name, err)
		}
	}
}

// Of processes that create at once one has the store, the others are told so, and nothing is left.
func TestProcessesAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	const n = 4
	said := make(chan string, n)
	var finish []func() error
	for range n {
		cmd := child(t, "open", path)
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		go func() {
			line, err := bufio.NewReader(out).ReadString('\n')
			said <- strings.TrimSpace(line)
			if err != nil {
				t.Errorf("a child said %q: %v", line, err)
			}
		}()
		finish = append(finish, func() error { return errors.Join(in.Close(), cmd.Wait()) })
	}
	opened := 0
	for range n {
		if line := <-said; line == "open" {
			opened++
		} else if !strings.Contains(line, bolt.ErrInUse.Error()) || !strings.Contains(line, path) {
			t.Errorf("a child said %q", line)
		}
	}
	if opened != 1 {
		t.Errorf("%d processes have the store, want 1", opened)
	}
	onlyFiles(t, dir, "test.db")
	_, err := bolt.Open(path, bolt.Options{Timeout: 1})
	wantSentence(t, err, path, bolt.ErrInUse)
	for _, f := range finish {
		if err := f(); err != nil {
			t.Errorf("a child: %v", err)
		}
	}
}

func TestInUseWithinAProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s := mustOpen(t, path, bolt.Options{})
	_, err := bolt.Open(path, bolt.Options{Timeout: 1})
	wantSentence(t, err, path, bolt.ErrInUse)
	dbtest.MustPut(t, s, "k", "v")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path, bolt.Options{Timeout: 1})
}
