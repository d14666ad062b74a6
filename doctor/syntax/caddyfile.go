package syntax

import "strings"

// Caddyfile reads a Caddyfile. Its top level is: the global options (no name), snippets "(name)", imports, and
// sites, whose name and arguments are their addresses. A file of one site without braces is read as one site.
func Caddyfile(file string, text []byte) ([]*Directive, error) {
	lines, err := caddyLines(file, strings.TrimPrefix(string(text), "\ufeff"))
	if err != nil {
		return nil, err
	}
	c := &caddy{lines: lines}
	return c.top()
}

// caddyWord is one word, and whether it was quoted, so that "{" is a word and { is a brace.
type caddyWord struct {
	text   string
	quoted bool
}

func (w caddyWord) is(brace string) bool { return !w.quoted && w.text == brace }

type caddyLine struct {
	Place
	words []caddyWord
}

type caddy struct{ lines []caddyLine }

func (c *caddy) top() (all []*Directive, err error) {
	for len(c.lines) > 0 {
		d, err := c.next(0)
		if err != nil {
			return nil, err
		}
		if !d.Open && d.Name != "import" { // one site, without braces
			d.Open = true
			for len(c.lines) > 0 {
				inner, err := c.next(1)
				if err != nil {
					return nil, err
				}
				d.Block = append(d.Block, inner)
			}
		}
		all = append(all, d)
	}
	return all, nil
}

// next reads one directive with its block.
func (c *caddy) next(depth int) (*Directive, error) {
	line := c.lines[0]
	c.lines = c.lines[1:]
	if depth > maxDepth {
		return nil, &Error{line.Place, "nested too deep"}
	}
	d := &Directive{Place: line.Place}
	words := line.words
	for depth == 0 && len(c.lines) > 0 && strings.HasSuffix(words[len(words)-1].text, ",") {
		words = append(words, c.lines[0].words...) // the addresses of a site, over several lines
		c.lines = c.lines[1:]
	}
	if words[0].is("}") {
		return nil, &Error{line.Place, "a } that closes nothing"}
	}
	if words[len(words)-1].is("{") {
		d.Open, words = true, words[:len(words)-1]
	}
	for i, w := range words {
		if i == 0 {
			d.Name = strings.TrimSuffix(w.text, ",")
		} else {
			d.Args = append(d.Args, w.text)
		}
	}
	if !d.Open {
		return d, nil
	}
	for {
		if len(c.lines) == 0 {
			return nil, &Error{line.Place, "the block does not end: a } is missing"}
		}
		if first := c.lines[0]; first.words[0].is("}") {
			if len(first.words) > 1 {
				return nil, &Error{first.Place, "something behind a }, which ends its line"}
			}
			c.lines = c.lines[1:]
			return d, nil
		}
		inner, err := c.next(depth + 1)
		if err != nil {
			return nil, err
		}
		d.Block = append(d.Block, inner)
	}
}

// caddyLines splits a text into words, line by line. Lines without words are left out.
func caddyLines(file, text string) (lines []caddyLine, err error) {
	line, current := 1, caddyLine{}
	end := func() {
		if len(current.words) > 0 {
			lines = append(lines, current)
		}
		current = caddyLine{}
	}
	for text != "" {
		switch c := text[0]; {
		case c == '\n':
			end()
			line, text = line+1, text[1:]
		case strings.HasPrefix(text, "\\\n"), strings.HasPrefix(text, "\\\r\n"):
			text = text[strings.IndexByte(text, '\n')+1:]
			line++
		case c == ' ' || c == '\t' || c == '\r':
			text = text[1:]
		case c == '#':
			text = text[max(strings.IndexByte(text+"\n", '\n'), 0):]
		default:
			word, rest, ok := caddyToken(text)
			if !ok {
				return nil, &Error{Place{file, line}, "the quote or heredoc that begins here does not end"}
			}
			if len(current.words) == 0 {
				current.Place = Place{file, line}
			}
			current.words = append(current.words, word)
			line += strings.Count(text[:len(text)-len(rest)], "\n")
			text = rest
		}
	}
	end()
	return lines, nil
}

// caddyToken reads one word at the beginning of text.
func caddyToken(text string) (word caddyWord, rest string, ok bool) {
	switch {
	case strings.HasPrefix(text, "<<"):
		return heredoc(text)
	case text[0] == '`':
		inner, rest, ok := strings.Cut(text[1:], "`")
		return caddyWord{inner, true}, rest, ok
	case text[0] == '"':
		var b strings.Builder
		for i := 1; i < len(text); i++ {
			switch {
			case text[i] == '\\' && i+1 < len(text) && text[i+1] == '"':
				b.WriteByte('"')
				i++
			case text[i] == '"':
				return caddyWord{b.String(), true}, text[i+1:], true
			default:
				b.WriteByte(text[i])
			}
		}
		return word, "", false
	}
	end := strings.IndexAny(text, " \t\r\n")
	if end < 0 {
		end = len(text)
	}
	return caddyWord{text: text[:end]}, text[end:], true
}

// heredoc reads <<NAME, lines, NAME.
func heredoc(text string) (caddyWord, string, bool) {
	name, rest, found := strings.Cut(text[2:], "\n")
	name = strings.TrimSuffix(name, "\r")
	if !found || name == "" || strings.ContainsAny(name, " \t\"`") {
		end := strings.IndexAny(text, " \t\r\n")
		if end < 0 {
			end = len(text)
		}
		return caddyWord{text: text[:end]}, text[end:], true
	}
	var body []string
	for {
		line, more, found := strings.Cut(rest, "\n")
		if marker := strings.TrimLeft(line, " \t"); strings.HasPrefix(marker, name) {
			after := marker[len(name):]
			if found {
				after += "\n" + more
			}
			return caddyWord{strings.Join(body, "\n"), true}, after, true
		}
		if !found {
			return caddyWord{}, "", false
		}
		body, rest = append(body, line), more
	}
}
