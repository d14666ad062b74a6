package probe_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"devicegate/doctor/probe"
)

var update = flag.Bool("update", false, "write the table of codes into the page")

const (
	codesBegin = "<!-- The table is written by: go test ./doctor/probe -run TestPage -update -->\n"
	codesEnd   = "<!-- end of the codes of --via -->\n"
)

// TestPage: the page has every code that --via finds, and what it means.
func TestPage(t *testing.T) {
	page := filepath.Join("..", "..", "docs", "doctor.md")
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(content), codesBegin)
	written, after, ends := strings.Cut(rest, codesEnd)
	if !begins || !ends {
		t.Fatalf("%s lacks the lines between which the codes stand", page)
	}
	want := "\n| code | what it says | in general |\n|---|---|---|\n"
	faults := probe.Faults()
	for _, code := range slices.Sorted(maps.Keys(faults)) {
		want += fmt.Sprintf("| `%s` | %s | %s |\n", code, faults[code][0], faults[code][1])
	}
	want += "\n"
	if *update {
		if err := os.WriteFile(page, []byte(before+codesBegin+want+codesEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if written != want {
		t.Errorf("the codes of %s are stale; write them anew with: go test ./doctor/probe -run TestPage -update", page)
	}
}
