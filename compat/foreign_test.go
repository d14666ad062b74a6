package compat_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newSecretKey returns a SECRET_KEY. Django signs with its bytes in UTF-8, whatever they are.
func newSecretKey() string { return rand.Text() + "é#&(\\" + rand.Text() + rand.Text() }

// keyFile writes what a gate is to check tokens with, with the line break that editors add.
func keyFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(content+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// djangoIssuer is the entry that makes a gate take the tokens of a project; more are further lines "key: value".
func djangoIssuer(secretFile string, more ...string) string {
	lines := append([]string{
		"- name: django", "algorithms: [HS256]", "secret_file: " + secretFile, "accept_any_audience: true", "max_lifetime: 1h",
	}, more...)
	return strings.Join(lines, "\n  ") + "\n"
}

// issuer is Django beside the gates that take its tokens.
type issuer struct {
	*project
	secretFile string
}

// gate runs a gate that takes the tokens of the project.
func (d *issuer) gate(t *testing.T, more ...string) *gate {
	t.Helper()
	return startGate(t, djangoIssuer(d.secretFile, more...))
}

// TestDjangoTokens: a real Django with SimpleJWT and django-trusted-devices issues tokens, and this service
// lets them in or shuts them out.
func TestDjangoTokens(t *testing.T) {
	key := newSecretKey()
	d := &issuer{startProject(t, t.TempDir(), newest, key, map[string]any{}), keyFile(t, key)}
	for _, c := range []struct {
		what string
		test func(*testing.T, *issuer)
	}{
		{"what the tokens say", claimsOfTokens},
		{"unknown devices are refused until an admin registers them", refuseUnknown},
		{"the username claim", usernameClaim},
		{"a local user keeps his name", localName},
		{"unknown devices are registered at first sight", firstSight},
		{"a device that is deleted here stays out", deletedHere},
		{"a logout here", logoutHere},
		{"an account that is removed here", removedHere},
		{"many tokens at once", manyAtOnce},
		{"a refresh token is exchanged once", exchangedOnce},
		{"a refresh token is exchanged again later", exchangedAgain},
		{"where nothing is exchanged", noExchange},
		{"reasons of refusals", reasons},
		{"device_uid in other spellings", spellings},
		{"signed out at Django", signedOutThere},
		{"deleted at Django", deletedThere},
		{"disabled at Django", disabledThere},
	} {
		t.Run(c.what, func(t *testing.T) { c.test(t, d) })
	}
}

// refuseUnknown: a device comes in when an admin has registered it for its user, and nobody else's.
func refuseUnknown(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: refuse")
	a, b := d.signIn(t, "", "alice"), d.signIn(t, "", "alice")
	g.shutsOut(a.Access, "device_not_recognized")
	g.want(401, "device_not_recognized", listing(a))
	g.want(400, "invalid", registering(a.UID, `{"issuer":"flask","user_id":"1"}`))
	g.want(200, "", registering(a.UID, `{"issuer":"django","user_id":"1","name":"Phone"}`))
	g.letsIn(a.Access, "django:1", a.UID)
	g.letsIn(d.fresh(t, a).Access, "django:1", a.UID)
	g.shutsOut(b.Access, "device_not_recognized")
	g.want(200, "", registering(b.UID, `{"issuer":"django","user_id":1}`)) // as 5.5.0 writes it
	g.letsIn(b.Access, "django:1", b.UID)
	g.shutsOut(d.signIn(t, "", "bob").Access, "device_not_recognized")

	c := d.signIn(t, "", "bob") // whose device an admin gives to somebody else
	g.want(200, "", registering(c.UID, `{"issuer":"django","user_id":"1"}`))
	g.shutsOut(c.Access, "device_not_recognized")
}

// usernameClaim: a project that adds the claim names its users by it.
func usernameClaim(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: refuse")
	s := d.signIn(t, "/named", "alice")
	g.want(200, "", registering(s.UID, `{"issuer":"django","user_id":"1"}`))
	g.letsIn(s.Access, "alice", s.UID)
	g.letsIn(d.fresh(t, s).Access, "alice", s.UID)

	plain := d.gate(t, "unknown_device: register", `claims: {username: ""}`)
	plain.letsIn(s.Access, "django:1", s.UID)
}

// localName: whoever may choose his username at Django does not become a local user of that name.
func localName(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register")
	before := d.signIn(t, "/named", "alice")
	g.letsIn(before.Access, "alice", before.UID)
	g.want(201, "", request{method: "POST", path: "/admin/users", body: `{"name":"ALICE","password":"` + secret + `"}`})
	g.shutsOut(before.Access, "token_unverified")
	g.shutsOut(d.signIn(t, "/named", "alice").Access, "token_unverified")
	s := d.signIn(t, "", "alice")
	g.letsIn(s.Access, "django:1", s.UID)
}

// firstSight: a device comes in by its token, up to max_devices of a user.
func firstSight(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register", "max_devices: 2")
	phone, laptop, other := d.signIn(t, "", "alice"), d.signIn(t, "", "alice"), d.signIn(t, "", "bob")
	g.letsIn(phone.Access, "django:1", phone.UID)
	g.want(200, "", listing(laptop)) // at the API as well
	g.letsIn(other.Access, "django:2", other.UID)

	var all []shown
	g.want(200, "", listing(phone)).decode(&all)
	if len(all) != 2 || all[0].UID != laptop.UID || all[1].UID != phone.UID || all[0].IsCurrent || !all[1].IsCurrent {
		t.Errorf("the devices of alice are %+v", all)
	}
	g.want(404, "not_found", on("DELETE", other, phone, ""))
	g.shutsOut(d.signIn(t, "", "alice").Access, "device_not_recognized") // both places are taken

	g.restart()
	g.letsIn(phone.Access, "django:1", phone.UID)
	g.want(200, "", listing(phone)).decode(&all)
	if len(all) != 2 {
		t.Errorf("after a restart the devices of alice are %+v", all)
	}
}

// spellings: a project that writes the UUID in another way means the same device.
func spellings(t *testing.T, d *issuer) {
	for under, respell := range map[string]func(string) string{
		"/upper": strings.ToUpper,
		"/bare":  func(uid string) string { return strings.ReplaceAll(uid, "-", "") },
		"/loud":  func(uid string) string { return strings.ToUpper(strings.ReplaceAll(uid, "-", "")) },
	} {
		s := d.signIn(t, under, "alice") // whose answer has the device as it is
		if said := claimsOf(t, s.Access).DeviceUID; said != respell(s.UID) {
			t.Fatalf("Django wrote %s for %s", said, s.UID)
		}
		refuse := d.gate(t, "unknown_device: refuse", "refresh: exchange")
		refuse.want(200, "", registering(s.UID, `{"issuer":"django","user_id":"1"}`))
		refuse.letsIn(s.Access, "django:1", s.UID)
		ours := sessionOf(refuse.want(200, "", refreshing(s)))
		refuse.letsIn(ours.Access, "django:1", s.UID)

		register := d.gate(t, "unknown_device: register")
		owner := d.signIn(t, "", "alice")
		register.letsIn(s.Access, "django:1", s.UID)
		register.want(204, "", on("DELETE", owner, s, ""))
		register.shutsOut(d.fresh(t, s).Access, "device_not_recognized")
	}
}
