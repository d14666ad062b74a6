package device_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/device"
)

const (
	day  = 24 * time.Hour
	ms   = time.Millisecond
	away = 400 * day // an age at which no delay counts
)

// The decision table. Each line is one case: who acts on whom, what the operator, the actor's rights and
// both ages say, and what comes of it. Where a line breaks several rules at once, the answer shows which
// is asked first: oneself, the switch, the actor's right, seniority, the target's delay, escalation.
//
//	switch  on, off            the operator allows the act at all
//	rights  D, U               what the actor may do to others (- neither)
//	actor, target              their ages; the target is the older one where its age is greater
//	change  n, +D, -D, +U, -U  a name, a right given or taken
func TestRules(t *testing.T) {
	const (
		senior = 24 * time.Hour // seniority_delay
		wait   = 2 * time.Hour  // delete_delay and update_delay
	)
	for _, c := range []struct {
		act, on, self, rights string
		actor, target         time.Duration
		change                string
		want                  string
	}{
		// act        switch target   rights actor        target     change   answer
		{"delete", "on", "other", "DU", away, wait, "", ""},
		{"delete", "on", "other", "D-", away, wait, "", ""},
		{"delete", "on", "other", "D-", senior, away, "", ""},
		{"delete", "on", "other", "D-", senior - ms, away, "", "device_too_new"},
		{"delete", "on", "other", "D-", 0, away, "", "device_too_new"},
		{"delete", "on", "other", "D-", senior - ms, wait, "", ""},
		{"delete", "on", "other", "D-", away, wait - ms, "", "device_session_too_recent"},
		{"delete", "on", "other", "D-", away, 0, "", "device_session_too_recent"},
		{"delete", "on", "other", "-U", away, wait, "", "device_lacks_delete_permission"},
		{"delete", "off", "other", "DU", away, wait, "", "device_deletion_disabled"},
		{"delete", "on", "self", "DU", away, away, "", "device_self_modification"},
		{"delete", "off", "self", "--", 0, 0, "", "device_self_modification"},          // oneself, before the switch
		{"delete", "off", "other", "--", 0, away, "", "device_deletion_disabled"},      // the switch, before the right
		{"delete", "on", "other", "--", 0, ms, "", "device_lacks_delete_permission"},   // the right, before seniority
		{"delete", "on", "other", "D-", ms, 2 * ms, "", "device_too_new"},              // seniority, before the delay
		{"delete", "on", "other", "D-", 2 * ms, ms, "", "device_session_too_recent"},   // the older one may, but for the delay
		{"delete", "off", "other", "DU", 0, 0, "", "device_deletion_disabled"},         // whatever else
		{"delete", "on", "other", "--", away, 0, "", "device_lacks_delete_permission"}, // the right, before the delay

		// With end_all each other device is decided alone, after what needs none of them.
		{"end_all", "on", "none", "D-", 0, 0, "", ""},
		{"end_all", "off", "none", "DU", away, 0, "", "device_deletion_disabled"},
		{"end_all", "on", "none", "-U", away, 0, "", "device_lacks_delete_permission"},
		{"end_all", "off", "none", "--", away, 0, "", "device_deletion_disabled"},
		{"end_all", "on", "other", "D-", senior - ms, away, "", "device_too_new"},
		{"end_all", "on", "other", "D-", away, wait - ms, "", "device_session_too_recent"},
		{"end_all", "on", "other", "D-", senior, away, "", ""},

		{"update", "on", "other", "DU", away, wait, "n", ""},
		{"update", "on", "other", "-U", senior, away, "n", ""},
		{"update", "on", "other", "-U", senior - ms, away, "n", "device_too_new"},
		{"update", "on", "other", "-U", senior - ms, wait, "n", ""},
		{"update", "on", "other", "-U", away, wait - ms, "n", "device_session_too_recent"},
		{"update", "on", "other", "D-", away, wait, "n", "device_lacks_edit_permission"},
		{"update", "off", "other", "DU", away, wait, "n", "device_editing_disabled"},
		{"update", "off", "other", "--", 0, away, "+D", "device_editing_disabled"},
		{"update", "on", "other", "--", 0, away, "+D", "device_lacks_edit_permission"},
		{"update", "on", "other", "-U", ms, 2 * ms, "+D", "device_too_new"},
		{"update", "on", "other", "-U", 2 * ms, ms, "+D", "device_session_too_recent"}, // the delay, before escalation
		{"update", "on", "other", "-U", away, wait, "+D", "device_permission_escalation"},
		{"update", "on", "other", "-U", away, wait, "+U+D", "device_permission_escalation"},
		{"update", "on", "other", "-U", away, wait, "n+D", "device_permission_escalation"},
		{"update", "on", "other", "-U", away, wait, "+U", ""},
		{"update", "on", "other", "DU", away, wait, "+U+D", ""},
		{"update", "on", "other", "-U", away, wait, "-D", ""}, // taking a right needs none
		{"update", "on", "other", "-U", away, wait, "-D-U", ""},
		{"update", "on", "other", "-U", away, wait, "", ""},

		// One's own name is always one's own to change, one's rights never.
		{"update", "off", "self", "--", 0, 0, "n", ""},
		{"update", "on", "self", "DU", away, away, "", ""},
		{"update", "on", "self", "DU", away, away, "+D", "device_self_modification"},
		{"update", "on", "self", "DU", away, away, "-D", "device_self_modification"},
		{"update", "off", "self", "--", 0, 0, "n-U", "device_self_modification"},
		{"update", "on", "none", "DU", away, 0, "n", "forbidden"},

		// Only seniority forbids a password change.
		{"password", "off", "none", "--", 0, 0, "", ""},
		{"password", "off", "other", "--", senior, away, "", ""},
		{"password", "off", "other", "--", senior - ms, away, "", "device_too_new"},
		{"password", "off", "other", "--", senior - ms, 0, "", ""},
		{"password", "off", "self", "--", 0, 0, "", ""},

		// What is no act is forbidden: a logout asks nobody, and nothing else may slip through.
		{"", "on", "other", "DU", away, away, "", "forbidden"},
		{"unknown", "on", "other", "DU", away, away, "", "forbidden"},
	} {
		rules := device.Rules{AllowDelete: c.on == "on", AllowUpdate: c.on == "on", DeleteDelay: wait, UpdateDelay: wait, SeniorityDelay: senior}
		now := newClock().Now()
		actor := aged(now, c.actor, 2)
		actor.CanDeleteOthers, actor.CanUpdateOthers = c.rights[0] == 'D', c.rights[1] == 'U'
		var target *device.Record
		switch c.self {
		case "self":
			target = &actor
		case "other":
			other := aged(now, c.target, 3)
			if c.target > c.actor {
				other.Ordinal = 1
			}
			target = &other
		}
		acts := map[string]device.Act{"delete": device.Delete, "update": device.Update, "end_all": device.EndAll, "password": device.ChangePassword, "unknown": 99}
		got := rules.May(acts[c.act], actor, target, change(c.change), now)
		if code(got) != c.want {
			t.Errorf("%+v: %q", c, code(got))
		}
	}
}

func aged(now time.Time, age time.Duration, ordinal uint64) device.Record {
	return device.Record{UID: uuid.New(), Ordinal: ordinal, CreatedAt: now.Add(-age)}
}

func change(s string) (c device.Change) {
	yes, no, name := true, false, "kitchen"
	if strings.Contains(s, "n") {
		c.Name = &name
	}
	for mark, right := range map[string]*bool{"+": &yes, "-": &no} {
		if strings.Contains(s, mark+"D") {
			c.CanDeleteOthers = right
		}
		if strings.Contains(s, mark+"U") {
			c.CanUpdateOthers = right
		}
	}
	return c
}

func code(err *device.RuleError) string {
	if err == nil {
		return ""
	}
	return err.Code
}

// Of two that signed in within one millisecond the one that was committed first is the older.
func TestSeniorityGoesByOrder(t *testing.T) {
	now := newClock().Now()
	rules := device.Rules{AllowDelete: true, SeniorityDelay: day}
	first, second := aged(now, 0, 1), aged(now, 0, 2)
	first.CanDeleteOthers, second.CanDeleteOthers = true, true
	if got := rules.May(device.Delete, first, &second, device.Change{}, now); got != nil {
		t.Errorf("the first on the second: %v", got)
	}
	if got := rules.May(device.Delete, second, &first, device.Change{}, now); code(got) != "device_too_new" {
		t.Errorf("the second on the first: %q", code(got))
	}
}

// The sentences are those that clients of the Django packages look for; Retry-After is there where waiting
// helps, and is what is left.
func TestRuleSentences(t *testing.T) {
	now := newClock().Now()
	self := aged(now, away, 1)
	old, young := aged(now, away, 1), aged(now, 3*time.Minute, 9)
	with := func(rights string, rec device.Record) device.Record {
		rec.CanDeleteOthers, rec.CanUpdateOthers = rights[0] == 'D', rights[1] == 'U'
		return rec
	}
	on := device.Rules{AllowDelete: true, AllowUpdate: true, DeleteDelay: day + 2*time.Hour, UpdateDelay: time.Hour, SeniorityDelay: day}
	for _, c := range []struct {
		rules  device.Rules
		act    device.Act
		actor  device.Record
		target device.Record
		change string
		detail string
		retry  time.Duration
	}{
		{on, device.Delete, self, self, "", "You cannot modify or delete your current device this way. Use the logout endpoint to revoke your own session.", 0},
		{device.Rules{}, device.Delete, old, young, "", "Device deletion is globally disabled by the system administrator.", 0},
		{device.Rules{}, device.Update, old, young, "n", "Device editing is globally disabled by the system administrator.", 0},
		{on, device.Delete, old, young, "", "Your current device does not have permission to delete other sessions. Please use a device with elevated privileges.", 0},
		{on, device.Update, old, young, "n", "Your current device does not have permission to modify other sessions. Use a device with the required privileges.", 0},
		{on, device.Delete, with("DU", old), young, "", "This session is too recent to be deleted. Try again after 1 day, 2 hours from creation.", day + 2*time.Hour - 3*time.Minute},
		{on, device.Update, with("DU", old), young, "n", "This session is too recent to be edited. Try again after 1 hour from creation.", 57 * time.Minute},
		{on, device.Update, with("-U", old), aged(now, day, 9), "+D", "You cannot grant permissions that your current device does not have.", 0},
		{on, device.Delete, with("DU", young), old, "", "This device signed in too recently to end or change an older one. Try again in 23 hours, 57 minutes, or use the older device.", day - 3*time.Minute},
	} {
		target := c.target
		got := c.rules.May(c.act, c.actor, &target, change(c.change), now)
		if got == nil || got.Detail != c.detail || got.RetryAfter != c.retry || got.Error() != got.Code {
			t.Errorf("got %+v\nwant %q after %v", got, c.detail, c.retry)
		}
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                        "0 minutes",
		59 * time.Second:         "0 minutes",
		time.Minute:              "1 minute",
		2 * time.Minute:          "2 minutes",
		time.Hour:                "1 hour",
		61 * time.Minute:         "1 hour, 1 minute",
		day:                      "1 day",
		7 * day:                  "1 week",
		14*day + day:             "2 weeks, 1 day",
		8*day + 65*time.Minute:   "1 week, 1 day, 1 hour, 5 minutes",
		3*day + 10*time.Second:   "3 days",
		-time.Hour:               "0 minutes",
		33*time.Hour + 25*60*1e9: "1 day, 9 hours, 25 minutes",
	} {
		if got := device.Words(d); got != want {
			t.Errorf("Words(%v) = %q, want %q", d, got, want)
		}
	}
}
