package bolt_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"devicegate/db"
	"devicegate/db/bolt"
)

// childRole names the environment variable that makes the test binary play one of these roles
// instead of running tests.
const childRole = "BOLT_TEST_CHILD"

var roles = map[string]func(path string) error{
	"journal": journal,
	"open":    openAndSay,
	"limited": fillUnderLimit,
	"cut":     readWhatWasCut,
	"nobody":  openAsNobody,
}

func TestMain(m *testing.M) {
	if role, is := roles[os.Getenv(childRole)]; is {
		if err := role(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child prepares the test binary in one of the roles.
func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, path)
	cmd.Env = append(os.Environ(), childRole+"="+role)
	return cmd
}

// openAndSay opens the store, says so and closes it when its input ends.
func openAndSay(path string) error {
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		fmt.Println(err)
		return nil
	}
	fmt.Println("open")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return s.Close()
}

func mustOpen(tb testing.TB, path string, opts bolt.Options) *bolt.Store {
	tb.Helper()
	s, err := bolt.Open(path, opts)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() { _ = s.Close() }) // the test may have closed it
	return s
}

func put(key string, value []byte) db.Txn {
	return db.Txn{Writes: []db.Write{db.Put(key, value)}}
}

// onlyFiles fails unless the folder holds exactly these names.
func onlyFiles(tb testing.TB, dir string, want ...string) {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		tb.Errorf("the folder holds %q, want %q", got, want)
	}
}
