package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
)

// The test binary is the server that does nothing and the attackers as well, as the program is.
func TestMain(m *testing.M) {
	if kind, ok := noopKind(os.Args); ok {
		exit(serveNoop(kind, os.Stdin, os.Stdout))
	}
	if isAttackers(os.Args) {
		exit(serveAttackers(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// TestQuickRun runs everything shortly and looks at all but the times: those are the machine's.
func TestQuickRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-quick", "-o", "json"}, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("the report is no JSON: %v\n%s", err, &out)
	}
	for _, row := range got.Checks {
		if row.Gate.PerSecond == 0 || row.Noop.PerSecond == 0 {
			t.Errorf("%s: nothing was measured: %+v", row.Load, row)
		}
		if row.Gate.Wrong != 0 || row.Noop.Wrong != 0 {
			t.Errorf("%s: %d and %d wrong answers, want none", row.Load, row.Gate.Wrong, row.Noop.Wrong)
		}
	}
	for _, row := range got.Beside {
		if row.P99.Quiet == 0 || row.P99.Beside == 0 || row.Wrong != 0 {
			t.Errorf("beside sign-ins: got %+v, want times and nothing wrong", row)
		}
	}
	if got.SignIns.PerSecond == 0 || got.SignIns.Failed != 0 {
		t.Errorf("sign-ins: got %+v, want some and none failed", got.SignIns)
	}
	if want := quickPlan.users * (quickPlan.devices - 1); got.Removal.Count != want || got.Removal.Wrong != 0 {
		t.Errorf("removals: got %+v, want %d and nothing wrong", got.Removal, want)
	}
	wantRows(t, got)
}

// wantRows prints the report and looks for every row.
func wantRows(t *testing.T, r report) {
	t.Helper()
	var table bytes.Buffer
	if err := r.print(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Machine:", "gRPC, 4 x 16 streams", "gRPC, 1 x 1 streams", "HTTP, 16 connections", "HTTP, 1 connection",
		"gate", "no-op", "ratio", "p50", "p99 of the best slice", "sign-ins meanwhile", "204 received", "refused over gRPC and HTTP",
	} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-o", "yaml"}, {"more"}, {"-unknown"}} {
		if err := run(context.Background(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("bench %v: got no error, want one", args)
		}
	}
}

// A gate that answers wrongly must show, however fast it is.
func TestWrongAnswersAreCounted(t *testing.T) {
	p := plan{slice: quickPlan.slice, maxRequests: 10}
	refusing := []caller{answering(false), answering(false)}
	if s := closedLoop(t.Context(), refusing, []device{{}}, p); s.wrong != 20 || len(s.latencies) != 20 {
		t.Errorf("closed loop: got %d wrong of %d, want 20 of 20", s.wrong, len(s.latencies))
	}
	if s := openLoop(t.Context(), refusing, []device{{}}, p.slice, 100); s.wrong != 20 || len(s.latencies) != 20 {
		t.Errorf("open loop: got %d wrong of %d, want 20 of 20", s.wrong, len(s.latencies))
	}
	if got := wrongAnswers(t.Context(), []caller{answering(true), answering(false)}, device{}, false); got != 1 {
		t.Errorf("after a removal: got %d wrong, want 1", got)
	}
}

type answering bool

func (a answering) check(context.Context, device) (bool, error) { return bool(a), nil }

func TestServerThatDoesNotStart(t *testing.T) {
	if p, _, err := startNoop(t.Context(), "nonsense"); err == nil {
		p.stop()
		t.Error("a server that ended at once: got no error, want one")
	}
	if g, err := startGate(t.Context(), "false", t.TempDir()); err == nil {
		g.stop()
		t.Error("a gate that ended at once: got no error, want one")
	}
}

func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
	if got := percentile(nil, 0.99); got != 0 {
		t.Errorf("percentile of nothing = %v, want 0", got)
	}
}
