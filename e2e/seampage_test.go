package e2e_test

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	seamPage = "../docs/seam.md"
	writeIt  = "go test ./e2e -run TestSeam -update"
)

// comparePage compares docs/seam.md with what the run gives, or writes it.
func comparePage(t *testing.T, run *seamRun) {
	for _, p := range products {
		needProgram(t, p.program)
	}
	w := &seamWriter{t: t, run: run, table: tableRows(), own: seamRows(), http2: http2Rows()}
	want := w.page()
	if t.Failed() {
		return
	}
	if *update {
		if err := os.WriteFile(seamPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	written, err := os.ReadFile(seamPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(written)); diff != "" {
		t.Errorf("%s is not what the run gives; write it anew with: %s\n%s", seamPage, writeIt, diff)
	}
}

// seamWriter writes docs/seam.md. It fails the test where a name leads nowhere.
type seamWriter struct {
	strings.Builder
	t                 *testing.T
	run               *seamRun
	table, own, http2 []seamRow
}

// cell keeps a title from being read as markup of a table.
func cell(title string) string {
	return strings.NewReplacer("|", `\|`, "`", "\\`").Replace(code(title))
}

func (w *seamWriter) page() string {
	fmt.Fprintf(w, `# The seam between proxy and gate

Written by a run of the tests, with the real proxies and the files of [examples/](../examples): `+"`%s`"+`. Do not edit it.
The rows of `+"`TestCases`"+` are in [proxies.md](proxies.md), one by one.

A name in the last column finds the tests: `+"`go test ./e2e -run 'TestSeam/on/./^39'`"+` and `+"`-run 'TestCases/./^39'`"+` play all rows of case 39.
TestSeam plays its own rows and those of TestCases over HTTP/1.1 in the clear, then within TLS over HTTP/1.1 (names that begin with TLS),
within TLS over HTTP/2 (HTTP2) and over HTTP/2 in the clear (H2C). A row that needs more than one request, or something wrong with the gate, is
played over HTTP/1.1 in the clear alone. HTTP/2 in the clear is spoken by Traefik, Envoy and HAProxy on the listener of the example; nginx has one of its own for it, and
Caddy the setting "protocols" with h2c. Over HTTP/3 (HTTP3), as said below, Traefik, Envoy and Caddy get a part of the rows.

`, writeIt)
	w.cases()
	w.otherwise()
	w.http3()
	w.classes()
	w.settings()
	return w.String()
}

// labelled returns the rows with a label.
func labelled(rows []seamRow, label string) []seamRow {
	return slices.DeleteFunc(slices.Clone(rows), func(r seamRow) bool { return r.label != label })
}

func (w *seamWriter) cases() {
	w.WriteString("## Case by case\n\nThe numbers are those of the project's list. A cell has every outcome that the rows of the case have, as in proxies.md.\n\n" +
		"| case | | nginx | Traefik | Envoy, gRPC | Envoy, HTTP | Caddy | HAProxy | shown by |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	known := map[string]bool{}
	var empty strings.Builder
	for _, c := range seamCases {
		known[c.label] = true
		by := w.shown(c.shown)
		for test, rows := range w.tests() {
			if n := len(labelled(rows, c.label)); n > 0 {
				by = append(by, fmt.Sprintf("%s (%d)", test, n))
			}
		}
		if len(by) == 0 {
			w.t.Errorf("nothing shows case %s", c.label)
		}
		text := c.text
		if c.note != "" {
			text += " (" + c.note + ")"
		}
		fmt.Fprintf(w, "| %s | %s |", c.label, cell(text))
		lacks := false
		for _, product := range seamProducts {
			outcomes := w.outcomes(c.label, product)
			lacks = lacks || outcomes == ""
			fmt.Fprintf(w, "%s |", outcomes)
		}
		if lacks != (c.empty != "") {
			w.t.Errorf("case %s: a cell is empty: %v; the reason: %q", c.label, lacks, c.empty)
		}
		if lacks {
			fmt.Fprintf(&empty, "| %s | %s |\n", c.label, c.empty)
		}
		fmt.Fprintf(w, " %s |\n", strings.Join(by, ", "))
	}
	for _, r := range slices.Concat(w.table, w.own, w.http2) {
		if !known[r.label] && !strings.HasPrefix(r.label, "B") {
			w.t.Errorf("case %s is not in the list of cases", r.label)
		}
	}
	fmt.Fprintf(w, "\nWhy a cell is empty:\n\n| case | does not apply |\n|---|---|\n%s", empty.String())
	w.WriteString("\nRows of TestSeam that the list has no case for:\n\n| class | | nginx | Traefik | Envoy, gRPC | Envoy, HTTP | Caddy | HAProxy |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range w.own {
		if strings.HasPrefix(r.label, "B") {
			w.row(r, "")
		}
	}
}

// row writes a row of its own, played under the prefix.
func (w *seamWriter) row(r seamRow, prefix string) {
	fmt.Fprintf(w, "| %s | %s |", r.label, cell(r.title))
	for _, product := range seamProducts {
		want, mine := r.want[product]
		if !mine {
			w.WriteString(" |")
			continue
		}
		w.mustHaveRun(product, prefix+r.name())
		fmt.Fprintf(w, " %s |", shortly(want))
	}
	w.WriteString("\n")
}

// tests yields the rows by the test that plays them.
func (w *seamWriter) tests() iter.Seq2[string, []seamRow] {
	return func(yield func(string, []seamRow) bool) {
		_ = yield("TestCases", w.table) && yield("TestSeam", w.own) && yield("TestSeam HTTP2", w.http2)
	}
}

// outcomes returns what a product's rows of a case come to, each outcome once.
func (w *seamWriter) outcomes(label, product string) string {
	prefixes := map[string]string{"TestSeam HTTP2": "HTTP2 "}
	var each []string
	for test, rows := range w.tests() {
		for _, r := range labelled(rows, label) {
			want, mine := r.want[product]
			if !mine {
				continue
			}
			if test != "TestCases" {
				w.mustHaveRun(product, prefixes[test]+r.name())
			}
			if text := shortly(want); !slices.Contains(each, text) {
				each = append(each, text)
			}
		}
	}
	if len(each) == 0 {
		return ""
	}
	return " " + strings.Join(each, "<br>")
}

// shortly writes an outcome; without a status the connection was closed.
func shortly(o outcome) string {
	if o.status == 0 {
		return "closed"
	}
	return o.String()
}

func (w *seamWriter) otherwise() {
	w.WriteString("\n## What is different over HTTP/2\n\nAll other rows that HTTP/2 can say come out as over HTTP/1.1. An empty cell is no different.\n\n" +
		"| case | | nginx | Traefik | Envoy, gRPC | Envoy, HTTP | Caddy | HAProxy |\n|---|---|---|---|---|---|---|---|\n")
	used := 0
	for _, r := range slices.Concat(w.table, w.own) {
		if want, differs := differsHTTP2[r.title]; differs {
			used++
			w.row(seamRow{r.label, testCase{title: r.title, want: want}}, "HTTP2 ")
		}
	}
	if used != len(differsHTTP2) {
		w.t.Errorf("%d titles differ over HTTP/2, %d of them are no row", len(differsHTTP2), len(differsHTTP2)-used)
	}
	for _, r := range w.http2 {
		w.row(r, "HTTP2 ")
		for product := range r.want {
			w.mustHaveRun(product, "H2C "+r.name())
		}
	}
}

// http3 says which rows were played over HTTP/3, and that they were.
func (w *seamWriter) http3() {
	played := map[string]int{}
	for _, r := range slices.Concat(w.table, w.own, http3Rows()) {
		for _, p := range seamProducts {
			mine := r.label == "B11" || r.send == nil && r.fault == healthy && fitsHTTP3(r.testCase)
			if _, asked := r.want[p]; asked && mine && listenHTTP3[p] != nil {
				w.mustHaveRun(p, "HTTP3 "+r.name())
				played[p]++
			}
		}
	}
	var cases, counts []string
	for _, number := range http3Cases {
		cases = append(cases, fmt.Sprint(number))
	}
	for _, p := range slices.Sorted(maps.Keys(played)) {
		counts = append(counts, fmt.Sprintf("%s %d", p, played[p]))
	}
	fmt.Fprintf(w, "\n## Over HTTP/3\n\nThe rows of the cases %s, and those of B11, come out as over HTTP/1.1 and HTTP/2. Rows played: %s. "+
		"nginx 1.22 and HAProxy 2.6 as Debian builds it do not speak HTTP/3.\n", strings.Join(cases, ", "), strings.Join(counts, ", "))
}

func (w *seamWriter) classes() {
	w.WriteString("\n## Class by class\n\nWhat answers each class of known bypass: cases by their number, rows by their class, and lines or settings of an example by proxy and name.\n\n" +
		"| class | | answered by |\n|---|---|---|\n")
	for _, c := range seamClasses {
		by := strings.Join(w.shown(c.shown), ", ")
		if c.note != "" {
			by = strings.TrimPrefix(by+"; "+c.note, "; ")
		}
		fmt.Fprintf(w, "| %s | %s | %s |\n", c.label, cell(c.text), by)
	}
}

func (w *seamWriter) settings() {
	w.WriteString("\n## Dangerous settings\n\nEach is one change to the example as it stands, in front of the running proxy. The example refuses the same request " +
		"(TestSeam, names that begin with danger; the lines are in TestEveryLineCounts).\n")
	for _, p := range slices.SortedFunc(slices.Values(products), bySeam) {
		fmt.Fprintf(w, "\n### %s\n\n| setting | what gets through |\n|---|---|\n", code(p.name))
		for _, d := range dangersOf(p.name) {
			w.mustHaveRun(p.name, "danger "+d.title)
			what := d.what
			if d.safe || d.closed {
				what = "safe: " + what
			}
			w.setting(d.title, what)
		}
		w.lines(weakenings(p))
	}
}

// lines writes what TestEveryLineCounts takes out: with what gets through where that is said.
func (w *seamWriter) lines(all []weakening) {
	var named []string
	for _, l := range all {
		if l.opens == "" {
			named = append(named, cell(l.title))
		}
	}
	if len(named) > 0 {
		fmt.Fprintf(w, "\nLines that TestEveryLineCounts takes out, and what they stop gets through: %s.\n", strings.Join(named, "; "))
		return
	}
	w.WriteString("\n| line, or what it does, taken out by TestEveryLineCounts | what gets through then |\n|---|---|\n")
	for _, l := range all {
		w.setting(l.title, l.opens)
	}
}

// bySeam orders products as the columns are.
func bySeam(a, b product) int {
	return slices.Index(seamProducts, a.name) - slices.Index(seamProducts, b.name)
}

func (w *seamWriter) setting(title, what string) {
	fmt.Fprintf(w, "| %s | %s |\n", cell(title), strings.ReplaceAll(what, "|", "\\|"))
}

// shown checks that each name leads to a test, and returns the names as they are printed.
func (w *seamWriter) shown(names []string) []string {
	var printed []string
	for _, name := range names {
		product, title, isLine := strings.Cut(name, ": ")
		pkg, test, isTest := strings.Cut(name, ".Test")
		switch {
		case isLine:
			w.mustBeLine(product, title)
			name = cell(name)
		case isTest:
			w.mustBeTest(pkg, "Test"+test)
			name = "`" + name + "`"
		default:
			known := slices.ContainsFunc(seamCases, func(c seamEntry) bool { return c.label == name })
			if !known && len(labelled(slices.Concat(w.table, w.own, w.http2), name)) == 0 && name != "B25" {
				w.t.Errorf("%s is no case and no row", name)
			}
		}
		printed = append(printed, name)
	}
	return printed
}

func (w *seamWriter) mustHaveRun(product, name string) {
	if !w.run.ran[product+"/"+name] {
		w.t.Errorf("%s: %q did not run", product, name)
	}
}

// mustBeLine: a danger that ran, or a line that TestEveryLineCounts takes out.
func (w *seamWriter) mustBeLine(product, title string) {
	for _, p := range products {
		if p.name == product && slices.ContainsFunc(weakenings(p), func(l weakening) bool { return l.title == title }) {
			return
		}
	}
	w.mustHaveRun(product, "danger "+title)
}

// mustBeTest: a test of that name is in the package.
func (w *seamWriter) mustBeTest(pkg, name string) {
	files, _ := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil && strings.Contains(string(content), "\nfunc "+name+"(t *testing.T)") {
			return
		}
	}
	w.t.Errorf("package %s has no test %s", pkg, name)
}
