package authztest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"devicegate/authz"
	"devicegate/reason"
)

// statuses is the contract's table of outcomes, written out once more: the code's own could be wrong.
var statuses = map[authz.Adapter]map[reason.Outcome]int{
	authz.Traefik:   {reason.Allow: 200, reason.Unauthenticated: 401, reason.Deny: 403, reason.Unavailable: 503},
	authz.Caddy:     {reason.Allow: 200, reason.Unauthenticated: 401, reason.Deny: 403, reason.Unavailable: 503},
	authz.HAProxy:   {reason.Allow: 200, reason.Unauthenticated: 401, reason.Deny: 403, reason.Unavailable: 503},
	authz.Nginx:     {reason.Allow: 200, reason.Unauthenticated: 401, reason.Deny: 403, reason.Unavailable: 503},
	authz.EnvoyHTTP: {reason.Allow: 200, reason.Unauthenticated: 401, reason.Deny: 403, reason.Unavailable: 403},
	authz.EnvoyGRPC: {reason.Allow: 200, reason.Unauthenticated: 401, reason.Deny: 403, reason.Unavailable: 503},
}

// identityHeaders may be in an allow and nowhere else.
var identityHeaders = []string{"Remote-User", "Remote-Groups", "Remote-Device", assertionHeader, "X-Envoy-Auth-Headers-To-Remove"}

const assertionHeader = "Remote-Assertion"

// What the headers of an allow may measure, in bytes: nginx takes 4 KiB and no more.
const (
	maxHeaders         = 3000
	maxWithAnAssertion = 3900
)

// Behaviour runs the table through an adapter.
func Behaviour(t *testing.T, w *World, a Adapter) {
	for _, c := range w.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			gate := w.Gate(c.Setup)
			gate.explains = true
			ask := a.Start(t, gate)
			a.check(t, w, c, ask(t, c.Ask.Filled()))
			checkRecords(t, gate, a.Name, c.Want)
			checkReport(t, gate, c.Would)
			checkExplained(t, gate, a.Name, c)
			checkSilent(t, gate, c.Ask)
		})
	}
}

// Words asks one question for every reason, and for values that are none: the word is the same in header,
// body, log and metric, and nothing but the reasons of Allow lets pass.
func Words(t *testing.T, w *World, a Adapter) {
	last := reason.All()[len(reason.All())-1]
	for _, why := range append(reason.All(), reason.Undecided, last+1, 255) {
		gate := w.Gate(Setup{Forced: why, HasForced: true})
		got := a.Start(t, gate)(t, bearer(w.Anna.Token).Filled())
		if why.Outcome() == reason.Allow && why != reason.OK {
			why = reason.Undecided // whoever only looks something up cannot let pass
		}
		a.check(t, w, Case{Want: why, Who: &w.Anna}, got)
		if (got.Status == http.StatusOK) != (why == reason.OK) {
			t.Errorf("reason %d (%s) was answered %d", why, why, got.Status)
		}
		checkRecords(t, gate, a.Name, why)
	}
}

func (a Adapter) check(t *testing.T, w *World, c Case, got Answer) {
	t.Helper()
	if want := statuses[a.Name][c.Want.Outcome()]; got.Status != want {
		t.Errorf("status %d, want %d; headers %v", got.Status, want, got.Header)
	}
	if c.Want.Outcome() == reason.Allow {
		if c.Audience != "" {
			w.checkAssertion(t, c, strings.Join(got.Header[assertionHeader], " and "))
			delete(got.Header, assertionHeader)
		}
		a.checkAllow(t, c, got)
		return
	}
	a.checkRefusal(t, c, got)
}

// identityOf returns the headers that an allow sets and removes: those of c.Who, or of nobody.
func identityOf(c Case) (set http.Header, remove []string) {
	switch {
	case c.Who == nil:
		set, remove = http.Header{}, []string{"Remote-User", "Remote-Groups", "Remote-Device"}
	case len(c.Who.User.Roles) > 0:
		set = http.Header{"Remote-Groups": {strings.Join(c.Who.User.Roles, ",")}}
	default:
		set, remove = http.Header{}, []string{"Remote-Groups"}
	}
	if c.Who != nil {
		set["Remote-User"], set["Remote-Device"] = []string{c.Who.Encoded}, []string{c.Who.Device.String()}
	}
	if c.Setup.Assertions && c.Audience == "" {
		remove = append(remove, assertionHeader)
	}
	if c.Stripped {
		remove = append(remove, "Authorization")
	}
	return set, remove
}

func (a Adapter) checkAllow(t *testing.T, c Case, got Answer) {
	t.Helper()
	want, remove := identityOf(c)
	if !a.Removes {
		remove = nil
	}
	identity, envelope := http.Header{}, []string(nil)
	for name, values := range got.Header {
		if slices.Contains(identityHeaders[:4], name) {
			identity[name] = values
		} else {
			envelope = append(envelope, name)
		}
	}
	slices.Sort(envelope)
	if diff := cmp.Diff(want, identity); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(remove, got.Remove); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(a.Envelope, envelope); diff != "" {
		t.Errorf("other headers of an allow (-want +got):\n%s", diff)
	}
	if got.Body != "" {
		t.Errorf("the body of an allow is %q", got.Body)
	}
	most := maxHeaders
	if c.Audience != "" {
		most = maxWithAnAssertion
	}
	if got.Size >= most {
		t.Errorf("the headers of an allow take %d bytes, they must stay under %d", got.Size, most)
	}
}

// challenge is the contract's rule for WWW-Authenticate, written out once more.
func challenge(why reason.Reason) []string {
	switch {
	case why == reason.NoToken:
		return []string{`Bearer realm="devicegate"`}
	case why == reason.RoleMissing:
		return []string{`Bearer realm="devicegate", error="insufficient_scope"`}
	case why.Outcome() == reason.Unauthenticated:
		return []string{fmt.Sprintf(`Bearer realm="devicegate", error="invalid_token", error_description="%s"`, why)}
	}
	return nil
}

func (a Adapter) checkRefusal(t *testing.T, c Case, got Answer) {
	t.Helper()
	status := statuses[a.Name][c.Want.Outcome()]
	want := map[string][]string{
		"X-Auth-Reason": {c.Want.String()}, "Cache-Control": {"no-store"}, "Content-Type": {"application/problem+json"},
		"Www-Authenticate": challenge(c.Want), "Retry-After": nil,
	}
	if status == http.StatusServiceUnavailable {
		want["Retry-After"] = []string{"1"}
	}
	for name, values := range want {
		if diff := cmp.Diff(values, got.Header[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, name := range identityHeaders {
		if v, there := got.Header[name]; there {
			t.Errorf("a refusal carries %s: %q", name, v)
		}
	}
	if len(got.Remove) > 0 {
		t.Errorf("a refusal removes %q", got.Remove)
	}
	checkProblem(t, status, c, got)
	checkNoEcho(t, c.Ask, fmt.Sprint(got.Header)+got.Body)
}

func checkProblem(t *testing.T, status int, c Case, got Answer) {
	t.Helper()
	if c.Ask.Method == http.MethodHead && got.Body == "" {
		return // over HTTP an answer to HEAD has no body
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(got.Body), &members); err != nil {
		t.Fatalf("the body %q is not JSON: %v", got.Body, err)
	}
	if detail, _ := members["detail"].(string); detail == "" {
		t.Errorf("the problem says nothing: %s", got.Body)
	}
	delete(members, "detail")
	want := map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": float64(status), "code": c.Want.String()}
	if diff := cmp.Diff(want, members); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
}

// checkNoEcho: what a client wrote must not come back to it, or to whom it lured.
func checkNoEcho(t *testing.T, q Question, answer string) {
	t.Helper()
	inputs := []string{"canary", "<script>", "policy=nope", "XBearer", "dXNlcjpwYXNz"}
	for _, v := range q.Authorization {
		if len(v) > len("Bearer x") {
			inputs = append(inputs, v)
		}
	}
	for _, input := range inputs {
		if strings.Contains(answer, input) {
			t.Errorf("the answer repeats %q: %s", input, answer)
		}
	}
}

// checkRecords: log line and metric say what the answer says.
func checkRecords(t *testing.T, gate *Gate, adapter authz.Adapter, why reason.Reason) {
	t.Helper()
	lines := gate.Log.Lines(t)
	if len(lines) != 1 {
		t.Fatalf("%d log lines, want 1: %v", len(lines), lines)
	}
	want := map[string]any{
		"message": "check", "adapter": adapter.String(), "outcome": why.Outcome().String(), "reason": why.String(),
		"status": float64(statuses[adapter][why.Outcome()]),
	}
	for name, value := range want {
		if diff := cmp.Diff(value, lines[0][name]); diff != "" {
			t.Errorf("%s in the log line (-want +got):\n%s", name, diff)
		}
	}
	counted := map[string]float64{adapter.String() + " " + why.Outcome().String() + " " + why.String(): 1}
	if diff := cmp.Diff(counted, gate.Counted(t)); diff != "" {
		t.Errorf("metric (-want +got):\n%s", diff)
	}
}

// checkReport: a policy that only reports says what it would have done, in the line and in a metric of its own.
func checkReport(t *testing.T, gate *Gate, would reason.Reason) {
	t.Helper()
	line, want := gate.Log.Lines(t)[0], map[string]float64{}
	if would != reason.Undecided {
		want[would.Outcome().String()+" "+would.String()] = 1
		if line["would"] != would.String() {
			t.Errorf("the line of a report says %v, want %s", line["would"], would)
		}
	} else if _, says := line["would"]; says {
		t.Errorf("a line that is no report says %v", line["would"])
	}
	if diff := cmp.Diff(want, gate.counted(t, "devicegate_reported_checks_total")); diff != "" {
		t.Errorf("reports counted (-want +got):\n%s", diff)
	}
}

// checkSilent: no credential gets into the log, at its most talkative.
func checkSilent(t *testing.T, gate *Gate, q Question) {
	t.Helper()
	logged := gate.Log.String()
	for _, value := range q.Authorization {
		for _, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' || r == '.' }) {
			if len(part) > len("BearerX") && strings.Contains(logged, part) {
				t.Errorf("the log holds %s of the Authorization value", strconv.Quote(part))
			}
		}
	}
}
