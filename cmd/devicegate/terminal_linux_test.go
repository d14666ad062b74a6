package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a terminal of its own.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// hidden reports whether what is typed now is not shown: the prompt comes a moment before that.
func hidden(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO == 0
}

// onTerminal runs the program on a terminal: each answer is typed when its prompt shows and hides it. It
// returns all that the person sees, and the exit code.
func onTerminal(t *testing.T, environ []string, answers [][2]string, args ...string) (string, int) {
	t.Helper()
	person, terminal := openTerminal(t)
	program, err := exec.LookPath("devicegate")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append([]string{atOnce, "TERM=xterm"}, environ...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = terminal.Close() // the program has its own: reading ends when it does
	seen := &output{}
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(seen, person) // ends with an error when the program has ended
		close(done)
	}()
	giveUp := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer giveUp.Stop()
	for tick := time.NewTicker(time.Millisecond); len(answers) > 0; {
		select {
		case <-tick.C:
		case <-done:
			t.Fatalf("%v ended before it asked %q:\n%s", args, answers[0][0], seen)
		}
		if strings.HasSuffix(seen.String(), answers[0][0]) && hidden(t, person) {
			if _, err := io.WriteString(person, answers[0][1]+"\n"); err != nil {
				t.Fatal(err)
			}
			answers = answers[1:]
		}
	}
	<-done
	_ = cmd.Wait() // how it ended is in ProcessState
	return strings.ReplaceAll(seen.String(), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

// TestPasswordsAreAskedTwice and never shown.
func TestPasswordsAreAskedTwice(t *testing.T) {
	s := newShell(t)
	for _, c := range []struct {
		again, want string
		code        int
	}{
		{secret + "!", "Password: \nPassword again: \ndevicegate: the two passwords differ; nothing was done\n", exitFailed},
		{secret, "Password: \nPassword again: \nMade the account alice (", exitDone},
	} {
		seen, code := onTerminal(t, s.environ, [][2]string{{"Password: ", secret}, {"Password again: ", c.again}}, "user", "add", "alice")
		if code != c.code || !strings.HasPrefix(seen, c.want) || strings.Contains(seen, secret) {
			t.Errorf("it exits with %d and shows %q, want %d and %q", code, seen, c.code, c.want)
		}
	}
}

// TestColourOnATerminal and nowhere else, and not where NO_COLOR says so; JSON never.
func TestColourOnATerminal(t *testing.T) {
	s := newShell(t)
	s.must(t, "", "user", "add", "alice", "--generate")
	s.must(t, "", "user", "disable", "alice")
	for _, c := range []struct {
		environ []string
		args    []string
		want    []string
		colour  bool
	}{
		{nil, []string{"user", "list"}, []string{dim + "NAME" + plain, red + "disabled" + plain}, true},
		{[]string{"NO_COLOR=1"}, []string{"user", "list"}, []string{"NAME ", " disabled "}, false},
		{[]string{"TERM=dumb"}, []string{"user", "list"}, []string{"NAME ", " disabled "}, false},
		{nil, []string{"user", "list", "-o", "json"}, []string{`"disabled":true`}, false},
		// Without -o, activity is a table for eyes.
		{nil, []string{"activity"}, []string{dim + "TIME" + plain, "user_disabled"}, true},
		{nil, []string{"activity", "-o", "json"}, []string{`"reason":"user_disabled"`}, false},
	} {
		seen, code := onTerminal(t, append(s.environ, c.environ...), nil, c.args...)
		if code != exitDone || strings.Contains(seen, "\x1b") != c.colour {
			t.Errorf("%v %v exits with %d and shows %q", c.environ, c.args, code, seen)
		}
		for _, want := range c.want {
			if !strings.Contains(seen, want) {
				t.Errorf("%v %v shows no %q: %q", c.environ, c.args, want, seen)
			}
		}
	}
}
