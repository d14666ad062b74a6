package main

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
)

func TestAUC(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{nil, nil, 0.5}, {[]float64{1, 2}, []float64{1, 2}, 0.5}, {[]float64{3, 4}, []float64{1, 2}, 1},
		{[]float64{1, 2}, []float64{3, 4}, 1}, {[]float64{2, 2}, []float64{1, 2, 2, 3}, 0.5}, {[]float64{2, 4}, []float64{1, 3}, 0.75},
	} {
		if got := auc(c.a, c.b); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("auc(%v, %v) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestQuickTiming makes all attempts of a short run; what the times were is the machine's.
func TestQuickTiming(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-quick", "-timing", "-o", "json"}, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	var got timingReport
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 4 {
		t.Fatalf("%d rows, want 4: %s", len(got.Rows), &out)
	}
	for _, row := range got.Rows {
		if row.Pairs == 0 || row.AUC < 0.5 || row.AUC > 1 || row.Median <= 0 {
			t.Errorf("nothing was measured: %+v", row)
		}
	}
}
