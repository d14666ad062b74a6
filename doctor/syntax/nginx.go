package syntax

import "strings"

// Nginx reads a configuration of nginx, or a part of one that another includes. Includes are directives like
// all others here. The blocks of Lua, which have a grammar of their own, are skipped.
func Nginx(file string, text []byte) ([]*Directive, error) {
	n := &nginx{file: file, text: strings.TrimPrefix(string(text), "\ufeff"), line: 1}
	return n.block(0)
}

type nginx struct {
	file string
	text string // that is still to be read
	line int
}

func (n *nginx) fail(line int, text string) error {
	return &Error{Place{n.file, line}, text}
}

// block reads up to its closing brace, or to the end of the file at depth 0.
func (n *nginx) block(depth int) (all []*Directive, err error) {
	if depth > maxDepth {
		return nil, n.fail(n.line, "nested too deep")
	}
	for {
		n.skip()
		switch {
		case n.text == "" && depth == 0:
			return all, nil
		case n.text == "":
			return nil, n.fail(n.line, "the file ends within a block: a } is missing")
		case n.text[0] == '}' && depth > 0:
			n.text = n.text[1:]
			return all, nil
		case strings.ContainsRune("};{", rune(n.text[0])):
			return nil, n.fail(n.line, "a "+n.text[:1]+" where a directive begins")
		}
		d, err := n.directive(depth)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
}

// skip passes over white space and comments.
func (n *nginx) skip() {
	for n.text != "" {
		switch n.text[0] {
		case '\n':
			n.line++
		case ' ', '\t', '\r':
		case '#':
			end := strings.IndexByte(n.text, '\n')
			if end < 0 {
				n.text = ""
				return
			}
			n.text = n.text[end:]
			continue
		default:
			return
		}
		n.text = n.text[1:]
	}
}

func (n *nginx) directive(depth int) (*Directive, error) {
	d := &Directive{Place: Place{n.file, n.line}}
	for words := 0; ; words++ {
		n.skip()
		if n.text == "" {
			return nil, n.fail(d.Line, "the directive does not end: a ; is missing")
		}
		switch n.text[0] {
		case ';':
			n.text = n.text[1:]
			return d, nil
		case '{':
			n.text = n.text[1:]
			d.Open = true
			if strings.HasSuffix(d.Name, "_by_lua_block") {
				return d, n.skipLua()
			}
			var err error
			d.Block, err = n.block(depth + 1)
			return d, err
		case '}':
			return nil, n.fail(n.line, "a } where a ; is missing")
		}
		word, err := n.word()
		if err != nil {
			return nil, err
		}
		if words == 0 {
			d.Name = word
		} else {
			d.Args = append(d.Args, word)
		}
	}
}

// word reads one word, quoted or not, as nginx does: a backslash before a quote, a backslash or a letter of
// white space goes away, before anything else it stays.
func (n *nginx) word() (string, error) {
	var b strings.Builder
	quote, start := byte(0), n.line
	if c := n.text[0]; c == '"' || c == '\'' {
		quote, n.text = c, n.text[1:]
	}
	for last := byte(0); n.text != ""; {
		c := n.text[0]
		switch {
		case c == '\\' && len(n.text) > 1:
			b.WriteString(unescaped(n.text[1]))
			if n.text[1] == '\n' {
				n.line++
			}
			n.text, last = n.text[2:], 0
			continue
		case quote != 0 && c == quote:
			n.text = n.text[1:]
			return b.String(), nil
		case quote == 0 && (strings.IndexByte(" \t\r\n;", c) >= 0 || c == '{' && last != '$'):
			return b.String(), nil
		case c == '\n':
			n.line++
		}
		b.WriteByte(c)
		n.text, last = n.text[1:], c
	}
	if quote != 0 {
		return "", n.fail(start, "the quote that begins here does not end")
	}
	return b.String(), nil
}

func unescaped(c byte) string {
	switch c {
	case '"', '\'', '\\':
		return string(c)
	case 't':
		return "\t"
	case 'r':
		return "\r"
	case 'n':
		return "\n"
	}
	return string([]byte{'\\', c}) // a byte of a longer character stays one
}

// skipLua passes over a block of Lua by its braces. Braces in Lua's strings and comments are hardly ever
// unbalanced; where they are, the rest of the file does not parse, which is told.
func (n *nginx) skipLua() error {
	start := n.line
	for depth := 1; n.text != ""; n.text = n.text[1:] {
		switch n.text[0] {
		case '\n':
			n.line++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				n.text = n.text[1:]
				return nil
			}
		}
	}
	return n.fail(start, "the block of Lua does not end: a } is missing")
}
