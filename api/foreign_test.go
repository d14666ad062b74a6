package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/config"
	"devicegate/db"
	"devicegate/token/foreign"
)

const sharedSecret = "fifty letters that only Django and the gate know!!"

// withIssuers configures two issuers: "django" registers devices on first sight and exchanges, "keycloak" does
// neither.
func withIssuers(t *testing.T) func(*config.Config) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(sharedSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	one := config.Issuer{
		Name: "django", Algorithms: []string{"HS256"}, SecretFile: path, AcceptAnyAudience: true, MaxLifetime: time.Hour,
		Claims:        config.IssuerClaims{UserID: "user_id", Username: "username", Roles: "groups", DeviceUID: "device_uid"},
		Roles:         map[string]string{"Staff": "staff"},
		UnknownDevice: config.UnknownDeviceRegister, MaxDevices: 20, Refresh: config.RefreshExchange,
	}
	other := one
	other.Name, other.Issuer, other.UnknownDevice, other.Refresh = "keycloak", "https://id.example", config.UnknownDeviceRefuse, ""
	return func(c *config.Config) { c.Issuers = []config.Issuer{one, other} }
}

// registering returns what makes the call again for further devices of the same user, nil where the call lets no
// device in.
func (g *gate) registering(in call) func() call {
	if !strings.HasPrefix(in.path, "/admin/devices") || in.method != "PUT" && in.path != "/admin/devices" {
		return nil
	}
	body := decoded[map[string]any](answer{body: []byte(in.body)})
	return func() call {
		delete(body, "device")
		in.method, in.path, in.token, in.remote = "PUT", "/admin/devices/"+uuid.NewString(), "", false
		b, _ := json.Marshal(body)
		in.body = string(b)
		return in
	}
}

// djangoUser is a user of the issuer with a device, as his tokens say.
type djangoUser struct{ id, name, device string }

func someDjangoUser(id string) djangoUser { return djangoUser{id, "user " + id, uuid.NewString()} }

func (d djangoUser) another() djangoUser { d.device = uuid.NewString(); return d }

func (d djangoUser) owner() string { return foreign.Owner("django", d.id) }

func (d djangoUser) uid() string { return foreign.UserID(d.owner()).String() }

// token is what SimpleJWT would sign for him.
func (g *gate) token(d djangoUser, kind string) string {
	now := g.clock.Now().Unix()
	claims := map[string]any{
		"token_type": kind, "exp": now + 1800, "iat": now, "jti": uuid.NewString(), "user_id": d.id, "device_uid": d.device,
		"groups": []string{"Staff", "admin", "superuser"},
	}
	if d.name != "" {
		claims["username"] = d.name
	}
	body, _ := json.Marshal(claims) // plain values
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	mac := hmac.New(sha256.New, []byte(sharedSecret))
	mac.Write([]byte(input))
	return input + "." + encode(mac.Sum(nil))
}

// shows is any call of his with an access token.
func (g *gate) shows(d djangoUser) call {
	return call{method: "GET", path: "/trusted-devices", token: g.token(d, "access")}
}

func registering(uid, body string) call {
	return call{method: "PUT", path: "/admin/devices/" + uid, body: body}
}

func TestForeignRegisterDevice(t *testing.T) {
	g := start(t, withIssuers(t), func(c *config.Config) {
		c.Issuers[0].UnknownDevice, c.Devices.HardLimit = config.UnknownDeviceRefuse, 2
	})
	d := djangoUser{"7", "", uuid.NewString()}
	g.refused(401, "device_not_recognized", g.shows(d))
	for _, body := range []string{`{"issuer":"django","user_id":7,"name":"the till"}`, `{"issuer":"django","user_id":"7"}`, `{"issuer":"django","user_id":7}`} {
		a := g.want(200, registering(d.device, body))
		if got := decoded[map[string]any](a); got["device_uid"] != d.device || got["name"] != "the till" || got["user_id"] != d.uid() ||
			got["user_name"] != "django:7" || got["issuer"] != "django" {
			t.Errorf("%s is answered with %s", body, a.body)
		}
	}
	if got := g.devices(g.token(d, "access")); len(got) != 1 || !got[0].IsCurrent || got[0].Name != "the till" {
		t.Errorf("devices = %+v", got)
	}
	if a := g.want(200, registering(d.device, object("issuer", "django", "user_id", "7", "name", "kitchen"))); decoded[deviceView](a).Name != "kitchen" {
		t.Errorf("a new name is answered with %s", a.body)
	}
	for _, c := range []struct {
		status        int
		code, uid     string
		body, pointer string
	}{
		{404, "not_found", "x", `{"issuer":"django","user_id":"7"}`, ""},
		{404, "not_found", strings.ToUpper(d.device), `{"issuer":"django","user_id":"7"}`, ""},
		{404, "not_found", uuid.Nil.String(), `{"issuer":"django","user_id":"7"}`, ""},
		{400, "invalid", d.device, `{"issuer":"flask","user_id":"7"}`, "/issuer"},
		{400, "invalid", d.device, `{"issuer":"django","user_id":""}`, "/user_id"},
		{400, "invalid", d.device, `{"issuer":"django","user_id":1.5}`, "/user_id"},
		{400, "invalid", d.device, `{"issuer":"django","user_id":"a\u200b"}`, "/user_id"},
		{400, "invalid", d.device, object("issuer", "django", "user_id", strings.Repeat("x", 150)), "/user_id"},
		{400, "invalid", d.device, object("issuer", "django", "user_id", "7", "name", "a\nb"), "/name"},
		{400, "invalid", d.device, `{"issuer":"django"}`, "/user_id"},
		{400, "invalid", d.device, `{"issuer":"django","user_id":"7","surprise":1}`, "/surprise"},
		{409, "conflict", d.device, `{"issuer":"django","user_id":"8"}`, ""},
		{409, "conflict", d.device, `{"issuer":"keycloak","user_id":"7"}`, ""},
	} {
		if a := g.refused(c.status, c.code, registering(c.uid, c.body)); a.pointers() != c.pointer {
			t.Errorf("%s points to %q, want %q", c.body, a.pointers(), c.pointer)
		}
	}
	second := d.another()
	g.want(200, registering(second.device, `{"issuer":"django","user_id":"7"}`))
	g.refused(403, "max_devices", registering(uuid.NewString(), `{"issuer":"django","user_id":"7"}`))
	g.want(204, endingOf(d.uid(), second.device))
	g.refused(409, "conflict", registering(second.device, `{"issuer":"django","user_id":"7"}`))
	g.refused(401, "device_not_recognized", g.shows(second))
	g.addUser("Keycloak:9")
	g.refused(409, "conflict", registering(uuid.NewString(), `{"issuer":"keycloak","user_id":"9"}`))
	g.setUser(d.uid(), `{"disabled":true}`)
	g.refused(404, "not_found", registering(uuid.NewString(), `{"issuer":"django","user_id":"7"}`))
	g.refused(401, "inactive_account", g.shows(d))
}

func TestForeignRegisterByClaim(t *testing.T) {
	g := start(t, withIssuers(t), func(c *config.Config) { c.Issuers[0].UnknownDevice = config.UnknownDeviceRefuse })
	d := djangoUser{"7", "", "qVv6OyB1S1tYb0Jv3yq3Zk9R"}
	g.refused(401, "device_not_recognized", g.shows(d))
	in := call{method: "POST", path: "/admin/devices", body: object("issuer", "django", "user_id", "7", "device", d.device, "name", "x")}
	first, again := decoded[deviceView](g.want(200, in)), decoded[deviceView](g.want(200, in))
	if first.UID != foreign.DeviceUID("django", d.device).String() || first != again {
		t.Errorf("the same claim is answered with %+v and %+v", first, again)
	}
	g.want(200, g.shows(d))
	for _, device := range []string{"", strings.Repeat("x", 513), uuid.Nil.String()} {
		in.body = object("issuer", "django", "user_id", "7", "device", device)
		if a := g.refused(400, "invalid", in); a.pointers() != "/device" {
			t.Errorf("the claim %.20q points to %q", device, a.pointers())
		}
	}
}

// What people do with a foreign token is what they do with one of ours.
func TestForeignTokenOnTheAPI(t *testing.T) {
	g := start(t, withIssuers(t), func(c *config.Config) { c.Devices.SeniorityDelay = 0 })
	d := someDjangoUser("7")
	other, third, fourth := d.another(), d.another(), d.another()
	access := g.token(d, "access")
	g.want(200, verifying(access)) // as a check would answer, and it leaves no trace
	g.refused(404, "not_found", call{method: "GET", path: "/admin/devices/" + d.device})
	g.refused(404, "not_found", call{method: "GET", path: "/admin/users/" + d.uid()})
	for _, one := range []djangoUser{d, other, third, fourth} {
		g.want(200, g.shows(one))
	}
	if got := g.devices(access); len(got) != 4 || got[3].UID != d.device || !got[3].IsCurrent {
		t.Errorf("devices = %+v, want four, newest first", got)
	}
	of := func(uid string) string { return "/trusted-devices/" + uid }
	g.want(200, call{method: "GET", path: of(other.device), token: access})
	g.want(200, call{method: "PATCH", path: of(other.device), token: access, body: `{"name":"kitchen"}`})
	g.refused(403, "device_self_modification", call{method: "DELETE", path: of(d.device), token: access})
	g.want(204, call{method: "DELETE", path: of(other.device), token: access})
	g.refused(401, "device_not_recognized", g.shows(other))
	g.refused(401, "device_not_recognized", verifying(g.token(other, "access")))
	g.want(204, call{method: "POST", path: "/trusted-devices/logout", token: g.token(third, "access")})
	g.refused(401, "device_not_recognized", g.shows(third))
	if a := g.want(200, call{method: "POST", path: "/trusted-devices/revoke-all", token: access}); !strings.Contains(string(a.body), `"revoked_count":1`) {
		t.Errorf("revoke-all answered %s, want one", a.body)
	}
	g.refused(401, "device_not_recognized", g.shows(fourth))
	fifth := d.another()
	g.want(204, revoking(g.token(fifth, "refresh")))
	g.refused(401, "device_not_recognized", g.shows(fifth))
	for _, current := range []string{secret, "", "x"} {
		a := g.do(call{method: "POST", path: "/api/password", token: access, body: object("current_password", current, "new_password", secret2)})
		if a.status != 400 || a.code() != "invalid" {
			t.Errorf("a new password instead of %q is answered %d %s, want 400", current, a.status, a.body)
		}
	}
	var reasons []string
	for _, e := range g.events(ownActivity(tokens{Access: access}, "")) {
		reasons = append(reasons, e.Reason)
	}
	for _, want := range []string{"first_sight", "revoked_by_device", "logout", "revoke_all"} {
		if !slices.Contains(reasons, want) {
			t.Errorf("the own history tells %q, want also %s", reasons, want)
		}
	}
	for _, one := range []djangoUser{other, third, fourth, fifth} {
		g.refused(409, "conflict", registering(one.device, object("issuer", "django", "user_id", "7")))
	}
}

func TestForeignExchangeOverTheAPI(t *testing.T) {
	g := start(t, withIssuers(t))
	d := someDjangoUser("7")
	raw := g.token(d, "refresh")
	pair := decoded[tokens](g.want(200, refreshing(raw)))
	if pair.UID != d.device {
		t.Errorf("the pair is of %s, want the device of the token", pair.UID)
	}
	g.live(pair)
	g.refused(401, "token_not_valid", refreshing(raw))
	g.refused(401, "token_not_valid", refreshing(g.token(d, "access")))
	g.refused(401, "token_not_valid", verifying(raw))
	next := decoded[tokens](g.want(200, refreshing(pair.Refresh)))
	g.live(next)
	user := decoded[map[string]any](g.want(200, call{method: "GET", path: "/admin/users/" + d.uid()}))
	if user["name"] != "user 7" || user["issuer"] != "django" || len(user["roles"].([]any)) != 1 || user["roles"].([]any)[0] != "staff" {
		t.Errorf("the account is %v", user)
	}
	g.refused(401, "no_active_account", signInOf("user 7", secret))
	g.refused(401, "no_active_account", call{method: "POST", path: "/api/token", body: object("username", "user 7", "password", "x", "refresh", next.Refresh)})
	g.clock.forward(time.Minute)
	g.refused(401, "device_compromised", refreshing(raw))
	g.dead("device_compromised", next)
	reset := decoded[resetToken](g.want(200, call{method: "POST", path: "/admin/users/" + d.uid() + "/password-reset"}))
	g.want(204, call{method: "POST", path: "/api/password/reset", body: object("reset_token", reset.Token, "new_password", secret)})
	g.live(g.signIn("user 7"))
}

// No token of another issuer administrates, whatever its roles are and whatever its user is here.
func TestForeignTokenIsNoAdmin(t *testing.T) {
	g := start(t, withIssuers(t), func(c *config.Config) {
		c.Issuers[0].Roles = map[string]string{"Staff": "admin"} // which the configuration refuses
	})
	d := someDjangoUser("7")
	pair := decoded[tokens](g.want(200, refreshing(g.token(d, "refresh"))))
	g.refused(403, "role_missing", call{method: "GET", path: "/admin/users", token: pair.Access, remote: true})
	g.setUser(d.uid(), `{"roles":["admin"]}`)
	for _, one := range []djangoUser{d, d.another(), someDjangoUser("8")} {
		for _, c := range adminCalls(d.uid(), d.device) {
			c.remote, c.token = true, g.token(one, "access")
			g.refused(403, "role_missing", c)
		}
	}
	g.want(200, call{method: "GET", path: "/admin/users", token: pair.Access, remote: true}) // ours, and an admin made him one
}

// A name that a local user gets takes the tokens of another issuer's user at once, also those that were verified.
func TestForeignNameTakenOverTheAPI(t *testing.T) {
	g := start(t, withIssuers(t))
	d := someDjangoUser("7")
	access := call{method: "GET", path: "/trusted-devices", token: g.token(d, "access")}
	g.want(200, access)
	local := g.addUser("USER 7")
	g.refused(401, "token_not_valid", access)
	g.refused(401, "token_not_valid", verifying(access.token))
	g.refused(401, "token_not_valid", refreshing(g.token(d, "refresh")))
	g.want(204, call{method: "DELETE", path: "/admin/users/" + local})
	g.want(200, access)
}

// Admins see the users and devices of other issuers as such, and those of ours without one.
func TestForeignUsersAreShown(t *testing.T) {
	g := start(t, withIssuers(t))
	g.addUser("alice")
	own, d := g.signIn("alice"), someDjangoUser("7")
	g.want(200, g.shows(d))
	g.want(200, call{method: "GET", path: "/admin/devices/" + d.device}) // settles it
	for path, want := range map[string]map[string]any{
		"/admin/users": {"django:7": "django", "alice": nil}, "/admin/devices": {d.device: "django", own.UID: nil},
		"/admin/users/" + d.uid() + "/devices": {d.device: "django"},
	} {
		a := g.want(200, call{method: "GET", path: path})
		page := decoded[struct{ Results []map[string]any }](a).Results
		if page == nil {
			page = decoded[[]map[string]any](a)
		}
		if len(page) != len(want) {
			t.Errorf("%s shows %s", path, a.body)
		}
		for _, one := range page {
			key, _ := one["device_uid"].(string)
			if key == "" {
				key, _ = one["name"].(string)
			}
			if one["issuer"] != want[key] {
				t.Errorf("%s shows %s of the issuer %v, want %v", path, key, one["issuer"], want[key])
			}
		}
	}
	g.want(204, call{method: "DELETE", path: "/admin/users/" + d.uid()})
	g.refused(401, "device_not_recognized", g.shows(d))
}

// Who may pass can be ended: an admin is never told that a user is not there who was seen a moment ago.
func TestForeignUserWhoWaits(t *testing.T) {
	g := start(t, withIssuers(t))
	d := someDjangoUser("7")
	g.commit.FailCommits(db.ErrUnavailable, false)
	g.want(200, verifying(g.token(d, "access")))
	g.refused(503, "store_unavailable", g.shows(d)) // it passes, but its list cannot be had
	user := "/admin/users/" + d.uid()
	for _, c := range []call{
		{method: "GET", path: user}, {method: "PATCH", path: user, body: `{"disabled":true}`}, {method: "DELETE", path: user},
		{method: "GET", path: user + "/devices"}, {method: "DELETE", path: user + "/devices"}, {method: "POST", path: user + "/password-reset"},
		endingOf(d.uid(), d.device), {method: "GET", path: "/admin/users?name=django:7"}, {method: "GET", path: "/admin/devices/" + d.device},
	} {
		g.refused(503, "store_unavailable", c)
	}
	g.want(200, call{method: "GET", path: "/admin/users"})
	g.want(200, verifying(g.token(d, "access")))
	g.commit.FailCommits(nil, false)
	g.want(204, call{method: "DELETE", path: user})
	g.refused(401, "device_not_recognized", g.shows(d))
	g.refused(401, "device_not_recognized", verifying(g.token(d, "access")))
	g.refused(409, "conflict", registering(d.device, object("issuer", "django", "user_id", "7")))
}
