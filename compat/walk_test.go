package compat_test

import (
	"encoding/json"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"
)

// The same walk can be sent to a running Django project, as page and walk were once compared. That project
// has a user alice with the tests' password, and answers POST /_hook with {"advance": seconds} by making its
// devices and throttles that much older, and with {"disable": name}.
var django = flag.String("django", "", "send the walk to the Django project at this URL and demand what it answers")

// target is who answers the walk.
type target interface {
	send(request) response
	advance(time.Duration)
	disable(name string)
}

// answer is what a client looks for: status, code, a sentence, and members.
type answer struct {
	status  int
	code    string
	detail  string
	members string // separated by spaces; of the object, or of each one in the list
}

// step is one request of the walk, with what django-trusted-devices answers and what this service answers.
type step struct {
	name   string
	send   func(w *walk) request
	ours   answer
	theirs *answer // nil: the same
	keep   func(w *walk, r response)
}

// walk is the client and what it remembers.
type walk struct {
	target
	phone, laptop, tablet, last session
}

// refresh gets both first devices new access tokens, as a client does when the old one is refused.
func (w *walk) refresh(devices ...*session) {
	for _, d := range devices {
		next := sessionOf(w.send(refreshing(*d)))
		d.Access = next.Access
	}
}

const (
	deviceMembers = "device_uid name user_agent ip_address last_ip country region city last_seen created_at can_update_other_devices can_delete_other_devices is_current"
	rightMembers  = "name can_delete_other_devices can_update_other_devices"
	tooRecent     = "This session is too recent to be "
)

// TestWalk is a day of a client written for django-trusted-devices: its requests get the members, codes,
// sentences and statuses that it looks for, or those that the page names as different. The steps build on
// each other.
func TestWalk(t *testing.T) {
	w := &walk{}
	if *django != "" {
		w.target = startDjango(t, *django)
	} else {
		w.target = start(t)
	}
	for _, s := range slices.Concat(signInSteps(), rightSteps(), endSteps()) {
		t.Run(s.name, func(t *testing.T) {
			r := w.send(s.send(w))
			want := s.ours
			if *django != "" && s.theirs != nil {
				want = *s.theirs
			}
			want.compare(t, r)
			if s.keep != nil {
				s.keep(w, r)
			}
		})
	}
}

func (a answer) compare(t *testing.T, r response) {
	t.Helper()
	if r.status != a.status || r.code() != a.code || a.detail != "" && r.detail() != a.detail {
		t.Errorf("answered %d %s, want %d %q %q", r.status, r.body, a.status, a.code, a.detail)
	}
	if challenge := r.header.Get("WWW-Authenticate"); (r.status == 401) != strings.HasPrefix(challenge, "Bearer realm=") {
		t.Errorf("WWW-Authenticate = %q beside status %d", challenge, r.status)
	}
	if r.status == 204 && len(r.body) > 0 {
		t.Errorf("a 204 has the body %q", r.body)
	}
	objects := []map[string]any{}
	if err := json.Unmarshal(r.body, &objects); err != nil {
		one := map[string]any{}
		r.decode(&one)
		objects = append(objects, one)
	}
	for _, o := range objects {
		for _, name := range strings.Fields(a.members) {
			if _, there := o[name]; !there {
				t.Errorf("the member %s is missing in %v", name, o)
			}
		}
	}
}

func signInSteps() []step {
	tokens := "access refresh device_uid"
	return []step{
		{name: "sign in", send: func(*walk) request { return signingIn("alice") }, ours: answer{status: 200, members: tokens},
			keep: func(w *walk, r response) { w.phone = sessionOf(r) }},
		{name: "sign in on a second device", send: func(*walk) request { return signingIn("alice") }, ours: answer{status: 200, members: tokens},
			keep: func(w *walk, r response) { w.laptop = sessionOf(r) }},
		{name: "sign in with a wrong password",
			send: func(*walk) request {
				return request{method: "POST", path: "/api/token", body: `{"username":"alice","password":"x"}`}
			},
			ours:   answer{status: 401, code: "no_active_account", detail: "No active account found with the given credentials."},
			theirs: &answer{status: 401, code: "authentication_failed", detail: "No active account found with the given credentials"}},
		{name: "sign in without a password",
			send: func(*walk) request { return request{method: "POST", path: "/api/token", body: `{"username":"alice"}`} },
			ours: answer{status: 400, code: "invalid", members: "errors"}, theirs: &answer{status: 400, code: "invalid", members: "password"}},
		{name: "no token", send: func(*walk) request { return listing(session{}) }, ours: answer{status: 401, code: "not_authenticated"}},
		{name: "a token that is none", send: func(*walk) request { return listing(session{Access: "x.y.z"}) }, ours: answer{status: 401, code: "token_not_valid"}},
		{name: "list", send: func(w *walk) request { return listing(w.phone) }, ours: answer{status: 200, members: deviceMembers}},
		{name: "refresh", send: func(w *walk) request { return refreshing(w.phone) },
			ours: answer{status: 200, members: "access refresh device_uid"}, theirs: &answer{status: 200, members: "access"},
			keep: func(w *walk, r response) { w.phone.Access = sessionOf(r).Access }},
		{name: "refresh with a token that is none", send: func(*walk) request { return refreshing(session{Refresh: "x"}) },
			ours: answer{status: 401, code: "token_not_valid"}},
		{name: "verify an access token", send: func(w *walk) request { return verifying(w.phone.Access) }, ours: answer{status: 200}},
		{name: "verify a refresh token", send: func(w *walk) request { return verifying(w.phone.Refresh) }, ours: answer{status: 200}},
		{name: "verify a token that is none", send: func(*walk) request { return verifying("x") }, ours: answer{status: 401, code: "token_not_valid"}},
	}
}

func rightSteps() []step {
	return []step{
		{name: "delete oneself", send: func(w *walk) request { return on("DELETE", w.phone, w.phone, "") },
			ours: answer{status: 403, code: "device_self_modification",
				detail: "You cannot modify or delete your current device this way. Use the logout endpoint to revoke your own session."}},
		{name: "change one's own rights", send: func(w *walk) request { return on("PATCH", w.phone, w.phone, `{"can_delete_other_devices":false}`) },
			ours: answer{status: 403, code: "device_self_modification"}},
		{name: "name oneself", send: func(w *walk) request { return on("PATCH", w.phone, w.phone, `{"name":"My phone"}`) },
			ours: answer{status: 200, members: rightMembers}, theirs: &answer{status: 403, code: "device_self_modification"}},
		{name: "change a device that is too recent", send: func(w *walk) request { return on("PATCH", w.phone, w.laptop, `{"name":"x"}`) },
			ours: answer{status: 403, code: "device_session_too_recent", detail: tooRecent + "edited. Try again after 1 hour from creation."}},
		{name: "delete a device that is too recent", send: func(w *walk) request { return on("DELETE", w.phone, w.laptop, "") },
			ours: answer{status: 403, code: "device_session_too_recent", detail: tooRecent + "deleted. Try again after 1 day from creation."}},
		{name: "PATCH", send: func(w *walk) request {
			w.advance(time.Hour)
			w.refresh(&w.phone, &w.laptop)
			return on("PATCH", w.phone, w.laptop, `{"name":"Laptop","can_delete_other_devices":false,"is_current":true}`)
		}, ours: answer{status: 200, members: rightMembers}},
		{name: "PUT", send: func(w *walk) request { return on("PUT", w.phone, w.laptop, `{"name":"Laptop"}`) },
			ours: answer{status: 405, code: "method_not_allowed"}, theirs: &answer{status: 200, members: rightMembers}},
		{name: "GET one device", send: func(w *walk) request { return on("GET", w.phone, w.laptop, "") },
			ours: answer{status: 200, members: deviceMembers}, theirs: &answer{status: 405, code: "method_not_allowed"}},
		{name: "POST to the list", send: func(w *walk) request {
			return request{method: "POST", path: "/trusted-devices", token: w.phone.Access}
		}, ours: answer{status: 405, code: "method_not_allowed"}},
		{name: "a trailing slash", send: func(w *walk) request {
			return request{method: "GET", path: "/trusted-devices/", token: w.phone.Access}
		}, ours: answer{status: 200, members: deviceMembers}, theirs: &answer{status: 404}},
		{name: "delete without the right", send: func(w *walk) request { return on("DELETE", w.laptop, w.phone, "") },
			ours: answer{status: 403, code: "device_lacks_delete_permission",
				detail: "Your current device does not have permission to delete other sessions. Please use a device with elevated privileges."}},
		{name: "give a right that one lacks", send: func(w *walk) request { return on("PATCH", w.laptop, w.phone, `{"can_delete_other_devices":true}`) },
			ours: answer{status: 403, code: "device_permission_escalation",
				detail: "You cannot grant permissions that your current device does not have."}},
		{name: "take a right that one lacks", send: func(w *walk) request { return on("PATCH", w.laptop, w.phone, `{"can_update_other_devices":false}`) },
			ours: answer{status: 200, members: rightMembers}},
		{name: "change without the right", send: func(w *walk) request { return on("PATCH", w.phone, w.laptop, `{"name":"x"}`) },
			ours: answer{status: 403, code: "device_lacks_edit_permission",
				detail: "Your current device does not have permission to modify other sessions. Use a device with the required privileges."}},
		{name: "a name that is too long", send: func(w *walk) request {
			return on("PATCH", w.laptop, w.phone, `{"name":"`+strings.Repeat("x", 256)+`"}`)
		}, ours: answer{status: 400, code: "invalid", members: "errors"}, theirs: &answer{status: 400, code: "invalid", members: "name"}},
		{name: "a member that nobody knows", send: func(w *walk) request { return on("PATCH", w.laptop, w.phone, `{"nickname":"x"}`) },
			ours: answer{status: 400, code: "invalid", members: "errors"}, theirs: &answer{status: 200}},
		{name: "a device that is not there", send: func(w *walk) request {
			return on("DELETE", w.phone, session{UID: "6f0e0d5e-0000-4000-8000-000000000000"}, "")
		}, ours: answer{status: 404, code: "not_found"}, theirs: &answer{status: 404}},
		{name: "a device_uid that is none", send: func(w *walk) request { return on("DELETE", w.phone, session{UID: "x"}, "") },
			ours: answer{status: 404, code: "not_found"}, theirs: &answer{status: 404}},
	}
}

func endSteps() []step {
	gone := answer{status: 401, code: "device_not_recognized", detail: "This session device is no longer valid."}
	compromised := answer{status: 401, code: "device_compromised"}
	theirCompromised := answer{status: 401, code: "device_compromised",
		detail: "Concurrent session use detected from a different IP. This session has been invalidated. Please log in again."}
	return []step{
		{name: "DELETE", send: func(w *walk) request {
			w.advance(23 * time.Hour)
			w.refresh(&w.phone, &w.laptop)
			return on("DELETE", w.phone, w.laptop, "")
		}, ours: answer{status: 204}},
		{name: "a request of a deleted device", send: func(w *walk) request { return listing(w.laptop) }, ours: gone},
		{name: "a refresh of a deleted device", send: func(w *walk) request { return refreshing(w.laptop) }, ours: gone},
		{name: "a verify of a deleted device", send: func(w *walk) request { return verifying(w.laptop.Access) }, ours: gone},
		{name: "sign in on a third device", send: func(*walk) request { return signingIn("alice") },
			ours: answer{status: 200}, keep: func(w *walk, r response) { w.tablet = sessionOf(r) }},
		{name: "revoke-all", send: func(w *walk) request {
			w.advance(24 * time.Hour)
			w.refresh(&w.phone, &w.tablet)
			return revokingAll(w.phone)
		}, ours: answer{status: 200, members: "revoked_count kept_count"}, theirs: &answer{status: 204}},
		{name: "a request of a device that revoke-all ended", send: func(w *walk) request { return listing(w.tablet) }, ours: gone},
		{name: "a request from another address", send: func(w *walk) request {
			q := listing(w.phone)
			q.from = cafe
			return q
		}, ours: compromised, theirs: &theirCompromised},
		{name: "a request after that", send: func(w *walk) request { return listing(w.phone) }, ours: compromised, theirs: &gone},
		{name: "sign in after that", send: func(*walk) request { return signingIn("alice") },
			ours: answer{status: 200}, keep: func(w *walk, r response) { w.last = sessionOf(r) }},
		{name: "logout", send: func(w *walk) request { return loggingOut(w.last) }, ours: answer{status: 204}},
		{name: "a request after the logout", send: func(w *walk) request { return listing(w.last) }, ours: gone},
		{name: "sign in once more", send: func(*walk) request { return signingIn("alice") },
			ours: answer{status: 200}, keep: func(w *walk, r response) { w.last = sessionOf(r) }},
		{name: "a request of a disabled user", send: func(w *walk) request { w.disable("alice"); return listing(w.last) },
			ours: answer{status: 401, code: "inactive_account", detail: "User account is inactive."}, theirs: &answer{status: 401, code: "user_inactive"}},
		{name: "a refresh of a disabled user", send: func(w *walk) request { return refreshing(w.last) },
			ours: answer{status: 401, code: "inactive_account", detail: "User account is inactive."}},
		{name: "a verify of a disabled user", send: func(w *walk) request { return verifying(w.last.Access) },
			ours: answer{status: 401, code: "inactive_account"}, theirs: &answer{status: 200}},
		{name: "sign in as a disabled user", send: func(*walk) request { return signingIn("alice") },
			ours: answer{status: 401, code: "no_active_account"}, theirs: &answer{status: 401, code: "authentication_failed"}},
	}
}
