// Package yamldepth bounds how deep a text of YAML nests, before the parser, which recurses without a bound of its own, sees it.
package yamldepth

import "github.com/goccy/go-yaml/token"

// columns bounds how far to the right a line may begin one more level, for each level that is allowed: indented blocks
// nest without a sign that could be counted.
const columns = 64

// Beyond returns the first token by which a text nests deeper than limit, nil where none does. What counts is the
// flow collections that are open, and the indicators of blocks, anchors and tags on one line.
func Beyond(tokens token.Tokens, limit int) *token.Token {
	flow, line, opened := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, opened = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			opened++
		}
		if flow > limit || opened > limit || t.Position.Column > columns*limit && opened > 0 {
			return t
		}
	}
	return nil
}
