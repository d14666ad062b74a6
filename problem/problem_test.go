package problem_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"devicegate/problem"
	"devicegate/reason"
)

func TestJSON(t *testing.T) {
	got := string(problem.OfReason(http.StatusUnauthorized, reason.DeviceNotRecognized).JSON())
	want := `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"This session device is no longer valid.","code":"device_not_recognized"}` + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p := problem.New(http.StatusBadRequest, "invalid", "x")
	p.Errors = []problem.Fault{{Pointer: "/name", Detail: "too long"}}
	var members map[string]any
	if err := json.Unmarshal(p.JSON(), &members); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{map[string]any{"pointer": "/name", "detail": "too long"}}, members["errors"]); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

// Every refusal tells people something of its own, and the reason's word as its code; a value that is no
// reason still makes a whole problem.
func TestEveryRefusalIsExplained(t *testing.T) {
	seen := map[string]reason.Reason{}
	for _, r := range reason.All() {
		if r.Outcome() == reason.Allow {
			continue
		}
		detail := problem.Detail(r)
		if other, twice := seen[detail]; twice || detail == problem.Detail(reason.Undecided) {
			t.Errorf("%s has no sentence of its own but %q, as %s", r, detail, other)
		}
		if !strings.HasSuffix(detail, ".") {
			t.Errorf("%s: %q is no sentence", r, detail)
		}
		seen[detail] = r
	}
	for v := range 256 {
		r := reason.Reason(v)
		if p := problem.OfReason(403, r); p.Code != r.String() || p.Detail == "" || p.Title != "Forbidden" || p.Type != "about:blank" {
			t.Errorf("reason %d: %+v", v, p)
		}
	}
}

// Whatever gets into a problem cannot break out of it.
func TestJSONIsInert(t *testing.T) {
	b := string(problem.New(400, "invalid", "</script>\r\n\u2028\xff\"").JSON())
	if strings.ContainsAny(strings.TrimSuffix(b, "\n"), "<>\r\n\u2028") || !utf8.ValidString(b) || !json.Valid([]byte(b)) {
		t.Errorf("%q", b)
	}
}
