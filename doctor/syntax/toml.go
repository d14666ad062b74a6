package syntax

import (
	"bytes"
	"errors"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// TOML reads a TOML file as one node.
func TOML(file string, text []byte) (*Node, error) {
	// The library's parser of expressions, which keeps the places, does not compare tables with each other:
	// that its decoder takes the file says that none is there twice.
	var whole map[string]any
	if err := toml.Unmarshal(text, &whole); err != nil {
		at := Place{file, 1}
		var syntax *toml.DecodeError
		if errors.As(err, &syntax) {
			at.Line, _ = syntax.Position()
		}
		return nil, &Error{at, "not TOML: " + err.Error()}
	}
	t := &tomlReader{file: file, text: text, root: &Node{Place: Place{file, 1}, Kind: Map}}
	t.parser.Reset(text)
	table := t.root
	for t.parser.NextExpression() {
		switch e := t.parser.Expression(); e.Kind {
		case unstable.Table:
			table = t.descend(t.root, e.Key(), false)
		case unstable.ArrayTable:
			table = t.descend(t.root, e.Key(), true)
		case unstable.KeyValue:
			t.keyValue(table, e, 0)
		}
	}
	if err := t.parser.Error(); err != nil {
		return nil, &Error{Place{file, 1}, "not TOML: " + err.Error()}
	}
	return t.root, nil
}

type tomlReader struct {
	file   string
	text   []byte
	root   *Node
	parser unstable.Parser
	line   int // of offset
	offset int
}

// place returns the line of an offset. Offsets mostly grow, so the newlines are counted once.
func (t *tomlReader) place(r unstable.Range) Place {
	offset := min(int(r.Offset), len(t.text))
	if offset < t.offset || t.line == 0 {
		t.line, t.offset = 1, 0
	}
	t.line += bytes.Count(t.text[t.offset:offset], []byte{'\n'})
	t.offset = offset
	return Place{t.file, t.line}
}

// descend follows a dotted key to its table, and makes what is missing. Of a list it takes the last item, or
// a new one at the end where the key is one of an array of tables.
func (t *tomlReader) descend(from *Node, key unstable.Iterator, appending bool) *Node {
	for key.Next() {
		k := key.Node()
		at, name := t.place(k.Raw), string(k.Data)
		value := from.exact(name)
		last := key.IsLast()
		switch {
		case value == nil && last && appending:
			value = &Node{Place: at, Kind: List}
			from.Entries = append(from.Entries, Entry{Place: at, Key: name, Value: value})
		case value == nil:
			value = &Node{Place: at, Kind: Map}
			from.Entries = append(from.Entries, Entry{Place: at, Key: name, Value: value})
		}
		if value.Kind == List {
			if last && appending || len(value.Items) == 0 {
				value.Items = append(value.Items, &Node{Place: at, Kind: Map})
			}
			value = value.Items[len(value.Items)-1]
		}
		from = value
	}
	return from
}

func (n *Node) exact(key string) *Node {
	for _, e := range n.Entries {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

func (t *tomlReader) keyValue(table *Node, e *unstable.Node, depth int) {
	key := e.Key()
	for key.Next() {
		k := key.Node()
		at, name := t.place(k.Raw), string(k.Data)
		if key.IsLast() {
			table.Entries = append(table.Entries, Entry{Place: at, Key: name, Value: t.value(at, e.Value(), depth+1)})
			return
		}
		next := table.exact(name)
		if next == nil {
			next = &Node{Place: at, Kind: Map}
			table.Entries = append(table.Entries, Entry{Place: at, Key: name, Value: next})
		}
		table = next
	}
}

// value translates a value. The library has refused what nests too deep.
func (t *tomlReader) value(at Place, from *unstable.Node, depth int) *Node {
	out := &Node{Place: at}
	switch from.Kind {
	case unstable.InlineTable:
		out.Kind = Map
		for it := from.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				t.keyValue(out, it.Node(), depth)
			}
		}
	case unstable.Array:
		out.Kind = List
		for it := from.Children(); it.Next(); {
			if it.Node().Kind != unstable.Comment {
				out.Items = append(out.Items, t.value(at, it.Node(), depth+1))
			}
		}
	default:
		out.Kind, out.Text = Scalar, string(from.Data)
	}
	return out
}
