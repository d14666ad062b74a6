package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/config"
	"devicegate/db"
	"devicegate/token/foreign"
)

// cast is a user with three devices and an admin, in whose roles the examples of the page are played.
type cast struct {
	*gate
	op                  string
	remote              bool // the administration is asked over admin.address
	name, id            string
	older, own, younger tokens
	admin               tokens
	lockout             string // of name
	caller              tokens // own, but where only the oldest device may call, or the admin
	callerID            string
	reset               string
	address             string // of nobody else
	detail              string // of the error that is to be produced
	fresh               string // a device that nobody knows
}

func newCast(g *gate, p part, n int) *cast {
	c := &cast{gate: g, op: p.id, remote: p.entrance == overAddress, name: fmt.Sprint("user ", n), address: fmt.Sprintf("203.0.%d.%d", 113+n/256, n%256), fresh: uuid.NewString()}
	c.id = g.addUser(c.name)
	c.older, c.own, c.younger = g.signIn(c.name), g.signIn(c.name), g.signIn(c.name)
	c.caller, c.callerID = c.own, c.id
	switch c.op {
	case "changePassword":
		c.caller = c.older
	case "resetPassword":
		c.reset = c.startReset(c.id).Token
	case "listLockouts", "clearLockout":
		for range 5 {
			g.want(401, signInOf(c.name, "not the password"))
		}
		c.lockout = g.lockouts("?user=" + url.QueryEscape(c.name))[0].ID
	}
	if c.remote {
		c.callerID = g.addAdmin("admin of " + c.name)
		c.admin = g.signIn("admin of " + c.name)
		g.signIn("admin of " + c.name) // so that a limit puts the other out
		c.caller = c.admin
	}
	return c
}

// call makes the request of an example: what changes from one time to the next comes from the cast.
func (c *cast) call(p part, example any) call {
	path := strings.NewReplacer("/admin/lockouts/{id}", "/admin/lockouts/"+c.lockout, "{device_uid}", c.younger.UID, "{id}", c.id).Replace(p.path)
	made := call{method: p.method, path: path, remote: c.remote}
	if p.guarded || c.remote {
		made.token = c.caller.Access
	}
	if c.op == "registerDevice" {
		made.path = "/admin/devices/" + c.fresh
	}
	if members, ok := example.(map[string]any); ok {
		made.body = c.with(members)
	}
	return made
}

func (c *cast) with(example map[string]any) string {
	members := maps.Clone(example)
	for name, value := range map[string]string{"username": c.name, "refresh": c.caller.Refresh, "reset_token": c.reset, "cursor": c.id} {
		if members[name] != nil {
			members[name] = value
		}
	}
	if token, ok := members["token"].(string); ok {
		members["token"] = c.caller.Access
		if strings.HasPrefix(token, "dgr_") {
			members["token"] = c.caller.Refresh
		}
	}
	if c.op == "createUser" {
		members["name"] = c.name + " the second"
	}
	if members["user_id"] != nil {
		members["user_id"] = c.id // of the issuer as well
	}
	if members["device"] != nil {
		members["device"] = c.fresh
	}
	b, _ := json.Marshal(members) // as it was read
	return string(b)
}

// inError is the request example that errors are tried with.
var inError = map[string]string{
	"signIn": "new_device", "verifyToken": "refresh", "updateDevice": "rights", "updateUser": "password",
	"createUser": "own_password", "sweepDevices": "count", "updateUserDevice": "rights", "rotateKeys": "stolen_key",
	"registerDevice": "django", "registerDeviceByClaim": "sid", "explain": "nginx",
}

// gates are the services that the examples need, by what is configured. All but one stand still, for the
// sentences that name seconds.
func gates(t *testing.T) map[string]*gate {
	all := map[string]*gate{
		"": start(t, withIssuers(t), func(c *config.Config) {
			c.Devices.MaxDevicesByRole, c.Devices.OnLimit = map[string]int{"one": 1}, config.RefuseSignIn
		}),
		"few devices":  start(t, withIssuers(t), func(c *config.Config) { c.Devices.HardLimit = 3 }),
		"switches off": start(t, func(c *config.Config) { c.Devices.AllowDelete, c.Devices.AllowUpdate = false, false }),
		"delays": start(t, func(c *config.Config) {
			c.Devices.DeleteDelay, c.Devices.UpdateDelay = 24*time.Hour, 24*time.Hour
		}),
		"stopped":    start(t),
		"few a time": start(t, func(c *config.Config) { c.API.SignInRate = config.Default().API.SignInRate }),
	}
	all["keys in a file"] = start(t, func(c *config.Config) { c.Tokens.SigningKeyFile = writeKey(t) })
	all["stopped"].clock.stop()
	all["few a time"].clock.stop()
	return all
}

var gateFor = map[string]string{
	"device_deletion_disabled": "switches off", "device_editing_disabled": "switches off", "device_session_too_recent": "delays",
	"locked": "stopped", "throttled": "few a time",
}

// The ways to the administration.
const (
	overSocket  = "the admin socket"
	overAddress = "admin.address"
)

// part is an operation of the page, asked in one way.
type part struct {
	op               any
	id, method, path string
	guarded          bool   // every caller needs a token
	entrance         string // of the administration
}

func parts(p *page) (all []part) {
	for _, name := range p.operations() {
		method, path, _ := strings.Cut(name, " ")
		op := p.operation(method, path)
		one := part{op: op, id: p.member(op, "operationId").(string), method: method, path: path, guarded: p.member(op, "security") == nil}
		if !strings.HasPrefix(path, "/admin/") {
			all = append(all, one)
			continue
		}
		for _, one.entrance = range []string{overSocket, overAddress} {
			all = append(all, one)
		}
	}
	return all
}

// produced says whether an error can occur: of the socket's callers nobody asks who they are, and it reads
// the store also while the service starts.
func (p part) produced(example any, code string) bool {
	if (p.id == "listKeys" || p.id == "explain") && code == "store_unavailable" {
		return false // it is all in memory, and what is not is left out
	}
	status := fmt.Sprint(example.(map[string]any)["status"])
	lastAdmin := code == "conflict" && p.id != "createUser" && p.id != "rotateKeys" && !p.registers()
	if code == "max_devices" && p.registers() {
		return true
	}
	return p.entrance != overSocket || status != "401" && status != "403" && !lastAdmin && (code != "starting" || p.id == "findDevice")
}

// registers says whether it lets in a device of another issuer.
func (p part) registers() bool { return p.id == "registerDevice" || p.id == "registerDeviceByClaim" }

// TestExamples sends every request of the page, and produces every error that the page names, and holds
// the answers against the page's own. Calls of the administration are played over the socket and over the
// address.
func TestExamples(t *testing.T) {
	p, gates, n := readPage(t), gates(t), 0
	for _, part := range parts(p) {
		requests := p.examples(p.member(part.op, "requestBody", "content", "application/json"))
		if p.member(part.op, "requestBody") != nil && len(requests) == 0 {
			t.Errorf("%s has no example of a request", part.id)
		}
		if len(requests) == 0 {
			requests[""] = nil
		}
		for which, request := range requests {
			n++
			c := newCast(gates[""], part, n)
			c.compareSuccess(part.op, which, c.do(c.call(part, request)))
		}
		for status, response := range p.member(part.op, "responses").(map[string]any) {
			if status < "400" {
				continue
			}
			errors := p.examples(p.member(response, "content", "application/problem+json"))
			if len(errors) == 0 {
				t.Errorf("%s names %s without an example", part.id, status)
			}
			for _, example := range errors {
				code := p.member(example, "code").(string)
				if !part.produced(example, code) {
					continue
				}
				n++
				produce := producers[code]
				if produce == nil {
					t.Errorf("nothing here produces %s %s", part.id, code)
					continue
				}
				which := gateFor[code]
				if part.id == "rotateKeys" && code == "conflict" {
					which = "keys in a file"
				}
				if code == "max_devices" && part.registers() {
					which = "few devices"
				}
				c := newCast(gates[which], part, n)
				c.detail = c.page.member(example, "detail").(string)
				c.compareError(example, produce(c, c.call(part, requests[inError[part.id]])))
			}
		}
	}
}

func (c *cast) compareError(example any, a answer) {
	c.t.Helper()
	if diff := cmp.Diff(example, decoded[any](a)); diff != "" {
		c.t.Errorf("%s answered %d, and not the example (-page +answer):\n%s", c.op, a.status, diff)
	}
}

func (c *cast) compareSuccess(op any, which string, a answer) {
	c.t.Helper()
	content := c.page.member(op, "responses", fmt.Sprint(a.status), "content", "application/json")
	examples := c.page.examples(content)
	example, named := examples[which]
	if !named {
		example = examples[""]
	}
	switch {
	case a.status >= 300:
		c.t.Errorf("%s: the example %s is answered with %d %s", c.op, which, a.status, a.body)
	case content == nil || c.op == "openapi": // 204; and the page is no example of itself
	case example == nil:
		c.t.Errorf("%s: the answer to the example %s has none", c.op, which)
	default:
		for _, fault := range unlike(example, decoded[any](a), "body") {
			c.t.Errorf("%s, example %s: %s; answered %s", c.op, which, fault, a.body)
		}
		if strings.Contains(string(a.body), `"results":[]`) || string(a.body) == "[]\n" {
			c.t.Errorf("%s: the example %s is answered with an empty list, which shows nothing", c.op, which)
		}
	}
}

// unlike says where an answer has other members, or members of other types, than an example. Null fits
// anything that the schema lets be null, which is tested on every answer.
func unlike(example, got any, at string) (faults []string) {
	want, have := typeOf(example), typeOf(got)
	if want != have && want != "null" && have != "null" {
		return []string{fmt.Sprintf("%s is of type %s, in the page %s", at, have, want)}
	}
	switch example := example.(type) {
	case []any:
		if list, _ := got.([]any); len(list) > 0 && len(example) > 0 {
			return unlike(example[0], list[0], at+"/0")
		}
	case map[string]any:
		members, _ := got.(map[string]any)
		if a, b := slices.Sorted(maps.Keys(example)), slices.Sorted(maps.Keys(members)); !slices.Equal(a, b) {
			return []string{fmt.Sprintf("%s has the members %v, in the page %v", at, b, a)}
		}
		for name := range example {
			faults = append(faults, unlike(example[name], members[name], at+"/"+name)...)
		}
	}
	return faults
}

// producers make a call fail, each with one code.
var producers = map[string]func(*cast, call) answer{
	"parse_error":            func(c *cast, in call) answer { in.body = "{"; return c.do(in) },
	"invalid":                func(c *cast, in call) answer { return c.do(c.spoiled(in)) },
	"too_large":              func(c *cast, in call) answer { in.body = strings.Repeat(" ", MaxBody+1); return c.do(in) },
	"unsupported_media_type": func(c *cast, in call) answer { in.body, in.header = "x", plainText; return c.do(in) },

	"no_active_account": func(c *cast, _ call) answer { return c.do(signInOf(c.name, "not the password")) },
	"not_authenticated": func(c *cast, in call) answer { in.token = ""; return c.do(in) },
	"token_not_valid": func(c *cast, in call) answer {
		if in.token != "" {
			in.token = "x"
		} else {
			in.body = strings.NewReplacer(c.caller.Refresh, "dgr_x", "dgp_", "x").Replace(in.body)
		}
		return c.do(in)
	},
	"device_not_recognized": func(c *cast, in call) answer { c.want(204, revoking(c.caller.Refresh)); return c.do(in) },
	"device_replaced":       func(c *cast, in call) answer { c.setUser(`{"roles":["one"]}`); return c.do(in) },
	"device_compromised": func(c *cast, in call) answer {
		next := decoded[tokens](c.want(200, refreshing(c.caller.Refresh)))
		c.want(200, refreshing(next.Refresh))
		c.do(refreshing(c.caller.Refresh))
		return c.do(in)
	},
	"inactive_account": func(c *cast, in call) answer { c.setUser(`{"disabled":true}`); return c.do(in) },

	"max_devices": func(c *cast, in call) answer {
		if which := c.registering(in); which != nil {
			for range 3 {
				c.want(200, which())
			}
			return c.do(in)
		}
		c.setUser(`{"roles":["one"]}`)
		return c.do(in)
	},
	"device_self_modification": func(c *cast, in call) answer {
		in.path = "/trusted-devices/" + c.own.UID
		return c.do(in)
	},
	"device_deletion_disabled":       func(c *cast, in call) answer { return c.do(in) },
	"device_editing_disabled":        func(c *cast, in call) answer { return c.do(in) },
	"device_session_too_recent":      func(c *cast, in call) answer { return c.do(in) },
	"device_lacks_delete_permission": func(c *cast, in call) answer { c.takeRight("delete"); return c.do(in) },
	"device_lacks_edit_permission":   func(c *cast, in call) answer { c.takeRight("update"); return c.do(in) },
	"device_permission_escalation": func(c *cast, in call) answer {
		c.takeRight("delete")
		in.body = `{"can_delete_other_devices":true}`
		return c.do(in)
	},
	"device_too_new": func(c *cast, in call) answer {
		in.token = c.own.Access
		in.path = strings.Replace(in.path, c.younger.UID, c.older.UID, 1)
		return c.do(in)
	},

	"not_found": func(c *cast, in call) answer {
		if c.op == "listActivity" {
			in.path += "?user=nobody"
		}
		if c.op == "registerDevice" {
			in.path = "/admin/devices/x"
		}
		in.path = strings.NewReplacer(c.younger.UID, nowhere, c.id, nowhere, "lockouts/"+c.lockout, "lockouts/"+nowhere).Replace(in.path)
		return c.do(in)
	},
	"conflict": func(c *cast, in call) answer {
		if c.op == "rotateKeys" {
			return c.do(in)
		}
		if c.registering(in) != nil {
			return c.contested(in)
		}
		if c.op == "createUser" {
			c.want(201, in)
			return c.do(in)
		}
		alone := start(c.t)
		id := alone.addAdmin("the last one")
		in.path, in.token = "/admin/users/"+id, alone.signIn("the last one").Access
		if in.body != "" {
			in.body = `{"disabled":true}`
		}
		return alone.do(in)
	},
	"role_missing": func(c *cast, in call) answer { in.token = c.own.Access; return c.do(in) },
	"locked": func(c *cast, in call) answer {
		for range 5 {
			wrong := in
			wrong.body = strings.Replace(in.body, secret, "not the password", 1)
			if a := c.do(wrong); a.status == 429 {
				c.t.Errorf("%s is locked too early", c.op)
			}
		}
		return c.do(in)
	},
	"throttled": func(c *cast, in call) answer {
		in = from(c.address, in)
		for range 10 {
			wrong := in
			wrong.body = strings.Replace(in.body, secret, "not the password", 1)
			c.do(wrong)
		}
		return c.do(in)
	},

	"store_unavailable": func(c *cast, in call) answer {
		c.reads.failWith(func() error { return db.ErrUnavailable })
		c.commit.FailCommits(db.ErrUnavailable, false)
		defer func() { c.reads.failWith(nil); c.commit.FailCommits(nil, false) }()
		return c.do(in)
	},
	"starting": func(c *cast, in call) answer { return openOn(c.t, c.gate).do(in) },
	"busy": func(c *cast, in call) answer {
		c.hasher.Err = db.ErrUnavailable // whatever it is: no hash can be had
		defer func() { c.hasher.Err = nil }()
		return c.do(in)
	},
}

var plainText = map[string][]string{"Content-Type": {"text/plain"}}

const nowhere = "00000000-0000-4000-8000-000000000000"

// spoiled returns the call with what the example of "invalid" is about.
func (c *cast) spoiled(in call) call {
	body := map[string]string{
		"signIn": object("username", c.name), "refreshToken": "{}", "verifyToken": "{}", "revokeToken": `{"refresh":1}`,
		"changePassword": object("current_password", "not the password", "new_password", secret2),
		"resetPassword":  object("new_password", secret2), "updateDevice": object("name", strings.Repeat("x", 256)),
		"createUser": "{}", "updateUser": `{"disabled":1}`, "sweepDevices": `{"older_than_seconds":3153600001}`,
		"registerDevice": object("issuer", "nobody", "user_id", "7"), "registerDeviceByClaim": object("issuer", "nobody", "user_id", "7", "device", "x"),
		"updateUserDevice": `{"can_update_other_devices":1}`, "rotateKeys": `{"retire_now":1}`, "explain": object("client_ip", "home"),
	}
	switch known := body[c.op]; {
	case slices.Contains([]string{"listUsers", "listOwnActivity", "listActivity", "listAllDevices", "listLockouts"}, c.op):
		in.path += "?limit=0"
	case known != "":
		in.body = known
	default:
		in.body = "[]"
	}
	return in
}

// contested makes a registration conflict as the detail says.
func (c *cast) contested(in call) answer {
	c.t.Helper()
	sent := decoded[map[string]any](answer{body: []byte(in.body)})
	issuer, owner := sent["issuer"].(string), foreign.Owner(sent["issuer"].(string), c.id)
	switch {
	case strings.Contains(c.detail, "another user"):
		made := call{method: "PUT", path: "/admin/devices/" + c.fresh, body: object("issuer", issuer, "user_id", "another")}
		c.want(200, made)
	case strings.Contains(c.detail, "local user"):
		c.addUser(owner)
	default:
		c.want(200, in)
		c.want(204, endingOf(foreign.UserID(owner).String(), c.fresh))
	}
	return c.do(in)
}

func (c *cast) setUser(change string) {
	c.t.Helper()
	c.gate.setUser(c.callerID, change)
}

// takeRight takes a right of the calling device, by the older one.
func (c *cast) takeRight(which string) {
	c.t.Helper()
	c.want(200, call{method: "PATCH", path: "/trusted-devices/" + c.own.UID, token: c.older.Access,
		body: object("can_"+which+"_other_devices", false)})
}
