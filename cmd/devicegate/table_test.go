package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTableLinesUp(t *testing.T) {
	var out bytes.Buffer
	table := &table{out: &out, header: []string{"NAME", "STATE", "ID"}, widths: make([]int, 3)}
	steps := []struct {
		rows [][]string
		want string
	}{
		{nil, ""},
		{[][]string{{"alice", "enabled", "1"}, {"電視", "", "2"}, {"e\u0301va", "x", "3"}}, `
NAME   STATE    ID
alice  enabled  1
電視   -        2
éva    x        3
`},
		{[][]string{{"bob", "x", "4"}}, `
bob    x        4
`},
		{[][]string{{"carolina", "x", "5"}}, `
carolina  x        5
`},
		{[][]string{{"dora", "x", "6"}}, `
dora      x        6
`},
	}
	for _, s := range steps {
		out.Reset()
		for _, row := range s.rows {
			table.add(plainCells(row...)...)
		}
		if err := table.flush(); err != nil {
			t.Fatal(err)
		}
		want := strings.TrimPrefix(strings.ReplaceAll(s.want, "éva", "e\u0301va"), "\n")
		if got := out.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
	out.Reset()
	if err := table.end(); err != nil || out.Len() != 0 {
		t.Errorf("the end prints %q, %v", out.String(), err)
	}
}

func TestTableOfNothing(t *testing.T) {
	var out bytes.Buffer
	table := &table{out: &out, header: []string{"NAME", "ID"}, widths: make([]int, 2)}
	if err := table.end(); err != nil || out.String() != "NAME  ID\n" {
		t.Errorf("it prints %q, %v", out.String(), err)
	}
}

// TestTableColours: the header is dim, what is bad is red, and neither counts as width.
func TestTableColours(t *testing.T) {
	row := plainCells("alice", "disabled", "1")
	row[1].bad = true
	for colour, want := range map[bool]string{
		true: "\x1b[2mNAME\x1b[0m   \x1b[2mSTATE\x1b[0m     \x1b[2mID\x1b[0m\n" +
			"alice  \x1b[31mdisabled\x1b[0m  1\n",
		false: "NAME   STATE     ID\nalice  disabled  1\n",
	} {
		var out bytes.Buffer
		table := &table{out: &out, colour: colour, header: []string{"NAME", "STATE", "ID"}, widths: make([]int, 3)}
		table.add(row...)
		if err := table.flush(); err != nil || out.String() != want {
			t.Errorf("colour %v: %q, %v, want %q", colour, out.String(), err, want)
		}
	}
}

// A name that was tried must not drive the terminal of the one who reads it, in neither form.
func TestOutputDrivesNoTerminal(t *testing.T) {
	evil := "a\x1b[2Jb\u009b31mc\u202ed\ne\U000E0001f"
	var out bytes.Buffer
	table := &table{out: &out, header: []string{"NAME"}, widths: make([]int, 1)}
	table.add(cell{text: evil})
	if err := table.flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "NAME\na\ufffd[2Jb\ufffd31mc\ufffdd\ufffde\ufffdf\n"; got != want {
		t.Errorf("the table is %q, want %q", got, want)
	}
	out.Reset()
	c := &cli{stdout: &out}
	if err := c.printJSON(map[string]string{"name": evil}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), `{"name":"a\u001b[2Jb\u009b31mc\u202ed\ne\udb40\udc01f"}`+"\n"; got != want {
		t.Errorf("JSON is %s, want %s", got, want)
	}
}
