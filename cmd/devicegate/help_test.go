package main

import (
	"io"
	"strings"
	"testing"
)

// TestEveryCommandShowsAnExample: each example is a command line of that command, or of one below it.
func TestEveryCommandShowsAnExample(t *testing.T) {
	c := &cli{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	for _, cmd := range allCommands(c.root()) {
		path := cmd.CommandPath()
		if strings.HasPrefix(path, "devicegate completion") || path == "devicegate help" {
			continue // cobra's own
		}
		if cmd.Runnable() && cmd.Example == "" {
			t.Errorf("%s shows no example", path)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || strings.Contains(cmd.Short, "\n") {
			t.Errorf("%s: %q is no short line without a full stop", path, cmd.Short)
		}
		if cmd.Long != "" && !strings.HasSuffix(cmd.Long, ".") {
			t.Errorf("%s: its text ends without a full stop", path)
		}
		for line := range strings.Lines(cmd.Example) {
			if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: the example %q is not indented by two", path, line)
			}
		}
		if cmd.Example != "" && !strings.Contains(cmd.Example, path) {
			t.Errorf("%s: no example has it", path)
		}
	}
}
