package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/api"
	"devicegate/config"
	"devicegate/db"
)

func explaining(pairs ...any) call {
	return call{method: "POST", path: "/admin/explain", body: object(pairs...)}
}

func (g *gate) explain(pairs ...any) api.Explanation {
	g.t.Helper()
	return decoded[api.Explanation](g.want(200, explaining(pairs...)))
}

// failed returns the step that failed; the zero step where none did.
func failed(e api.Explanation) api.ExplainedStep {
	for _, s := range e.Steps {
		if s.Result == "failed" {
			return s
		}
	}
	return api.ExplainedStep{}
}

func step(e api.Explanation, name string) api.ExplainedStep {
	i := slices.IndexFunc(e.Steps, func(s api.ExplainedStep) bool { return string(s.Step) == name })
	return e.Steps[i]
}

// fact returns the first fact of a name, in any step.
func fact(e api.Explanation, name string) api.ExplainedFact {
	for _, s := range e.Steps {
		for _, f := range s.Facts {
			if f.Name == name {
				return f
			}
		}
	}
	return api.ExplainedFact{}
}

// traces are all that a check leaves: what is in the store, the metrics, the log, and when and from where devices
// were last seen.
func (g *gate) traces() map[string]string {
	g.t.Helper()
	all, _, err := g.commit.Range(g.t.Context(), "", "\xff", 100_000)
	if err != nil {
		g.t.Fatal(err)
	}
	traces := map[string]string{"log": g.log.String()}
	for _, e := range all {
		if !strings.HasPrefix(e.Key, "s/") { // what was seen before may be written at any moment; the listing has it at once
			traces[e.Key] = string(e.Value)
		}
	}
	traces["devices"] = string(g.want(200, call{method: "GET", path: "/admin/devices"}).body)
	ops := &http.Client{Transport: transport("tcp", g.server.Addresses()["operations"])}
	resp, err := ops.Get("http://ops/metrics")
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	for line := range strings.Lines(string(metrics)) {
		if strings.HasPrefix(line, "devicegate_") {
			traces["metrics"] += line
		}
	}
	return traces
}

// proxied asks the gate as a proxy does and returns the status and the reason.
func (g *gate) proxied(policy, from, token string) (status int, reason string) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), "GET", "http://checks/auth/nginx?policy="+policy, http.NoBody)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = http.Header{
		"X-Original-Method": {"GET"}, "X-Original-Url": {"http://app.example/"}, "X-Forwarded-For": {from}, "Authorization": {"Bearer " + token},
	}
	resp, err := transport("tcp", g.server.Addresses()["checks.http"]).RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("X-Auth-Reason")
}

func withPolicies(c *config.Config) {
	c.Policies["staff"] = config.Policy{RequireRoles: []string{"staff", "admin"}}
	c.Policies["settled"] = config.Policy{MinDeviceAge: time.Hour}
	c.Policies["trial"] = config.Policy{RequireRoles: []string{"staff"}, Mode: config.PolicyReport}
	c.Devices.IPChange.Action = config.IPChangeRevoke
}

// TestExplain: each row is explained, leaves no trace, and is then what a check comes to.
func TestExplain(t *testing.T) {
	const home, away = "203.0.113.9", "198.51.100.9"
	g := start(t, withIssuers(t), withPolicies)
	g.clock.stop()
	alice := g.addUser("alice")
	good, ended, second := g.signIn("alice"), g.signIn("alice"), g.signIn("alice")
	g.want(204, call{method: "DELETE", path: "/admin/users/" + alice + "/devices/" + ended.UID})
	off := g.addUser("bob")
	disabled := g.signIn("bob")
	g.setUser(off, `{"disabled":true}`)
	g.proxied("default", home, second.Access) // seen from here, and asked from elsewhere next
	changed := good.Access[:strings.LastIndexByte(good.Access, '.')] + second.Access[strings.LastIndexByte(second.Access, '.'):]
	django := someDjangoUser("7")
	fresh := g.token(django, "access")
	local := someDjangoUser("8")
	local.name = "ALICE"

	rows := []struct {
		name, policy, from, token string
		reason, step, detail      string
		effect                    string
	}{
		{"good", "default", home, good.Access, "ok", "", "", ""},
		{"another token's signature", "default", home, changed, "token_unverified", "token", "the signature is wrong", ""},
		{"cut", "default", home, good.Access[:len(good.Access)-2], "token_malformed", "token", "was the end of the token cut off?", ""},
		{"not one", "default", home, "x", "token_malformed", "token", "three parts", ""},
		{"an ended device", "default", home, ended.Access, "device_not_recognized", "device", "revoked_by_admin, by socket", ""},
		{"a disabled user", "default", home, disabled.Access, "inactive_account", "device", "inactive_account", ""},
		{"no role", "staff", home, good.Access, "role_missing", "roles", "none, and wanted is one of staff, admin", ""},
		{"too new", "settled", home, good.Access, "device_too_new", "device_age", "0s, and wanted is at least 60m", ""},
		{"no such policy", "nope", home, good.Access, "policy_unknown", "policy", `"nope" is not among`, ""},
		{"another address", "default", away, second.Access, "device_compromised", "device", "for which a check would end it", "would end the device, because its address changed from " + home},
		{"first seen", "default", home, fresh, "ok", "", "", "would register the device"},
		{"of another issuer, with a local name", "default", home, g.token(local, "access"), "token_unverified", "user", "a local user has the name", ""},
		{"of another issuer, a refresh token", "default", home, g.token(django, "refresh"), "token_wrong_type", "token", "token_type does not say access", ""},
	}
	explained := map[string]api.Explanation{}
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			g := g.within(t)
			before := g.traces()
			e := g.explain("token", c.token, "policy", c.policy, "client_ip", c.from, "adapter", "nginx")
			if diff := cmp.Diff(before, g.traces()); diff != "" {
				t.Errorf("it left a trace (-before +after):\n%s", diff)
			}
			no := failed(e)
			if e.Reason != c.reason || string(no.Step) != c.step || !strings.Contains(no.Detail, c.detail) {
				t.Errorf("explained as %s at %q: %q; want %s at %q: %q", e.Reason, no.Step, no.Detail, c.reason, c.step, c.detail)
			}
			if effects := strings.Join(e.Effects, "\n"); !strings.Contains(effects, c.effect) || c.effect == "" && effects != "" {
				t.Errorf("the effects are %q, want %q", effects, c.effect)
			}
			explained[c.name] = e
		})
	}
	for _, c := range rows { // only now: checks do leave traces, some of them a little later
		e := explained[c.name]
		if status, why := g.proxied(c.policy, c.from, c.token); status != e.Status || status != 200 && why != e.Reason {
			t.Errorf("%s: the check was answered %d %s, explained were %d %s", c.name, status, why, e.Status, e.Reason)
		}
	}
}

// within returns the gate for a subtest.
func (g *gate) within(t *testing.T) *gate {
	other := *g
	other.t = t
	return &other
}

// TestExplainTellsFacts: what people look for is there, and what a token only claims is marked.
func TestExplainTellsFacts(t *testing.T) {
	g := start(t, withPolicies)
	g.clock.stop()
	g.addUser("alice")
	d := g.signIn("alice")
	e := g.explain("token", d.Access, "adapter", "nginx", "client_ip", "203.0.113.9")
	if e.User != "alice" || e.DeviceUid != d.UID || e.ClientIp != "203.0.113.9" || e.Policy != "default" || e.Outcome != "allow" || e.Status != 200 {
		t.Errorf("explained as %+v", e)
	}
	if diff := cmp.Diff([]api.ExplainedHeader{{Name: "Remote-User", Value: "alice"}, {Name: "Remote-Device", Value: d.UID}}, e.SetHeaders); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if f := fact(e, "kid"); !strings.HasSuffix(f.Found, ", signing, of the store") {
		t.Errorf("of the key it says %+v", f)
	}
	if f := fact(e, "name"); f.Found != guessed {
		t.Errorf("of the device's name it says %+v", f)
	}
	if f := fact(e, "iss"); f != (api.ExplainedFact{Name: "iss", Found: "devicegate", Wanted: "devicegate"}) {
		t.Errorf("of iss it says %+v", f)
	}

	g.want(200, call{method: "POST", path: "/admin/keys/rotate", body: `{"retire_now":true}`})
	e = g.explain("token", d.Access)
	if f := fact(e, "kid"); e.Reason != "token_unverified" || !strings.Contains(f.Found, "retired") || !fact(e, "sub").Unproved || fact(e, "alg").Unproved {
		t.Errorf("with a retired key: %s, %+v", e.Reason, e.Steps)
	}

	g.clock.forward(20 * time.Minute)
	d = g.signIn("alice")
	g.clock.forward(18 * time.Minute)
	e = g.explain("token", d.Access, "policy", "staff")
	if no := failed(e); e.Reason != "token_expired" || no.Detail != "it expired 3m ago" || fact(e, "sub").Unproved || step(e, "roles").Result != "not_reached" {
		t.Errorf("expired: %s %+v", e.Reason, no)
	}
	d = g.signIn("alice")
	e = g.explain("token", d.Access, "policy", "trial")
	if no := failed(e); e.Outcome != "allow" || e.Reason != "report" || e.Would != "role_missing" || no.Step != "roles" || len(e.SetHeaders) > 0 {
		t.Errorf("a policy that reports: %+v", e)
	}
}

// TestExplainWalksToTheClient: each hop is told.
func TestExplainWalksToTheClient(t *testing.T) {
	g := start(t, func(c *config.Config) {
		c.Policies["inside"] = config.Policy{AllowedNetworks: config.Default().TrustedProxies, Anonymous: config.PolicyAllow}
	})
	for _, c := range []struct {
		pairs  []any
		client string
		hops   []string
	}{
		{[]any{"client_ip", "203.0.113.9"}, "203.0.113.9", []string{"203.0.113.9, not in trusted_proxies: the client"}},
		{[]any{"forwarded_for", []string{"192.0.2.1, 203.0.113.9, 127.0.0.1"}}, "203.0.113.9", []string{"127.0.0.1, in trusted_proxies", "203.0.113.9, not in trusted_proxies: the client"}},
		{[]any{"forwarded_for", []string{"\x1b[31m, 127.0.0.1"}}, "127.0.0.1", []string{"127.0.0.1, in trusted_proxies", "\"\ufffd[31m\", which is no address: the walk ends before it"}},
		{[]any{"peer", "127.0.0.1"}, "127.0.0.1", nil},
		{[]any{"adapter", "envoy_grpc", "client_ip", "127.0.0.1", "forwarded_for", []string{"203.0.113.9"}}, "203.0.113.9", []string{"127.0.0.1, in trusted_proxies", "203.0.113.9, not in trusted_proxies: the client"}},
		{nil, "", nil},
	} {
		e := g.explain(append(c.pairs, "policy", "inside")...)
		var hops []string
		for _, f := range step(e, "network").Facts {
			if f.Name == "hop" {
				hops = append(hops, f.Found)
			}
		}
		if diff := cmp.Diff(c.hops, hops); diff != "" || e.ClientIp != c.client {
			t.Errorf("%v: the client is %q, want %q; hops (-want +got):\n%s", c.pairs, e.ClientIp, c.client, diff)
		}
	}
}

// TestExplainWithoutAToken: what a check without one comes to, and who may ask at all.
func TestExplainWithoutAToken(t *testing.T) {
	g := start(t, func(c *config.Config) {
		c.Policies["browsers"] = config.Policy{CORSPreflight: config.PolicyAllow}
		c.Checks.GRPC.Policy = "browsers"
	})
	preflight := []any{"method", "OPTIONS", "origin", "https://app.example", "preflight_method", "PUT"}
	for _, c := range []struct {
		pairs        []any
		reason, step string
		status       int
	}{
		{nil, "no_token", "authorization", 401},
		{[]any{"authorization", []string{"Basic x"}}, "no_token", "authorization", 401},
		{[]any{"authorization", []string{"Bearer a", "Bearer b"}}, "bad_authorization", "authorization", 401},
		{[]any{"token", ""}, "bad_authorization", "authorization", 401},
		{[]any{"peer", "203.0.113.1"}, "peer_not_allowed", "peer", 403},
		{[]any{"policy", ""}, "policy_unknown", "policy", 403},
		{preflight, "no_token", "authorization", 401},
		{append(preflight, "policy", "browsers"), "cors_preflight", "", 200},
		{append(preflight, "adapter", "envoy_grpc"), "cors_preflight", "", 200},
	} {
		if e := g.explain(c.pairs...); e.Reason != c.reason || string(failed(e).Step) != c.step || e.Status != c.status {
			t.Errorf("%v: %s at %q with %d, want %s at %q with %d", c.pairs, e.Reason, failed(e).Step, e.Status, c.reason, c.step, c.status)
		}
	}
	for _, c := range []struct {
		pairs   []any
		pointer string
	}{
		{[]any{"adapter", "apache"}, "/adapter"}, {[]any{"client_ip", "fe80::1%eth0"}, "/client_ip"}, {[]any{"peer", "home"}, "/peer"},
		{[]any{"client_ip", "::1", "forwarded_for", []string{"::1"}}, "/forwarded_for"}, {[]any{"token", "x", "authorization", []string{}}, "/authorization"},
		{[]any{"tokens", "x"}, "/tokens"}, {[]any{"token", 1}, "/token"}, {[]any{"policy", nil}, "/policy"},
	} {
		if a := g.refused(400, "invalid", explaining(c.pairs...)); a.pointers() != c.pointer {
			t.Errorf("%v: the errors point to %q", c.pairs, a.pointers())
		}
	}
}

// TestExplainGivesNothingAway: neither the token nor its signature, nor an assertion, nor what a terminal would obey.
func TestExplainGivesNothingAway(t *testing.T) {
	g := start(t, withIssuers(t), func(c *config.Config) { c.IdentityHeaders.Assertion = "Remote-Assertion" })
	g.addUser("alice")
	d := g.signIn("alice")
	trick := someDjangoUser("9")
	trick.name, trick.device = "\x1b[31mroot\u202e", strings.Repeat("x", 400)
	for _, token := range []string{d.Access, g.token(trick, "access"), d.Refresh} {
		a := g.want(200, explaining("token", token, "host", "app.example"))
		for _, part := range strings.Split(token, ".") {
			if strings.Contains(string(a.body), part) {
				t.Errorf("the answer has a part of the token: %s", a.body)
			}
		}
		var all any
		if err := json.Unmarshal(a.body, &all); err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(all)
		if strings.Contains(string(text), `\u001b`) || strings.Contains(string(text), "\u202e") || strings.Contains(string(text), strings.Repeat("x", 200)) {
			t.Errorf("the answer has what a terminal obeys, or is too long: %s", text)
		}
	}
	e := g.explain("token", d.Access, "host", "app.example")
	for _, h := range e.SetHeaders {
		if h.Name == "Remote-Assertion" && h.Value != "(signed for app.example)" {
			t.Errorf("the assertion is %q", h.Value)
		}
	}
	if s := step(e, "assertion"); s.Result != "passed" || s.Detail != "it would be signed for app.example" {
		t.Errorf("of the assertion it says %+v", s)
	}
}

// TestExplainIsForAdmins: over admin.address with the token of one, and never on the API.
func TestExplainIsForAdmins(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	g.addAdmin("admin")
	own, boss := g.signIn("alice"), g.signIn("admin")
	g.refused(403, "role_missing", remotely(own, explaining("token", boss.Access)))
	g.refused(401, "not_authenticated", call{method: "POST", path: "/admin/explain", body: "{}", remote: true})
	if e := decoded[api.Explanation](g.want(200, remotely(boss, explaining("token", own.Access)))); e.User != "alice" {
		t.Errorf("explained to an admin: %+v", e)
	}
	if a := g.sendToAPI(explaining("token", own.Access)); a.status != 404 {
		t.Errorf("on the API it is answered with %d", a.status)
	}
}

// TestExplainWithoutTheStore: what is in memory is told, and what is not is left out.
func TestExplainWithoutTheStore(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	d := g.signIn("alice")
	g.reads.failWith(func() error { return db.ErrUnavailable })
	if e := g.explain("token", d.Access); e.Reason != "ok" || fact(e, "name").Found != "" {
		t.Errorf("explained as %+v", e)
	}
	g.reads.failWith(nil)
	g.commit.BreakFeeds(db.ErrUnavailable)
	for g.server.Ready() == nil {
		g.send(verifying(d.Access)) // until the service has noticed
	}
	if e := g.explain("token", d.Access, "adapter", "envoy_http"); e.Reason != "store_unavailable" || failed(e).Step != "ready" || e.Status != 403 {
		t.Errorf("explained as %+v", e)
	}
}
