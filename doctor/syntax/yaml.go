package syntax

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"

	"devicegate/yamldepth"
)

// maxNodes bounds a tree. A merge copies members, and copies of copies grow without a bound.
const maxNodes = 200_000

// YAML reads the documents of a YAML or JSON file, one node each. Anchors and merges are resolved. An alias
// shares the nodes of its anchor, so whoever walks a tree must remember where he has been.
func YAML(file string, text []byte) ([]*Node, error) {
	if !utf8.Valid(text) {
		return nil, &Error{Place{file, 1}, "not UTF-8"}
	}
	tokens := lexer.Tokenize(strings.TrimPrefix(string(text), "\ufeff"))
	lines := strings.Count(string(text), "\n") + 1
	if t := yamldepth.Beyond(tokens, maxDepth); t != nil {
		return nil, &Error{Place{file, min(max(t.Position.Line, 1), lines)}, "nested too deep"}
	}
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, yamlError(file, lines, err)
	}
	var all []*Node
	for _, doc := range parsed.Docs {
		y := &yamlReader{file: file, lines: lines, anchors: map[string]*Node{}}
		n := y.node(doc.Body, 0)
		if y.err != nil {
			return nil, y.err
		}
		if n != nil {
			all = append(all, n)
		}
	}
	return all, nil
}

func yamlError(file string, lines int, err error) error {
	at := Place{file, 1}
	var syntax yaml.Error
	if !errors.As(err, &syntax) {
		return &Error{at, "not YAML: " + strings.Join(strings.Fields(err.Error()), " ")}
	}
	if t := syntax.GetToken(); t != nil && t.Position != nil {
		at.Line = min(max(t.Position.Line, 1), lines)
	}
	return &Error{at, "not YAML: " + strings.Join(strings.Fields(syntax.GetMessage()), " ")}
}

type yamlReader struct {
	file    string
	lines   int // of the text; the library counts a bare carriage return as a line too
	anchors map[string]*Node
	nodes   int
	err     error
}

func (y *yamlReader) fail(at ast.Node, text string) *Node {
	if y.err == nil {
		y.err = &Error{y.place(at), text}
	}
	return nil
}

func (y *yamlReader) place(n ast.Node) Place {
	p := Place{y.file, 1}
	if n != nil {
		if t := n.GetToken(); t != nil && t.Position != nil && t.Position.Line > 0 {
			p.Line = min(t.Position.Line, y.lines)
		}
	}
	return p
}

// node translates one value. A nil result without an error is no value at all, such as an empty document.
func (y *yamlReader) node(from ast.Node, depth int) *Node {
	if y.nodes++; y.nodes > maxNodes || depth > 8*maxDepth {
		return y.fail(from, "too large, or nested too deep")
	}
	out := &Node{Place: y.place(from)}
	switch v := from.(type) {
	case nil, *ast.CommentGroupNode:
		return nil
	case *ast.DirectiveNode:
		return nil
	case *ast.NullNode:
	case *ast.MappingNode:
		out.Kind = Map
		for _, member := range v.Values {
			y.member(out, member, depth)
		}
	case *ast.MappingValueNode:
		out.Kind = Map
		y.member(out, v, depth)
	case *ast.SequenceNode:
		out.Kind = List
		for _, item := range v.Values {
			out.Items = append(out.Items, y.node(item, depth+1))
		}
	case *ast.AnchorNode:
		n := y.node(v.Value, depth+1)
		y.anchors[v.Name.String()] = n
		return n
	case *ast.AliasNode:
		n, known := y.anchors[v.Value.String()]
		if !known {
			return y.fail(from, fmt.Sprintf("no anchor %.40q before its alias", v.Value.String()))
		}
		return n
	case *ast.TagNode:
		return y.node(v.Value, depth+1)
	case *ast.LiteralNode:
		out.Kind, out.Text = Scalar, v.Value.Value
	case *ast.StringNode:
		out.Kind, out.Text = Scalar, v.Value
	case ast.ScalarNode:
		out.Kind, out.Text = Scalar, v.GetToken().Value
	default:
		return y.fail(from, "a construct that is not read: "+from.Type().String())
	}
	return out
}

// member adds one member to a map, or those of another map where it is a merge.
func (y *yamlReader) member(out *Node, m *ast.MappingValueNode, depth int) {
	value := y.node(m.Value, depth+1)
	if _, merge := m.Key.(*ast.MergeKeyNode); merge {
		for _, source := range mergeSources(value) {
			for _, e := range source.Each() {
				y.nodes++
				if !out.has(e.Key) {
					out.Entries = append(out.Entries, e)
				}
			}
		}
		if y.nodes > maxNodes {
			y.fail(m, "too large")
		}
		return
	}
	key := y.node(m.Key, depth+1)
	if mk, ok := m.Key.(*ast.MappingKeyNode); ok {
		key = y.node(mk.Value, depth+1)
	}
	if key == nil || key.Kind != Scalar && key.Kind != Nothing {
		y.fail(m, "a key that is not a word")
		return
	}
	out.Entries = append(out.Entries, Entry{Place: y.place(m.Key), Key: key.Text, Value: value})
}

func mergeSources(value *Node) []*Node {
	if value != nil && value.Kind == Map {
		return []*Node{value}
	}
	return value.List()
}

func (n *Node) has(key string) bool {
	for _, e := range n.Entries {
		if e.Key == key {
			return true
		}
	}
	return false
}
