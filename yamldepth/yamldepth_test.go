package yamldepth_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml/lexer"

	"devicegate/yamldepth"
)

// TestBeyond: what makes the parser recurse is counted, and nothing else.
func TestBeyond(t *testing.T) {
	const limit = 10
	for _, c := range []struct {
		title, text string
		line        int // of the token; 0: none
	}{
		{"nothing", "", 0},
		{"lists within", strings.Repeat("[", limit) + strings.Repeat("]", limit), 0},
		{"one too deep", "a: 1\nb: " + strings.Repeat("[", limit+1), 2},
		{"maps too deep", strings.Repeat("{a: ", limit+1), 1},
		{"lists side by side", "a: [" + strings.Repeat("[], ", 100) + "]", 0},
		{"dashes on a line", strings.Repeat("- ", limit+1) + "a", 1},
		{"dashes on lines", strings.Repeat("- a\n", 100), 0},
		{"question marks", strings.Repeat("? ", limit+1) + "a", 1},
		{"anchors", "a: " + strings.Repeat("&a ", limit+1) + "b", 1},
		{"tags", "a: " + strings.Repeat("!t ", limit+1) + "b", 1},
		{"far to the right", "a:\n" + strings.Repeat(" ", 64*limit+1) + "- b", 2},
	} {
		got := yamldepth.Beyond(lexer.Tokenize(c.text), limit)
		if line := 0; got != nil {
			line = got.Position.Line
			if line != c.line {
				t.Errorf("%s: line %d, want %d", c.title, line, c.line)
			}
		} else if c.line != 0 {
			t.Errorf("%s: not seen", c.title)
		}
	}
}
