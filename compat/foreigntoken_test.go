package compat_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// claimsOfTokens: the members are these, and no others.
func claimsOfTokens(t *testing.T, d *issuer) {
	s := d.signIn(t, "", "alice")
	wantClaims(t, s.Access, `"access"`, `"1"`, s.UID, 5*time.Minute)
	wantClaims(t, s.Refresh, `"refresh"`, `"1"`, s.UID, 24*time.Hour)
}

// wantClaims demands what SimpleJWT and django-trusted-devices put into a token: its members, their forms, its life.
// kind and userID are as JSON.
func wantClaims(t *testing.T, token, kind, userID, uid string, life time.Duration) {
	t.Helper()
	if header := part(t, token, 0); header != `{"alg":"HS256","typ":"JWT"}` {
		t.Errorf("the header is %s", header)
	}
	var members map[string]json.RawMessage
	var c struct {
		JTI      string
		Exp, Iat int64
	}
	for _, into := range []any{&members, &c} {
		if err := json.Unmarshal([]byte(payload(t, token)), into); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"token_type": kind, "user_id": userID, "device_uid": `"` + uid + `"`, "jti": `"` + c.JTI + `"`,
		"exp": fmt.Sprint(c.Exp), "iat": fmt.Sprint(c.Iat),
	}
	for name, value := range want {
		if got := string(members[name]); got != value {
			t.Errorf("%s is %s, want %s", name, got, value)
		}
	}
	// exp is counted from a moment before the one that iat says.
	if lives := time.Duration(c.Exp-c.Iat) * time.Second; len(members) != len(want) || len(c.JTI) != 32 || lives > life || lives < life-5*time.Second {
		t.Errorf("the claims are %s", payload(t, token))
	}
}

// part returns a part of a token as it reads.
func part(t *testing.T, token string, n int) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func payload(t *testing.T, token string) string { t.Helper(); return part(t, token, 1) }

func reasons(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register", "refresh: exchange")
	s := d.signIn(t, "", "alice")
	g.letsIn(s.Access, "django:1", s.UID)
	g.shutsOut(s.Refresh, "token_wrong_type")
	g.want(401, "token_not_valid", request{method: "POST", path: "/api/token/refresh", body: `{"refresh":"` + s.Access + `"}`})
	for _, forged := range tampered(t, s.Access) {
		g.shutsOut(forged, "token_unverified")
	}
	g.want(401, "token_not_valid", refreshing(session{Refresh: tampered(t, s.Refresh)[0]}))
	g.shutsOut(d.signIn(t, "/plain", "alice").Access, "device_uid_missing")

	short := startGate(t, strings.Replace(djangoIssuer(d.secretFile, "unknown_device: register"), "max_lifetime: 1h", "max_lifetime: 4m", 1))
	short.shutsOut(s.Access, "token_lives_too_long")
	strict := startGate(t, strings.Replace(djangoIssuer(d.secretFile, "unknown_device: register"), "accept_any_audience: true", "audience: shop", 1))
	strict.shutsOut(s.Access, "token_wrong_audience")
	stranger := startGate(t, djangoIssuer(keyFile(t, newSecretKey()), "unknown_device: register", "refresh: exchange"))
	stranger.shutsOut(s.Access, "token_unverified")
	stranger.want(401, "token_not_valid", refreshing(s))

	g.advance(-time.Minute)
	g.shutsOut(d.signIn(t, "", "alice").Access, "token_not_yet_valid")
	g.advance(6*time.Minute + time.Second)
	g.shutsOut(s.Access, "token_expired")
	g.advance(24 * time.Hour)
	g.want(401, "token_not_valid", refreshing(s))
}

// tampered returns a token that says another user, one that says another device, and one with another signature.
func tampered(t *testing.T, token string) []string {
	t.Helper()
	parts := strings.Split(token, ".")
	var forged []string
	for _, change := range [][2]string{{`"user_id":"1"`, `"user_id":"2"`}, {claimsOf(t, token).DeviceUID, "6f0e0d5e-0000-4000-8000-000000000000"}} {
		said := payload(t, token)
		changed := strings.Replace(said, change[0], change[1], 1)
		if changed == said {
			t.Fatalf("%s has no %s", said, change[0])
		}
		forged = append(forged, parts[0]+"."+base64.RawURLEncoding.EncodeToString([]byte(changed))+"."+parts[2])
	}
	return append(forged, parts[0]+"."+parts[1]+"."+otherFirst(parts[2]))
}

// otherFirst returns the signature with another first letter.
func otherFirst(signature string) string {
	if signature[0] == 'A' {
		return "B" + signature[1:]
	}
	return "A" + signature[1:]
}

// TestDjangoUpgrade: SimpleJWT wrote user_id as a number up to 5.5.0 and writes it as text since. To the gate the
// user is the same before and after the upgrade, and so is the device whose old refresh token lives on.
func TestDjangoUpgrade(t *testing.T) {
	key, folder := newSecretKey(), t.TempDir()
	old := startProject(t, folder, before, key, map[string]any{})
	phone, laptop := old.signIn(t, "", "alice"), old.signIn(t, "/named", "alice")
	wantClaims(t, phone.Access, `"access"`, `1`, phone.UID, 5*time.Minute)
	wantClaims(t, phone.Refresh, `"refresh"`, `1`, phone.UID, 24*time.Hour)
	g := startGate(t, djangoIssuer(keyFile(t, key), "unknown_device: register", "refresh: exchange"))
	g.letsIn(phone.Access, "django:1", phone.UID)
	g.letsIn(laptop.Access, "alice", laptop.UID)
	old.stop()

	d := startProject(t, folder, newest, key, map[string]any{})
	phone = d.fresh(t, phone)
	wantClaims(t, phone.Access, `"access"`, `1`, phone.UID, 5*time.Minute) // what the refresh token says is copied
	tablet := d.signIn(t, "", "alice")
	wantClaims(t, tablet.Access, `"access"`, `"1"`, tablet.UID, 5*time.Minute)
	g.letsIn(phone.Access, "django:1", phone.UID)
	g.letsIn(tablet.Access, "django:1", tablet.UID)

	var all []shown
	g.want(200, "", listing(tablet)).decode(&all)
	if len(all) != 3 {
		t.Errorf("the devices of the one user are %+v", all)
	}
	ours := sessionOf(g.want(200, "", refreshing(laptop)))
	g.letsIn(ours.Access, "alice", laptop.UID)
	g.want(204, "", on("DELETE", tablet, phone, ""))
	g.shutsOut(d.fresh(t, phone).Access, "device_not_recognized")
}
