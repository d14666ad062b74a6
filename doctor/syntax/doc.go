// Package syntax reads the configuration files of proxies and keeps the place of everything in them: nginx,
// Caddyfile and HAProxy as directives, YAML, JSON and TOML as one tree of nodes.
//
// It knows what a file says and nothing of what it means. It guarantees: a text that is not read whole is an
// error with its line, never a part of a tree, so that nobody takes what was skipped for what is not there;
// and no text makes it recurse without a bound.
package syntax

import "fmt"

// Place is a line of a file.
type Place struct {
	File string
	Line int // from 1
}

// String is FILE:LINE.
func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Error is why a text cannot be read.
type Error struct {
	Place
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Place, e.Text) }

// maxDepth bounds how deep blocks nest. Real files stay below ten.
const maxDepth = 64

// Directive is one statement: a name, arguments, and a block where it has one.
type Directive struct {
	Place
	Name  string
	Args  []string
	Block []*Directive
	Open  bool // it has a block, which may be empty
}

// Arg returns the argument at i, empty where there is none.
func (d *Directive) Arg(i int) string {
	if d == nil || i >= len(d.Args) {
		return ""
	}
	return d.Args[i]
}

// Named returns the directives of the block with that name.
func (d *Directive) Named(name string) (found []*Directive) {
	for _, one := range d.Block {
		if one.Name == name {
			found = append(found, one)
		}
	}
	return found
}

// First returns the first of them, nil where there is none.
func (d *Directive) First(name string) *Directive {
	if found := d.Named(name); len(found) > 0 {
		return found[0]
	}
	return nil
}
