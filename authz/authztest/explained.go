package authztest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"devicegate/authz"
	"devicegate/reason"
)

// steps are the words of the contract's one order, written out once more.
var steps = []string{
	"peer", "request", "policy", "ready", "authorization", "token", "device", "user", "roles", "device_age", "network", "country",
	"assertion",
}

// unsigned returns a decision without the text of its assertion: what is explained hands none out.
func unsigned(d authz.Decision) authz.Decision {
	d.Identity.Set = slices.Clone(d.Identity.Set)
	for i := range d.Identity.Set {
		if d.Identity.Set[i].Name == assertionHeader {
			d.Identity.Set[i].Value = ""
		}
	}
	return d
}

// stepOf says which step of a row fails; "" for none.
func stepOf(c Case) string {
	why := judged(c)
	switch why {
	case reason.PeerNotAllowed:
		return "peer"
	case reason.RequestIncomplete:
		return "request"
	case reason.PolicyUnknown:
		return "policy"
	case reason.Starting, reason.StoreUnavailable, reason.KeysUnavailable:
		if c.Setup.Unsigned {
			return "assertion"
		}
		return "ready"
	case reason.NoToken, reason.BadAuthorization:
		return "authorization"
	case reason.DeviceNotRecognized, reason.DeviceReplaced, reason.DeviceCompromised, reason.InactiveAccount:
		return "device"
	case reason.RoleMissing:
		return "roles"
	case reason.DeviceTooNew, reason.DeviceTooOld:
		return "device_age"
	case reason.NetworkNotAllowed:
		return "network"
	case reason.CountryNotAllowed:
		return "country"
	}
	if strings.HasPrefix(why.String(), "token_") {
		return "token"
	}
	return ""
}

// checkExplained: what was said before the check is what the check did, at the step that the contract's order names.
func checkExplained(t *testing.T, gate *Gate, adapter authz.Adapter, c Case) {
	t.Helper()
	gate.mu.Lock()
	defer gate.mu.Unlock()
	if len(gate.explained) != 1 {
		t.Fatalf("%d checks were explained, want 1", len(gate.explained))
	}
	said, done := gate.explained[0].said, gate.explained[0].done
	if diff := cmp.Diff(unsigned(done), unsigned(said.Decision), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("explain says another thing than the check did (-did +said):\n%s", diff)
	}
	if want := statuses[adapter][c.Want.Outcome()]; said.Status != want || said.Judged() != judged(c) {
		t.Errorf("explain says %d and %s, want %d and %s", said.Status, said.Judged(), want, judged(c))
	}
	var names []string
	failed := ""
	for _, s := range said.Steps {
		names = append(names, s.Name)
		switch {
		case failed != "" && s.Result != authz.NotReached:
			t.Errorf("the step %s is %s after %s failed", s.Name, s.Result, failed)
		case failed == "" && s.Result == authz.NotReached:
			t.Errorf("the step %s was not reached, and none before it failed", s.Name)
		case s.Result == authz.Failed:
			failed = s.Name
		}
		if (s.Detail == "") != (s.Result == authz.NotReached) {
			t.Errorf("the step %s is %s and says %q", s.Name, s.Result, s.Detail)
		}
	}
	if diff := cmp.Diff(steps, names); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if failed != stepOf(c) {
		t.Errorf("the step %q failed, want %q", failed, stepOf(c))
	}
}

func judged(c Case) reason.Reason {
	if c.Want == reason.Report {
		return c.Would
	}
	return c.Want
}
