package syntax

import "strings"

// Kind is what a node is.
type Kind int

// The kinds of nodes. The zero Kind is nothing, as null is.
const (
	Nothing Kind = iota
	Scalar
	List
	Map
)

// Node is a value of a tree. All methods take a nil node for one that is nothing.
type Node struct {
	Place
	Kind    Kind
	Text    string // of a scalar
	Items   []*Node
	Entries []Entry
}

// Entry is one member of a map, in the order of the file.
type Entry struct {
	Place
	Key   string
	Value *Node
}

// At returns the place, the zero one for nothing.
func (n *Node) At() Place {
	if n == nil {
		return Place{}
	}
	return n.Place
}

// Get follows keys into maps. Keys are compared as Envoy and Traefik do, without letter case and
// underscores: failure_mode_allow is failureModeAllow. Of a key that is there twice the last counts.
func (n *Node) Get(keys ...string) *Node {
	for _, key := range keys {
		var found *Node
		for _, e := range n.Each() {
			if Fold(e.Key) == Fold(key) {
				found = e.Value
			}
		}
		if n = found; n == nil {
			return nil
		}
	}
	return n
}

// Each returns the members of a map.
func (n *Node) Each() []Entry {
	if n == nil {
		return nil
	}
	return n.Entries
}

// List returns the items of a list. A scalar is a list of one, as in Traefik.
func (n *Node) List() []*Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == Scalar:
		return []*Node{n}
	}
	return n.Items
}

// Strings returns the texts of a list of scalars.
func (n *Node) Strings() (all []string) {
	for _, item := range n.List() {
		if item != nil && item.Kind == Scalar {
			all = append(all, item.Text)
		}
	}
	return all
}

// String returns the text of a scalar, empty for everything else.
func (n *Node) String() string {
	if n == nil || n.Kind != Scalar {
		return ""
	}
	return n.Text
}

// True says whether a scalar is the word true.
func (n *Node) True() bool { return strings.EqualFold(n.String(), "true") }

// Fold is a key in the one spelling in which keys are compared.
func Fold(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }
