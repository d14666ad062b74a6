package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"devicegate/password"
)

// patience is how long anything on this machine may take before a test gives up on it.
const patience = 30 * time.Second

// atOnce keeps programs built with -race from waiting a second before each exit.
const atOnce = "GORACE=atexit_sleep_ms=0"

// TestMain lets the test binary be the program: scripts and tests find it as "devicegate" in PATH.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == password.WorkerArgument {
		os.Exit(password.WorkerMain())
	}
	testscript.Main(m, map[string]func(){"devicegate": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, scriptParams("testdata"))
}

func scriptParams(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"until":     until,
			"truncate":  truncate,
			"lines":     countLines,
			"nothing":   nothing,
			"mode":      mode,
			"unchanged": unchanged,
		},
	}
}

// setUpScript keeps scripts off the machine's own configuration and off its ports.
func setUpScript(env *testscript.Env) error {
	empty := filepath.Join(env.WorkDir, "none.yaml")
	env.Setenv("DEVICEGATE_CONFIG", empty)
	name, value, _ := strings.Cut(atOnce, "=")
	env.Setenv(name, value)
	env.Setenv("DEVICEGATE_OPERATIONS_ADDRESS", "unix:"+filepath.Join(env.WorkDir, "ops"))
	for _, listener := range []string{"API", "CHECKS_HTTP", "CHECKS_GRPC"} {
		env.Setenv("DEVICEGATE_"+listener+"_ADDRESS", "127.0.0.1:0")
	}
	return os.WriteFile(empty, nil, 0o600)
}

// exits CODE PROGRAM ARGS... demands the exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v: %v", args, err)
	}
	if got != want {
		ts.Fatalf("%v exits with %d, want %d", args[1:], got, want)
	}
}

// until PROGRAM ARGS... runs the program until it exits with 0.
func until(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(patience); ; {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v: %v", args, err)
		}
	}
}

// truncate FILE SIZE cuts a file.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
}

// lines STREAM N demands the number of lines.
func countLines(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	if got := strings.Count(ts.ReadFile(args[0]), "\n"); got != want {
		ts.Fatalf("%s has %d lines, want %d", args[0], got, want)
	}
}

// nothing FILE... demands that none of them is there.
func nothing(ts *testscript.TestScript, _ bool, args []string) {
	for _, path := range args {
		if _, err := os.Lstat(ts.MkAbs(path)); err == nil {
			ts.Fatalf("%s is there", path)
		}
	}
}

// mode FILE OCTAL demands the permissions.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Lstat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s has the mode %s, want %s", args[0], got, args[1])
	}
}

// unchanged FILE COPY demands that both hold the same bytes, which need not be text.
func unchanged(ts *testscript.TestScript, _ bool, args []string) {
	a, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if string(a) != string(b) {
		ts.Fatalf("%s and %s differ", args[0], args[1])
	}
}
