package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestDemo runs what the demo prints, in a real shell, as a newcomer does.
func TestDemo(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("curl is missing; the demo's commands cannot be tried")
		}
		t.Skip("LEFT OUT: the commands that the demo prints; they need curl")
	}
	temp := t.TempDir()
	p := startProgram(t, t.TempDir(), []string{"TMPDIR=" + temp}, "demo", "--listen", "127.0.0.1:0")
	p.wait(t, "it had printed everything", func() bool { return strings.Contains(p.stdout.String(), "Ctrl-C") })
	commands := printedCommands(p.stdout.String())
	if len(commands) != 3 {
		t.Fatalf("the demo prints %d commands, want 3:\n%s", len(commands), p.stdout)
	}
	out, err := exec.Command("sh", "-euc", strings.Join([]string{
		commands[0], `[ -n "$TOKEN" ] || exit 9`, commands[1], "echo; echo ======", commands[2],
	}, "\n")).Output()
	if err != nil {
		t.Fatalf("the commands fail: %v\n%s", err, out)
	}
	first, second, _ := strings.Cut(string(out), "======")
	for _, part := range []string{"200 OK", "Remote-User: alice", "Hello"} {
		if !strings.Contains(first, part) {
			t.Errorf("the second command shows no %q:\n%s", part, first)
		}
	}
	for _, part := range []string{"401 Unauthorized", "X-Auth-Reason: device_replaced"} {
		if !strings.Contains(second, part) {
			t.Errorf("the third command shows no %q:\n%s", part, second)
		}
	}
	if left := leftIn(t, temp); len(left) != 1 {
		t.Errorf("while it runs the demo keeps %v, want one folder", left)
	}
	p.end(syscall.SIGINT)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the demo exits with %d, want 0", code)
	}
	if left := leftIn(t, temp); len(left) != 0 {
		t.Errorf("the demo leaves %v behind", left)
	}
}

func TestDemoOnATakenPort(t *testing.T) {
	p := startProgram(t, t.TempDir(), []string{"TMPDIR=" + t.TempDir()}, "demo", "--listen", "127.0.0.1:0")
	p.wait(t, "it had printed everything", func() bool { return strings.Contains(p.stdout.String(), "Ctrl-C") })
	_, url, _ := strings.Cut(p.stdout.String(), "http://")
	at, _, _ := strings.Cut(url, ",")
	second := startProgram(t, t.TempDir(), nil, "demo", "--listen", at)
	<-second.exited
	if code := second.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(second.stderr.String(), "choose another address with --listen") {
		t.Errorf("a second demo at %s exits with %d: %s", at, code, second.stderr)
	}
}

// printedCommands returns the indented blocks.
func printedCommands(text string) (commands []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "   ") && strings.Contains(line, "curl") {
			commands = append(commands, strings.TrimSpace(line))
		}
	}
	return commands
}

func leftIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
