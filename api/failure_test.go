package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"devicegate/db"
)

// TestStoreTakesNoWrites: nothing is handed out and nothing has happened; reads and verify go on.
func TestStoreTakesNoWrites(t *testing.T) {
	for _, fault := range []error{db.ErrUnavailable, db.ErrUnknown} {
		g := start(t)
		id := g.addUser("alice")
		g.addAdmin("admin")
		own, other, boss := g.signIn("alice"), g.signIn("alice"), g.signIn("admin")
		g.fail(5, "alice", "203.0.113.7")
		lockout := g.lockouts("")[0].ID
		g.commit.FailCommits(fault, false)
		writes := []call{
			{method: "POST", path: "/admin/users", body: object("name", "bob")},
			{method: "PATCH", path: "/admin/users/" + id, body: `{"disabled":true}`},
			{method: "PATCH", path: "/admin/users/" + id, body: `{"roles":["staff"]}`},
			{method: "PATCH", path: "/admin/users/" + id, body: object("password", secret2)},
			{method: "POST", path: "/admin/users/" + id + "/password-reset"},
			{method: "DELETE", path: "/admin/users/" + id}, {method: "DELETE", path: "/admin/users/" + id + "/devices"},
			endingOf(id, other.UID), changingOf(id, other.UID, `{"name":"x"}`), clearing(lockout),
			{method: "POST", path: "/admin/devices/sweep", body: `{"older_than_seconds":0}`},
		}
		for _, c := range writes {
			writes = append(writes, remotely(boss, c))
		}
		for _, c := range append(writes,
			signInOf("alice", "not the password"), signInOf("nobody", secret), from("203.0.113.7", signInOf("alice", secret)),
			changingPassword(own, "not the password", secret2),
			signInOf("alice", secret), refreshing(own.Refresh), revoking(own.Refresh),
			changing(other, own, `{"name":"x"}`), ending(other, own),
			call{method: "POST", path: "/trusted-devices/logout", token: own.Access},
			call{method: "POST", path: "/trusted-devices/revoke-all", token: own.Access},
			changingPassword(own, secret, secret2),
		) {
			a := g.refused(503, "store_unavailable", c)
			if a.header.Get("Retry-After") != "1" || bytes.Contains(a.body, []byte("injected")) {
				t.Errorf("%s %s: Retry-After %q, body %s", c.method, c.path, a.header.Get("Retry-After"), a.body)
			}
		}
		if got := g.devices(own.Access); len(got) != 2 || got[0].Name != guessed {
			t.Errorf("after refused writes the devices are %+v", got)
		}
		if got := g.lockouts("?all=true&user=alice"); len(got) != 2 || got[0].Failures != 5 || got[1].Failures != 5 {
			t.Errorf("after refused writes the lockouts are %+v", got)
		}
		g.live(other)
		g.commit.FailCommits(nil, false)
		g.live(own)
		g.want(200, refreshing(own.Refresh))
	}
}

// TestAnswerThatWasLost: the write has happened and the caller was told that nobody knows. The same
// refresh token works again.
func TestAnswerThatWasLost(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	d := g.signIn("alice")
	g.commit.FailCommits(db.ErrUnknown, true)
	g.refused(503, "store_unavailable", refreshing(d.Refresh))
	g.commit.FailCommits(nil, false)
	next := decoded[tokens](g.want(200, refreshing(d.Refresh)))
	g.live(next)
	g.live(decoded[tokens](g.want(200, refreshing(next.Refresh))))
}

func TestStoreCannotBeRead(t *testing.T) {
	g := start(t, withIssuers(t))
	id := g.addUser("alice")
	g.addAdmin("admin")
	own, boss := g.signIn("alice"), g.signIn("admin")
	g.fail(5, "alice", "203.0.113.7")
	lockout := g.lockouts("")[0].ID
	g.reads.failWith(func() error { return fmt.Errorf("the disk says no: %w", db.ErrUnavailable) })
	administration := append(adminCalls(id, own.UID), clearing(lockout), allActivity("?user=alice"), allActivity("?user="+id),
		call{method: "GET", path: "/admin/lockouts?user=alice&all=true"}, call{method: "GET", path: "/admin/users?name=alice"})
	administration = slices.DeleteFunc(administration, func(c call) bool {
		return c.path == "/admin/lockouts/x" || strings.HasPrefix(c.path, "/admin/keys") || c.path == "/admin/explain" || c.path == "/admin/users" && c.method == "POST" // they read nothing
	})
	for _, c := range administration {
		administration = append(administration, remotely(boss, c))
	}
	for _, c := range append(administration,
		signInOf("alice", secret), signInOf("nobody", secret), refreshing(own.Refresh), revoking(own.Refresh), verifying(own.Refresh),
		call{method: "GET", path: "/trusted-devices", token: own.Access},
		call{method: "GET", path: "/trusted-devices/" + own.UID, token: own.Access},
		call{method: "POST", path: "/trusted-devices/logout", token: own.Access},
		ownActivity(own, ""), changingPassword(own, secret, secret2),
	) {
		if a := g.refused(503, "store_unavailable", c); bytes.Contains(a.body, []byte("disk")) {
			t.Errorf("%s tells what failed: %s", c.path, a.body)
		}
	}
	g.want(200, verifying(own.Access)) // from memory
	g.reads.failWith(nil)
	g.live(own)
}

// TestOwnersCannotBeRead: a page of devices is whole or refused; only who is gone may be missing.
func TestOwnersCannotBeRead(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	own := g.signIn("alice")
	g.reads.failGets(func(key string) error {
		if key == "u/"+id {
			return db.ErrUnavailable
		}
		return nil
	})
	g.refused(503, "store_unavailable", call{method: "GET", path: "/admin/devices"})
	g.refused(503, "store_unavailable", call{method: "GET", path: "/admin/devices/" + own.UID})
	g.reads.failGets(func(key string) error {
		if key == "u/"+id {
			return db.ErrNotFound
		}
		return nil
	})
	if a := g.want(200, call{method: "GET", path: "/admin/devices"}); string(a.body) != `{"next":null,"results":[]}`+"\n" {
		t.Errorf("of a user who has just gone the page shows %s", a.body)
	}
}

// TestFeedBroke: the index no longer knows who was removed, so nobody passes and nobody is let in.
func TestFeedBroke(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	own := g.signIn("alice")
	g.commit.BreakFeeds(errors.New("the feed broke"))
	for g.server.Ready() == nil {
		g.send(verifying(own.Access)) // until the service has noticed
	}
	for _, c := range []call{
		signInOf("alice", secret), refreshing(own.Refresh), revoking(own.Refresh), verifying(own.Refresh), verifying(own.Access),
		{method: "GET", path: "/trusted-devices", token: own.Access},
		{method: "POST", path: "/trusted-devices/logout", token: own.Access},
		ownActivity(own, ""), {method: "GET", path: "/admin/devices/" + own.UID},
	} {
		g.refused(503, "store_unavailable", c)
	}
	for _, c := range adminCalls(nowhere, own.UID) { // an admin's token is believed as little
		g.refused(503, "store_unavailable", remotely(own, c))
	}
}

func TestPanicCostsOneRequest(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	own := g.signIn("alice")
	g.reads.failWith(func() error { panic("everything is lost at db.internal:5432") })
	for _, c := range []call{signInOf("alice", secret), {method: "GET", path: "/trusted-devices", token: own.Access}, {method: "GET", path: "/admin/users"}} {
		a := g.send(c)
		if a.status != 500 || a.code() != "internal" || strings.Contains(string(a.body), "lost") || always(a) != nil {
			t.Errorf("%s %s = %d %s, want 500 internal without the cause; %v", c.method, c.path, a.status, a.body, always(a))
		}
	}
	if log := g.log.String(); !strings.Contains(log, "everything is lost") || !strings.Contains(log, "request failed") {
		t.Errorf("the log does not say what happened:\n%s", log)
	}
	g.reads.failWith(nil)
	g.live(own)
	g.signIn("alice")
}

// TestNoCredentialIsLogged: neither what was sent nor what was handed out.
func TestNoCredentialIsLogged(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	d := g.signIn("alice")
	next := decoded[tokens](g.want(200, refreshing(d.Refresh)))
	g.do(signInOf("alice", "another secret entirely"))
	g.do(signInOf("another secret name \u001b[31m", secret))
	g.do(explaining("token", next.Access))
	g.do(explaining("token", next.Access, next.Access, next.Access))
	g.reads.failWith(func() error { return errors.New("no error that anybody knows") })
	g.send(refreshing(next.Refresh))
	g.send(signInOf("alice", secret))
	log := g.log.String()
	for _, credential := range []string{secret, "another secret entirely", d.Access, d.Refresh, next.Access, next.Refresh} {
		if strings.Contains(log, credential) {
			t.Errorf("the log contains the credential %.12s...", credential)
		}
	}
	if strings.Contains(log, "\x1b") {
		t.Error("the log contains a raw escape character")
	}
}
