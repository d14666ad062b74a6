package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shell is a folder in which command lines are typed.
type shell struct{ environ []string }

func newShell(t *testing.T) shell {
	dir := t.TempDir()
	return shell{[]string{"DEVICEGATE_CONFIG=" + os.DevNull, "DEVICEGATE_STORE_PATH=" + filepath.Join(dir, "db")}}
}

// must runs a command line.
func (s shell) must(t *testing.T, stdin string, args ...string) {
	t.Helper()
	var stderr bytes.Buffer
	if code := run(args, s.environ, strings.NewReader(stdin), io.Discard, &stderr); code != exitDone {
		t.Fatalf("%v exits with %d: %s", args, code, &stderr)
	}
}

// complete returns what the shell is offered, the directive last.
func (s shell) complete(t *testing.T, args ...string) []string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(append([]string{"__complete"}, args...), s.environ, strings.NewReader(""), &stdout, &stderr)
	if code != exitDone || strings.Count(stderr.String(), "\n") > 1 { // cobra's own line
		t.Errorf("completing %q exits with %d and says %q", args, code, stderr.String())
	}
	return strings.Split(strings.TrimSpace(stdout.String()), "\n")
}

const (
	noFiles = ":4"
	files   = ":0"
)

func TestCompletion(t *testing.T) {
	s := newShell(t)
	s.must(t, secret+"\n", "user", "add", "alice", "--password-stdin", "--role", "staff")
	s.must(t, secret+"\n", "user", "add", "albert", "--password-stdin", "--role", "ops", "--role", "staff")
	s.must(t, secret+"\n", "user", "add", "Bob", "--password-stdin")
	for line, want := range map[string][]string{
		"user show |":                    {"alice\tstaff", "albert\tops, staff", "Bob", noFiles},
		"user show ali|":                 {"alice\tstaff", noFiles},
		"user show b|":                   {"Bob", noFiles},
		"user delete alb|":               {"albert\tops, staff", noFiles},
		"user password-reset x|":         {noFiles},
		"user show alice |":              {noFiles},
		"user add |":                     {noFiles},
		"user list |":                    {noFiles},
		"user add carol --role |":        {"admin", "staff", "ops", noFiles},
		"user role alice --add o|":       {"ops", noFiles},
		"user role albert --remove |":    {"ops", "staff", noFiles},
		"device list --user al|":         {"alice\tstaff", "albert\tops, staff", noFiles},
		"device show |":                  {noFiles},
		"device rights x --update |":     {"yes", "no", noFiles},
		"device rights x --delete |":     {"yes", "no", noFiles},
		"activity --outcome |":           {"success", "failure", noFiles},
		"activity --user B|":             {"Bob", noFiles},
		"activity --network |":           {noFiles},
		"lockout clear --user al|":       {"alice\tstaff", "albert\tops, staff", noFiles},
		"user list --output |":           {"table", "json", noFiles},
		"-o |":                           {"table", "json", noFiles},
		"user list --log-level |":        {"trace", "debug", "info", "warn", "error", noFiles},
		"config check |":                 {files},
		"user list --config |":           {files},
		"--config missing user show al|": {noFiles},
	} {
		t.Run(line, func(t *testing.T) {
			args := strings.Split(strings.TrimSuffix(line, "|"), " ")
			if got := s.complete(t, args...); !slices.Equal(got, want) {
				t.Errorf("it offers %q, want %q", got, want)
			}
		})
	}
	for _, shell := range []string{"bash", "fish", "powershell", "zsh"} {
		if got := s.complete(t, "completion", ""); !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, shell) }) {
			t.Errorf("completion offers %q", got)
		}
	}
}

// TestCompletionOfDevices: beside the running service. A device_uid comes with what tells whose it is.
func TestCompletionOfDevices(t *testing.T) {
	dir := t.TempDir()
	g := startGate(t, dir)
	g.call("POST", "/admin/users", "", "name", "alice", "password", secret).must(t, 201, "making a user")
	uid := g.call("POST", "/api/token", "", "username", "alice", "password", secret, "device_name", "Alice's phone").must(t, 200, "a sign-in").tokens().UID
	s := shell{append(g.cmd.Env, "DEVICEGATE_STORE_PATH="+filepath.Join(dir, "devicegate.db"))}
	for _, command := range []string{"show", "revoke", "rights"} {
		if got := s.complete(t, "device", command, uid[:3]); !slices.Equal(got, []string{uid + "\tAlice's phone, alice", noFiles}) {
			t.Errorf("device %s offers %q", command, got)
		}
	}
	if got := s.complete(t, "device", "show", "no such"); !slices.Equal(got, []string{noFiles}) {
		t.Errorf("it offers %q", got)
	}
}

// TestCompletionMakesNothing: not even the file that every other command would make.
func TestCompletionMakesNothing(t *testing.T) {
	s := newShell(t)
	if got := s.complete(t, "user", "show", ""); !slices.Equal(got, []string{noFiles}) {
		t.Errorf("it offers %q", got)
	}
	path := strings.TrimPrefix(s.environ[1], "DEVICEGATE_STORE_PATH=")
	if left := leftIn(t, filepath.Dir(path)); len(left) != 0 {
		t.Errorf("it leaves %v", left)
	}
	if err := os.WriteFile(path, []byte("no store"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.complete(t, "user", "show", ""); !slices.Equal(got, []string{noFiles}) {
		t.Errorf("of a file that is no store it offers %q", got)
	}
}

// TestCompletionIsBounded in time: a service that does not answer, and in number.
func TestCompletionIsBounded(t *testing.T) {
	s := newShell(t)
	socket := strings.TrimPrefix(s.environ[1], "DEVICEGATE_STORE_PATH=") + ".sock"
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := &cli{environ: s.environ, completionTime: 10 * time.Millisecond}
	if list, _ := c.lookUp(findUsers)(nil, nil, ""); len(list) != 0 {
		t.Errorf("a service that does not answer offers %q", list)
	}
	stuck := make(chan struct{}) // such as a file that is being opened
	defer close(stuck)
	deaf := func(context.Context, *admin, []string, string) ([]string, error) {
		<-stuck
		return []string{"too late"}, nil
	}
	s = newShell(t)
	s.must(t, "", "user", "add", "alice", "--generate")
	c.environ = s.environ
	if list, _ := c.lookUp(deaf)(nil, nil, ""); len(list) != 0 {
		t.Errorf("what does not end in time offers %q", list)
	}
	c.completionTime = patience
	s = newShell(t)
	s.must(t, "", "user", "add", "alice", "--generate")
	c.environ = s.environ
	many := func(context.Context, *admin, []string, string) (list []string, err error) {
		for i := range maxCandidates + 1 {
			list = append(list, fmt.Sprint(i))
		}
		return list, nil
	}
	if list, _ := c.lookUp(many)(nil, nil, ""); len(list) != maxCandidates {
		t.Errorf("it offers %d", len(list))
	}
}
