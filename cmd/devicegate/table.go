package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"devicegate/safetext"
)

// table prints rows whose columns line up. What is added since the last flush is one page: nothing of
// earlier pages is kept but the widths, which only grow, so that a listing of any length needs little memory
// and starts at once. Texts are cleaned: some were chosen by whoever tried to sign in.
type table struct {
	out     io.Writer
	colour  bool
	header  []string
	widths  []int
	page    [][]cell
	started bool // the header is out
}

// cell is one text of a row.
type cell struct {
	text string
	bad  bool // a failure, or an account that is switched off: red
}

// maxCell bounds a text in bytes, far over any that has to be read in whole.
const maxCell = 1000

// The colours: nothing else is coloured.
const (
	dim   = "\x1b[2m"
	red   = "\x1b[31m"
	plain = "\x1b[0m"
)

// screen measures characters the same way whatever the environment says.
var screen = &runewidth.Condition{StrictEmojiNeutral: true}

func (c *cli) table(header ...string) *table {
	return &table{out: c.stdout, colour: c.colour(), header: header, widths: make([]int, len(header))}
}

// colour says whether output is for eyes.
func (c *cli) colour() bool {
	return isTerminal(c.stdout) && c.getenv("NO_COLOR") == "" && c.getenv("TERM") != "dumb"
}

// add appends a row with a cell for each column. An empty one is shown as "-".
func (t *table) add(row ...cell) {
	for i := range row {
		if row[i].text = clean(row[i].text); row[i].text == "" {
			row[i].text = "-"
		}
	}
	t.page = append(t.page, row)
}

// flush prints what was added, if anything was, and before the first row the header.
func (t *table) flush() error {
	if len(t.page) == 0 {
		return nil
	}
	return t.print()
}

// end prints what is left, or the header alone where there was never a row.
func (t *table) end() error {
	if len(t.page) == 0 && t.started {
		return nil
	}
	return t.print()
}

func (t *table) print() error {
	page := t.page
	if !t.started {
		page = append([][]cell{plainCells(t.header...)}, page...)
	}
	for _, row := range page {
		for i, c := range row {
			t.widths[i] = max(t.widths[i], screen.StringWidth(c.text))
		}
	}
	var text strings.Builder
	for i, row := range page {
		t.write(&text, row, i == 0 && !t.started)
	}
	t.started, t.page = true, nil
	_, err := io.WriteString(t.out, text.String())
	return err
}

func (t *table) write(to *strings.Builder, row []cell, isHeader bool) {
	for i, c := range row {
		switch {
		case t.colour && isHeader:
			fmt.Fprint(to, dim, c.text, plain)
		case t.colour && c.bad:
			fmt.Fprint(to, red, c.text, plain)
		default:
			to.WriteString(c.text)
		}
		if i < len(row)-1 {
			to.WriteString(strings.Repeat(" ", t.widths[i]-screen.StringWidth(c.text)+2))
		}
	}
	to.WriteByte('\n')
}

// plainCells returns cells without a colour.
func plainCells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, text := range texts {
		row[i].text = text
	}
	return row
}

// clean makes a text that somebody else chose fit for a terminal.
func clean(text string) string { return safetext.Bound(text, maxCell) }

// short cuts a text to what a column of a list needs.
func short(text string) string { return screen.Truncate(clean(text), 40, "…") }
