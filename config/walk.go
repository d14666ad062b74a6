package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// walker goes through the tree of one file: every key against the table, every value on its own,
// so that one fault hides no other.
type walker struct {
	*loader
	file string
}

// entry is one key of a YAML map and its value.
type entry struct {
	name  string
	key   ast.Node
	value ast.Node
}

func (w *walker) place(n ast.Node) Fault {
	fault := at(firstToken(n), "")
	fault.File = w.file
	return *fault
}

// set notes that the file sets the key at path.
func (w *walker) set(path string, n ast.Node) {
	w.loader.set(path, w.place(n))
}

// fault notes a fault of the key at path.
func (w *walker) fault(path string, n ast.Node, err error) {
	message := err.Error()
	if path != "" {
		message = path + ": " + message
	}
	w.loader.fault(path, w.place(n), message)
}

// complain notes a fault that leaves the keys around it as they are.
func (w *walker) complain(n ast.Node, message string) {
	w.faults = append(w.faults, w.place(n).says(message))
}

// section reads the map n that stands at path, "" for the whole file, with the keys that may stand
// in it or in maps below it.
func (w *walker) section(path string, n ast.Node, keys []key) {
	for _, e := range w.entries(path, n) {
		if strings.Contains(e.name, ".") { // it would be taken for a path, and set a key twice unnoticed
			w.complain(e.key, dottedKey(path, e.name, keys))
			continue
		}
		inner := strings.TrimPrefix(path+"."+e.name, ".")
		k, isKey := find(keys, inner)
		switch {
		case isKey:
			w.set(inner, e.value)
			k.decode(w, e.value)
		case !isSection(keys, inner):
			w.complain(e.key, unknownKey(path, e.name, keys))
		case !isNull(e.value):
			w.section(inner, e.value, keys)
		}
	}
}

func isSection(keys []key, path string) bool {
	for _, k := range keys {
		if strings.HasPrefix(k.path, path+".") {
			return true
		}
	}
	return false
}

// dottedKey says what is wrong with a key that has a dot in it.
func dottedKey(section, name string, keys []key) string {
	if _, known := find(keys, strings.TrimPrefix(section+"."+name, ".")); !known {
		return unknownKey(section, name, keys)
	}
	first, rest, _ := strings.Cut(name, ".")
	return fmt.Sprintf("unknown key %s; write %s below %s", quote(name), rest, first)
}

// unknownKey says what is wrong with a key, and which one is meant.
func unknownKey(section, name string, keys []key) string {
	var known []string
	for _, k := range keys {
		rest, ok := strings.CutPrefix(k.path, strings.TrimPrefix(section+".", "."))
		first, _, _ := strings.Cut(rest, ".")
		if ok && (len(known) == 0 || known[len(known)-1] != first) {
			known = append(known, first)
		}
	}
	where := ""
	if section != "" {
		where = " in " + section
	}
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("unknown key %s%s; did you mean %s?", quote(name), where, near)
	}
	return fmt.Sprintf("unknown key %s%s; it can hold %s", quote(name), where, strings.Join(known, ", "))
}

// entries returns the entries of a map, each name once.
func (w *walker) entries(path string, n ast.Node) []entry {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		w.fault(path, n, mismatch(n, "a map"))
		return nil
	}
	var entries []entry
	lines := map[string]int{}
	for _, v := range values {
		name, err := scalar[string](v.Key)
		if err != nil {
			w.fault(path, v.Key, fmt.Errorf("not usable as a key: %w", err))
			continue
		}
		if line, twice := lines[name]; twice {
			w.fault(path, v.Key, fmt.Errorf("duplicate key %s; it stands in line %d already", quote(name), line))
			continue
		}
		lines[name] = w.place(v.Key).Line
		entries = append(entries, entry{name, v.Key, v.Value})
	}
	return entries
}

// elements returns the elements of a list.
func (w *walker) elements(path string, n ast.Node) []ast.Node {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		w.fault(path, n, mismatch(n, "a list"))
		return nil
	}
	return sequence.Values
}

// scalar returns the text of a single value as it stands in the file. Text and numbers are told
// apart, so that nobody wonders what an unquoted true or 010 has become; durations, sizes and
// networks are taken as written, because their own rules give the better advice.
func scalar[T any](n ast.Node) (string, error) {
	var zero T
	_, wantText := any(zero).(string)
	_, wantNumber := any(zero).(int)
	_, wantBool := any(zero).(bool)
	switch n := n.(type) {
	case *ast.StringNode:
		quoted := n.Token.Type == token.DoubleQuoteType || n.Token.Type == token.SingleQuoteType
		if wantNumber && quoted {
			return "", fmt.Errorf("%s is text; write the number without quotes", quote(n.Value))
		}
		if wantBool && quoted {
			return "", fmt.Errorf("%s is text; write true or false without quotes", quote(n.Value))
		}
		return n.Value, nil
	case *ast.LiteralNode:
		if !wantNumber && !wantBool {
			return n.Value.Value, nil
		}
	case *ast.IntegerNode, *ast.FloatNode:
		if !wantText && !wantBool {
			return n.GetToken().Value, nil
		}
	case *ast.BoolNode:
		if wantBool {
			return n.GetToken().Value, nil
		}
	}
	switch {
	case wantText:
		return "", mismatch(n, "text")
	case wantNumber:
		return "", mismatch(n, "a number")
	case wantBool:
		return "", mismatch(n, "true or false")
	default:
		return "", mismatch(n, "a single value")
	}
}

// parseNode parses a single value.
func parseNode[T any](n ast.Node, parse func(string) (T, error)) (T, error) {
	text, err := scalar[T](n)
	if err != nil {
		var zero T
		return zero, err
	}
	return parse(text)
}

// mismatch says that a node is something else than what was wanted.
func mismatch(n ast.Node, want string) error {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return fmt.Errorf("a map; %s is expected", want)
	case *ast.SequenceNode:
		return fmt.Errorf("a list; %s is expected", want)
	case *ast.StringNode, *ast.LiteralNode:
		return fmt.Errorf("text; %s is expected", want)
	case *ast.NullNode:
		return fmt.Errorf("nothing is written here; %s is expected", want)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		if want == "text" {
			return fmt.Errorf("%s is not text; put it in quotes", quote(n.GetToken().Value))
		}
		return fmt.Errorf("%s; %s is expected", quote(n.GetToken().Value), want)
	default:
		return fmt.Errorf("anchors, aliases, merge keys, tags and keys with ? are not read; write the value out")
	}
}

func isNull(n ast.Node) bool {
	_, null := n.(*ast.NullNode)
	return null || n == nil
}

// firstToken returns the token where a node begins for a reader; the parser's own idea of a map's
// beginning is its first colon.
func firstToken(n ast.Node) *token.Token {
	switch n := n.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if n.GetToken().Type != token.MappingStartType && len(n.Values) > 0 {
			return firstToken(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return firstToken(n.Key)
	}
	return n.GetToken()
}
