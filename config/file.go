package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"devicegate/yamldepth"
)

// maxFile is far above any real configuration: something larger is the wrong file.
const maxFile = 1 << 20

// maxNesting bounds how deep one file may nest flow collections, and how many block indicators one
// line may open. The YAML parser recurses, and its time grows with the square of the depth.
const maxNesting = 64

// readFile sets keys from the file. Whatever keeps it from being read as YAML is one fault, and
// blinds the rules across keys.
func (l *loader) readFile(name string, required bool) {
	if name == "" {
		return
	}
	text, err := readText(name)
	if errors.Is(err, fs.ErrNotExist) && !required {
		return
	}
	if err != nil {
		l.blind = true
		l.faults = append(l.faults, Fault{File: name, Message: err.Error()})
		return
	}
	w := &walker{loader: l, file: name}
	root, fault := parse(strings.TrimPrefix(text, "\ufeff"))
	if fault != nil {
		l.blind = true
		fault.File = name
		l.faults = append(l.faults, *fault)
		return
	}
	if root != nil && !isNull(root) {
		w.section("", root, l.keys)
	}
}

// readText reads the file, at most maxFile bytes of it.
func readText(name string) (string, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no such file: %w", fs.ErrNotExist)
	}
	if err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		return "", errors.New("a pipe or a socket; write a file") // opening a pipe would wait for its writer, for ever
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no such file: %w", fs.ErrNotExist)
	}
	if err != nil {
		return "", fmt.Errorf("cannot be opened: %w", cause(err))
	}
	defer f.Close() //nolint:errcheck // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", cause(err))
	}
	if len(data) > maxFile {
		return "", fmt.Errorf("larger than 1 MiB: this is no configuration file")
	}
	return string(data), nil
}

// cause drops the path from a file system error: the fault names it already.
func cause(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}

// parse returns the value of the only document in text; nil if there is none.
func parse(text string) (ast.Node, *Fault) {
	if fault := checkCharacters(text); fault != nil {
		return nil, fault
	}
	tokens := lexer.Tokenize(text)
	if fault := checkNesting(tokens); fault != nil {
		return nil, fault
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxFault(text, err)
	}
	var root ast.Node
	for i, doc := range file.Docs {
		if directive, ok := doc.Body.(*ast.DirectiveNode); ok {
			return nil, at(directive.GetToken(), "YAML directives are not read; remove the line")
		}
		if i > 0 {
			return nil, at(doc.Start, "a second document; a configuration is one")
		}
		root = doc.Body
	}
	return root, nil
}

// at returns a fault at a token.
func at(t *token.Token, message string) *Fault {
	fault := &Fault{Line: 1, Column: 1, Message: message}
	if t != nil && t.Position != nil {
		fault.Line, fault.Column = t.Position.Line, t.Position.Column
	}
	return fault
}

// syntaxFault turns the parser's error into a fault of one line.
func syntaxFault(text string, err error) *Fault {
	var syntax yaml.Error
	if !errors.As(err, &syntax) {
		return at(nil, "not YAML: "+oneLine(err.Error()))
	}
	fault := at(syntax.GetToken(), "not YAML: "+oneLine(syntax.GetMessage()))
	lines := strings.Split(text, "\n")
	if fault.Line <= len(lines) {
		line := lines[fault.Line-1]
		if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") {
			fault.Column = strings.Index(indent, "\t") + 1
			fault.Message = "YAML is not indented with tabs; use spaces"
		}
	}
	return fault
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}

// checkCharacters refuses what YAML does not allow and the parser would replace in silence: bytes
// that are not UTF-8, and control characters.
func checkCharacters(text string) *Fault {
	line, column := 1, 0
	for i, r := range text {
		column++
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			return &Fault{Line: line, Column: column, Message: "not UTF-8"}
		case r == '\n':
			line, column = line+1, 0
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return &Fault{Line: line, Column: column, Message: fmt.Sprintf("control character %U; remove it", r)}
		}
	}
	return nil
}

// checkNesting refuses a text that would make the parser recurse too deep.
func checkNesting(tokens token.Tokens) *Fault {
	if t := yamldepth.Beyond(tokens, maxNesting); t != nil {
		return at(t, fmt.Sprintf("nested deeper than %d", maxNesting))
	}
	return nil
}
