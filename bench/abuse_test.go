package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestQuickAbuse runs every attack shortly and looks at all but the times.
func TestQuickAbuse(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-quick", "-abuse", "-o", "json"}, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	var got abuseReport
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("the report is no JSON: %v\n%s", err, &out)
	}
	if len(got.Rows) != 14 {
		t.Errorf("%d attacks were measured, want 14", len(got.Rows))
	}
	for _, row := range got.Rows {
		if row.GRPC.Quiet == 0 || row.GRPC.Beside == 0 || row.HTTP.Quiet == 0 || row.HTTP.Beside == 0 || row.RSS == 0 || row.Acts == "" {
			t.Errorf("%s: nothing was measured: %+v", row.Attack, row)
		}
		if row.Wrong != 0 {
			t.Errorf("%s: %d wrong answers, want none", row.Attack, row.Wrong)
		}
	}
}
