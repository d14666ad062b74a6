package authz_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"devicegate/authz"
	"devicegate/authz/authztest"
	"devicegate/device"
	"devicegate/identity"
	"devicegate/journal"
	"devicegate/reason"
	"devicegate/token"
)

// asked answers what a test wants to see explained.
type asked struct {
	state     reason.Reason
	inspected token.Inspection
	foreseen  device.Foresight
}

func (a asked) Inspect(string) token.Inspection               { return a.inspected }
func (a asked) State() reason.Reason                          { return a.state }
func (a asked) Foresee(device.Use) device.Foresight           { return a.foreseen }
func (a asked) Verify(string) (token.Verified, reason.Reason) { panic("a check was asked for") }
func (a asked) Check(device.Use) (device.Subject, reason.Reason) {
	panic("a check was asked for")
}

var (
	at    = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	owner = uuid.MustParse("0190a5d2-7c31-7bb1-a9e0-1f2e3d4c5b6a")
)

// passing is somebody who passes.
func passing() asked {
	v := token.Verified{User: owner, Device: uuid.MustParse("5b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a"), Generation: 1, Expires: at.Add(time.Minute).Unix()}
	return asked{
		state:     reason.OK,
		inspected: token.Inspection{Verified: v, Finding: token.Finding{Reason: reason.OK, Signed: true}},
		foreseen: device.Foresight{
			Reason: reason.OK, Subject: device.Subject{User: owner, Device: v.Device, Name: "anna", Since: at.Add(-time.Hour)},
			Device: device.KnownDevice{Known: true, Owner: owner, Generation: 1, Created: at.Add(-time.Hour), Expires: at.Add(time.Hour)},
			User:   device.KnownUser{Known: true, Name: "anna"},
		},
	}
}

func (a asked) explained(config authz.Config, change func(*authz.Request)) authz.Explanation {
	if config.Policies == nil {
		config.Policies = map[string]authz.Policy{"default": {}}
	}
	config.AllowedPeers = authztest.Loopback
	gate := authz.New(config, a, a, journal.New(zerolog.Nop(), 1, prometheus.NewRegistry()), func() time.Time { return at })
	req := authz.Request{Adapter: authz.Nginx, Local: true, Complete: true, Policy: "default", Authorization: []string{"Bearer x"}, Host: "app.example"}
	change(&req)
	return gate.Explain(req, a, a)
}

func nothing(*authz.Request) {}

func failedStep(e authz.Explanation) (failed authz.Step) {
	for _, s := range e.Steps {
		if s.Result == authz.Failed {
			failed = s
		}
	}
	return failed
}

func TestExplainRecordsNothing(t *testing.T) {
	w := authztest.NewWorld(t)
	gate := w.Gate(authztest.Setup{})
	if e := gate.Explain(good(w)); e.Decision.Outcome() != reason.Allow || e.Status != 200 {
		t.Errorf("explained as %+v", e)
	}
	if counted := gate.Counted(t); len(counted) > 0 || gate.Log.String() != "" {
		t.Errorf("it was counted %v, and logged: %s", counted, gate.Log)
	}
}

// TestExplainNamesTheOneWhoRefused: whatever word comes from whom, nothing but OK of all of them passes.
func TestExplainNamesTheOneWhoRefused(t *testing.T) {
	for v := range 256 {
		why := reason.Reason(v)
		token, dev, state := passing(), passing(), passing()
		token.inspected.Reason = why
		dev.foreseen.Reason, state.state = why, why
		for name, a := range map[string]asked{"token": token, "device": dev, "ready": state} {
			e := a.explained(authz.Config{}, nothing)
			failed := failedStep(e)
			if e.Decision.Outcome() == reason.Allow != (why == reason.OK) {
				t.Errorf("%s says %v: explained as %v", name, why, e.Decision.Reason)
			}
			if name == "device" && why == reason.InactiveAccount {
				name = "user" // the device has not ended
			}
			if why.Outcome() != reason.Allow && (failed.Name != name || failed.Detail == "") {
				t.Errorf("%s says %v: the step %q failed: %q", name, why, failed.Name, failed.Detail)
			}
		}
	}
}

// TestExplainLooksBehindAReport: a policy that only reports lets pass, and the step that would have refused is named.
func TestExplainLooksBehindAReport(t *testing.T) {
	e := passing().explained(authz.Config{Policies: map[string]authz.Policy{"default": {RequireRoles: []string{"staff"}, Report: true}}}, nothing)
	if failed := failedStep(e); e.Decision.Reason != reason.Report || e.Judged() != reason.RoleMissing || failed.Name != "roles" || e.Status != 200 {
		t.Errorf("explained as %v, %d, and judged %v at %q", e.Decision.Reason, e.Status, e.Judged(), failed.Name)
	}
}

// TestNobodyPassesWithoutHisAssertion: whatever word comes from who makes them, nothing but OK passes.
func TestNobodyPassesWithoutHisAssertion(t *testing.T) {
	for v := range 256 {
		why := reason.Reason(v)
		e := passing().explained(authz.Config{Headers: authz.HeaderNames{Assertion: "A"}, Assertions: asserting{why: why}}, nothing)
		if got := e.Decision.Outcome() == reason.Allow; got != (why == reason.OK) || !got && len(e.Decision.Identity.Set) > 0 {
			t.Errorf("%v: it passes: %v, as %v", why, got, e.Decision.Identity)
		}
	}
}

// TestExplainTellsDevicesApart: one word of a refusal, and what it stands for.
func TestExplainTellsDevicesApart(t *testing.T) {
	foreign := &identity.Foreign{Issuer: "django", Owner: "django:7", Name: "\x1b[2Janna"}
	for _, c := range []struct {
		change func(*asked)
		step   string
		detail string
	}{
		{func(a *asked) { a.foreseen.Device = device.KnownDevice{} }, "device", "unknown: it ended long ago"},
		{func(a *asked) { a.foreseen.Device.Owner = uuid.New() }, "device", "it belongs to another user"},
		{func(a *asked) { a.foreseen.Device.Ended = device.PasswordChanged }, "device", "it ended: password_changed"},
		{func(a *asked) { a.foreseen.User = device.KnownUser{} }, "device", "its user was removed"},
		{func(a *asked) { a.foreseen.Device.Expires = at.Add(-3 * time.Hour) }, "device", "it expired 3h ago"},
		{func(a *asked) { a.foreseen.Device.Generation = 2 }, "device", "the token is of an earlier sign-in"},
		{func(a *asked) { a.foreseen.Ends = true }, "device", "its address changes"},
		{func(a *asked) { a.foreseen.Device, a.inspected.Verified.Foreign = device.KnownDevice{}, foreign }, "device", "unknown_device: refuse"},
		{func(a *asked) {
			full := *foreign
			full.Register = 20
			a.foreseen.Device, a.inspected.Verified.Foreign = device.KnownDevice{}, &full
		}, "device", "his max_devices in use"},
		{func(a *asked) { a.foreseen.NameTaken, a.inspected.Verified.Foreign = true, foreign }, "user", "a local user has the name"},
		{func(a *asked) { a.foreseen.Reason = reason.InactiveAccount }, "user", "anna is disabled"},
		{func(a *asked) {
			a.foreseen.Reason, a.foreseen.Device.Ended = reason.InactiveAccount, device.InactiveAccount
		}, "device", "it ended: inactive_account"},
	} {
		a := passing()
		a.foreseen.Reason, a.foreseen.Subject = reason.DeviceNotRecognized, device.Subject{}
		c.change(&a)
		if failed := failedStep(a.explained(authz.Config{}, nothing)); failed.Name != c.step || !strings.Contains(failed.Detail, c.detail) {
			t.Errorf("the step %q failed: %q, want %q: %q", failed.Name, failed.Detail, c.step, c.detail)
		} else if strings.Contains(failed.Detail+failed.Facts[0].Found, "\x1b") {
			t.Errorf("a terminal would obey %+v", failed)
		}
	}
}

// TestExplainTellsEffects: what a check would change, in words.
func TestExplainTellsEffects(t *testing.T) {
	away := authztest.Loopback[0].Addr()
	for want, change := range map[string]func(*device.Foresight){
		"":                                       func(*device.Foresight) {},
		"would register the device":              func(f *device.Foresight) { f.Registers = true },
		"would end the device " + owner.String(): func(f *device.Foresight) { f.GivesWay = owner },
		"would tell that the address":            func(f *device.Foresight) { f.MovedFrom = away },
		"would end the device, because":          func(f *device.Foresight) { f.MovedFrom, f.Ends = away, true },
	} {
		a := passing()
		change(&a.foreseen)
		if got := strings.Join(a.explained(authz.Config{}, nothing).Effects, "\n"); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("the effects are %q, want %q", got, want)
		}
	}
}

// asserting makes assertions, and says what it would come to: to none where the device names too many hosts.
type asserting struct {
	why  reason.Reason
	none bool
}

func (a asserting) Assert(token.Subject, string, time.Time) (string, reason.Reason) {
	return "a credential", reason.OK
}

func (a asserting) Foresee(token.Subject, string, time.Time) (bool, reason.Reason) {
	return a.why == reason.OK && !a.none, a.why
}

// TestExplainMakesNoAssertion: it is a credential, which nobody gets by asking why.
func TestExplainMakesNoAssertion(t *testing.T) {
	for why, want := range map[reason.Reason]authz.Result{reason.OK: authz.Passed, reason.KeysUnavailable: authz.Failed} {
		config := authz.Config{Headers: authz.HeaderNames{User: "U", Roles: "R", Device: "D", Assertion: "A"}, Assertions: asserting{why: why}}
		e := passing().explained(config, nothing)
		last := e.Steps[len(e.Steps)-1]
		if last.Name != "assertion" || last.Result != want || last.Detail == "" || e.Decision.Reason != why {
			t.Errorf("%v: the decision is %v, the last step %+v", why, e.Decision.Reason, last)
		}
		for _, h := range e.Decision.Identity.Set {
			if strings.Contains(h.Value, "credential") {
				t.Errorf("the assertion is handed out: %+v", h)
			}
		}
	}
	none := passing().explained(authz.Config{Headers: authz.HeaderNames{Assertion: "A"}, Assertions: asserting{why: reason.OK}}, func(r *authz.Request) { r.Host = "" })
	if last := none.Steps[len(none.Steps)-1]; last.Result != authz.NotDemanded {
		t.Errorf("without a host the last step is %+v", last)
	}
	crowded := passing().explained(authz.Config{Headers: authz.HeaderNames{Assertion: "A"}, Assertions: asserting{none: true, why: reason.OK}}, nothing)
	last := crowded.Steps[len(crowded.Steps)-1]
	if last.Result != authz.NotDemanded || !strings.Contains(last.Detail, "too many hosts") || !slices.Contains(crowded.Decision.Identity.Remove, "A") {
		t.Errorf("of a device with too many hosts the last step is %+v, and taken away is %q", last, crowded.Decision.Identity.Remove)
	}
}

func TestResultWords(t *testing.T) {
	for r, want := range map[authz.Result]string{
		authz.NotReached: "not_reached", authz.Passed: "passed", authz.Failed: "failed", authz.NotDemanded: "not_demanded", 200: "not_reached",
	} {
		if r.String() != want {
			t.Errorf("result %d is %q, want %q", r, r, want)
		}
	}
}
