package syntax

import (
	"slices"
	"strings"
)

// haproxySections are the words that begin a section of HAProxy's configuration.
var haproxySections = []string{
	"global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "mailers", "cache", "http-errors",
	"program", "ring", "log-forward", "log-profile", "fcgi-app", "crt-store", "traces", "acme",
}

// HAProxySection says whether a word begins a section.
func HAProxySection(word string) bool { return slices.Contains(haproxySections, word) }

// HAProxy reads a configuration of HAProxy: one directive for each section, with its lines as the block.
// Lines between .if and .endif count as if they were always there.
func HAProxy(file string, text []byte) ([]*Directive, error) {
	var sections []*Directive
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff") + "\n") {
		number++
		words, ok := haproxyWords(strings.TrimRight(line, "\r\n"))
		at := Place{file, number}
		switch {
		case !ok:
			return nil, &Error{at, "the quote that begins here does not end"}
		case len(words) == 0 || strings.HasPrefix(words[0], "."):
		case HAProxySection(words[0]):
			sections = append(sections, &Directive{Place: at, Name: words[0], Args: words[1:], Open: true})
		case len(sections) == 0:
			return nil, &Error{at, "a line before the first section, such as global or frontend"}
		default:
			s := sections[len(sections)-1]
			s.Block = append(s.Block, &Directive{Place: at, Name: words[0], Args: words[1:]})
		}
	}
	return sections, nil
}

// haproxyWords splits a line: 'strong' quotes keep everything, "weak" ones know the backslash, # begins a comment.
func haproxyWords(line string) (words []string, ok bool) {
	var b strings.Builder
	quote, within := byte(0), false
	end := func() {
		if within {
			words = append(words, b.String())
		}
		b.Reset()
		within = false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(line):
			if escaped := strings.IndexByte(" #\\'\"$", line[i+1]) >= 0; escaped {
				i++ // before all others the backslash stays: \. is that of an expression
			}
			b.WriteByte(line[i])
			within = true
		case quote != 0:
			b.WriteByte(c)
		case c == '"' || c == '\'':
			quote, within = c, true
		case c == ' ' || c == '\t':
			end()
		case c == '#':
			end()
			return words, true
		default:
			b.WriteByte(c)
			within = true
		}
	}
	end()
	return words, quote == 0
}

// Lua returns a script without its comments, line by line as it was.
func Lua(text []byte) string {
	var b strings.Builder
	s := string(text)
	for s != "" {
		switch {
		case strings.HasPrefix(s, "--[["):
			end := strings.Index(s, "]]")
			if end < 0 {
				end = len(s) - 2
			}
			b.WriteString(strings.Repeat("\n", strings.Count(s[:end+2], "\n")))
			s = s[end+2:]
		case strings.HasPrefix(s, "--"):
			s = s[max(strings.IndexByte(s+"\n", '\n'), 0):]
		case s[0] == '"' || s[0] == '\'':
			end := 1
			for end < len(s) && s[end] != s[0] && s[end] != '\n' {
				if s[end] == '\\' && end+1 < len(s) && s[end+1] != '\n' {
					end++
				}
				end++
			}
			end = min(end+1, len(s))
			if s[end-1] == '\n' { // a string that does not end: no Lua, but no reason to lose a line
				end--
			}
			b.WriteString(s[:end])
			s = s[end:]
		default:
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
	return b.String()
}
