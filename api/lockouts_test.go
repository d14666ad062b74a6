package api_test

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/config"
)

type lockoutView struct {
	ID, Name, Network string
	Device            string `json:"device_uid"`
	Failures          int
	LockedUntil       *time.Time `json:"locked_until"`
}

type lockoutPage struct {
	Results []lockoutView
	Next    *string
}

func (g *gate) lockouts(query string) []lockoutView {
	g.t.Helper()
	return decoded[lockoutPage](g.want(200, call{method: "GET", path: "/admin/lockouts" + query})).Results
}

func clearing(id string) call {
	return call{method: "DELETE", path: "/admin/lockouts/" + url.PathEscape(id)}
}

// fail fails to sign in n times from ip.
func (g *gate) fail(n int, name, ip string) {
	g.t.Helper()
	for range n {
		g.refused(401, "no_active_account", from(ip, signInOf(name, "not the password")))
	}
}

func TestLockout(t *testing.T) {
	g := start(t)
	g.clock.stop()
	id := g.addUser("alice")
	d := g.signIn("alice")
	g.fail(5, "Alice", "203.0.113.7")
	g.fail(4, "alice", "203.0.113.8")
	g.fail(5, "alice", "2001:db8::1")
	hashes := g.hashes()
	a := g.refused(429, "locked", from("203.0.113.7", signInOf("alice", secret)))
	if got := a.header.Get("Retry-After"); got != "60" || a.header["Www-Authenticate"] != nil {
		t.Errorf("Retry-After %q, WWW-Authenticate %q, want 60 and none", got, a.header["Www-Authenticate"])
	}
	if g.hashes() != hashes {
		t.Error("a hash was computed for an attempt that is locked")
	}
	g.live(d) // who is signed in is not touched

	until := g.clock.Now().Add(time.Minute).UTC()
	want := []lockoutView{
		{Name: "alice", Network: "2001:db8::/64", Failures: 5, LockedUntil: &until},
		{Name: "Alice", Network: "203.0.113.7/32", Failures: 5, LockedUntil: &until},
	}
	got := g.lockouts("")
	withoutIDs := slices.Clone(got)
	for i := range withoutIDs {
		withoutIDs[i].ID = ""
	}
	slices.SortFunc(withoutIDs, func(a, b lockoutView) int { return strings.Compare(a.Network, b.Network) })
	if diff := cmp.Diff(want, withoutIDs); diff != "" {
		t.Errorf("the lockouts (-want +got):\n%s", diff)
	}

	locked := g.lockouts("?network=203.0.113.7")
	if len(locked) != 1 {
		t.Fatalf("from 203.0.113.7 there are %+v", locked)
	}
	g.want(204, clearing(locked[0].ID))
	g.refused(404, "not_found", clearing(locked[0].ID))
	g.want(200, from("203.0.113.7", signInOf("alice", secret)))
	g.refused(429, "locked", from("2001:db8::2", signInOf("alice", secret))) // the other is still locked, in all of its /64
	if left := g.lockouts(""); len(left) != 1 || left[0].Network != "2001:db8::/64" {
		t.Errorf("afterwards there are %+v", left)
	}

	g.want(200, call{method: "PATCH", path: "/admin/users/" + id, body: object("password", secret2)})
	if left := g.lockouts("?all=true"); len(left) != 0 {
		t.Errorf("with a new password there are %+v", left)
	}
	g.want(200, from("2001:db8::2", signInOf("alice", secret2)))
}

func TestLockoutFilters(t *testing.T) {
	g := start(t, func(c *config.Config) { c.Lockout.NameThreshold = 6 })
	g.clock.stop()
	g.addUser("alice")
	g.fail(5, "ALICE", "203.0.113.7")
	g.fail(1, "alice", "198.51.100.1") // the sixth of the name
	g.fail(1, "nobody", "203.0.113.7")
	g.clock.forward(time.Second)
	list := func(query string) (all []string) {
		t.Helper()
		page := lockoutPage{Next: new(string)}
		for page.Next != nil {
			path := "/admin/lockouts?" + query
			if *page.Next != "" {
				path += "&cursor=" + *page.Next
			}
			page = decoded[lockoutPage](g.want(200, call{method: "GET", path: path}))
			for _, l := range page.Results {
				text := strings.ToLower(l.Name) + " " + l.Network
				if l.LockedUntil != nil {
					text += " locked"
				}
				all = append(all, strings.TrimSpace(text))
			}
		}
		slices.Sort(all)
		return all
	}
	const (
		everywhere = "alice  locked"
		here       = "alice 203.0.113.7/32 locked"
		there      = "alice 198.51.100.1/32"
		made       = "nobody 203.0.113.7/32"
		madeAll    = "nobody"
	)
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"", []string{everywhere, here}},
		{"all=false", []string{everywhere, here}},
		{"all=true", []string{everywhere, there, here, madeAll, made}},
		{"user=alice", []string{everywhere, here}},
		{"user=" + url.QueryEscape("ＡLICE"), []string{everywhere, here}},
		{"user=nobody", nil},
		{"user=nobody&all=true", []string{madeAll, made}},
		{"user=somebody+else&all=true", nil},
		{"network=203.0.113.0/24", []string{here}},
		{"network=203.0.113.7&all=true", []string{here, made}},
		{"network=::ffff:203.0.113.7&all=true", []string{here, made}},
		{"network=192.0.2.0/24&all=true", nil},
		{"user=alice&network=198.51.100.1&all=true", []string{there}},
	} {
		for _, limit := range []string{"", "&limit=1"} {
			if diff := cmp.Diff(c.want, list(c.query+limit), equateEmpty); diff != "" {
				t.Errorf("%s%s (-want +got):\n%s", c.query, limit, diff)
			}
		}
	}
	g.refused(429, "locked", from("192.0.2.1", signInOf("alice", secret))) // from everywhere
	g.clock.forward(time.Minute)
	if got := list(""); got != nil {
		t.Errorf("after a minute there are still %v", got)
	}
	if got := list("user=alice&all=true"); len(got) != 3 {
		t.Errorf("after a minute the counters are %v, want all three of alice", got)
	}
}

func TestLockoutsThatAreNotThere(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	g.fail(5, "alice", "203.0.113.7")
	id := g.lockouts("")[0].ID
	for _, none := range []string{"x", nowhere, id[:len(id)-1], id + "A", id + "=", strings.ToUpper(id), " " + id, "AAAA", strings.Repeat("A", 4000), "../users"} {
		g.refused(404, "not_found", clearing(none))
	}
	if got := g.lockouts(""); len(got) != 1 {
		t.Errorf("afterwards there are %+v", got)
	}
}

// TestNobodyLearnsWhoExistsFromALockout: the wait of a name that nobody has is the same, byte by byte, at
// every failure.
func TestNobodyLearnsWhoExistsFromALockout(t *testing.T) {
	g := start(t)
	g.clock.stop()
	g.addUser("alice")
	disabled := g.addUser("gone")
	g.setUser(disabled, `{"disabled":true}`)
	seen := map[int]bool{}
	for n := range 10 {
		var first answer
		for i, name := range []string{"alice", "gone", "nobody"} {
			a := g.do(from("203.0.113.7", signInOf(name, "not the password")))
			a.header.Del("Date")
			seen[a.status] = true
			if i == 0 {
				first = a
				continue
			}
			if diff := cmp.Diff(first.header, a.header); diff != "" || a.status != first.status || !bytes.Equal(first.body, a.body) {
				t.Errorf("attempt %d on %s answered %d %s, on alice %d %s; headers differ by %s", n, name, a.status, a.body, first.status, first.body, diff)
			}
		}
		if n >= 6 {
			g.clock.forward(20 * time.Minute) // beyond the lock, so that the next one is longer
		}
	}
	if !seen[401] || !seen[429] {
		t.Errorf("the answers were %v, want 401 and 429", seen)
	}
}

// TestARetryWhileLockedDoesNotExtendTheLock: and the wait that was told is long enough.
func TestARetryWhileLockedDoesNotExtendTheLock(t *testing.T) {
	g := start(t)
	g.clock.stop()
	g.addUser("alice")
	g.fail(5, "alice", "203.0.113.7")
	in := from("203.0.113.7", signInOf("alice", secret))
	for _, c := range []struct {
		forward    time.Duration
		retryAfter string
	}{
		{0, "60"}, {time.Millisecond, "60"}, {time.Second, "59"}, {58 * time.Second, "1"}, {998 * time.Millisecond, "1"},
	} {
		g.clock.forward(c.forward)
		a := g.refused(429, "locked", in)
		if got := a.header.Get("Retry-After"); got != c.retryAfter || !strings.Contains(string(a.body), "in "+c.retryAfter+" seconds") {
			t.Errorf("Retry-After %q, body %s, want %s", got, a.body, c.retryAfter)
		}
	}
	g.clock.forward(time.Millisecond)
	g.want(200, in)
	if got := g.lockouts("?all=true&network=203.0.113.7"); len(got) != 0 {
		t.Errorf("after the right password there are %+v", got)
	}
}

// TestKnownDeviceIsNotLockedOut: whoever guesses cannot keep the owner out of where he has been before.
func TestKnownDeviceIsNotLockedOut(t *testing.T) {
	g := start(t, func(c *config.Config) { c.Lockout.NameThreshold = 5 })
	g.addUser("alice")
	byToken := g.signIn("alice")
	cookie := g.want(200, overHTTPS(signInOf("alice", secret))).cookie(t)
	g.fail(5, "alice", "203.0.113.7")
	g.refused(429, "locked", signInOf("alice", secret))
	g.want(200, proving("alice", byToken.Refresh))
	g.want(200, overHTTPS(signInOf("alice", secret), cookie))
	g.refused(429, "locked", signInOf("alice", secret)) // that success is no pardon for the others
}

// TestLockoutOfADevice: a stolen cookie, or an unlocked phone, is no endless ticket to guess with.
func TestLockoutOfADevice(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	own := g.signIn("alice")
	for range 5 {
		g.refused(400, "invalid", changingPassword(own, "not the password", secret2))
	}
	a := g.refused(429, "locked", changingPassword(own, secret, secret2))
	if a.header["Www-Authenticate"] != nil || a.header.Get("Retry-After") == "" {
		t.Errorf("429 has WWW-Authenticate %q, Retry-After %q", a.header["Www-Authenticate"], a.header.Get("Retry-After"))
	}
	got := g.lockouts("?user=alice")
	if len(got) != 1 || got[0].Device != own.UID || got[0].Network != "" || got[0].Failures != 5 {
		t.Errorf("the lockouts are %+v, want one of the device %s", got, own.UID)
	}
	g.live(own)
	g.want(200, signInOf("alice", secret)) // anywhere else he may still
	g.want(204, clearing(got[0].ID))
	g.want(204, changingPassword(own, secret, secret2))
}

func TestThrottle(t *testing.T) {
	g := start(t, func(c *config.Config) { c.API.SignInRate = config.Rate{Count: 3, Per: time.Minute} })
	g.clock.stop()
	g.addUser("alice")
	for range 3 {
		g.want(200, from("203.0.113.7", signInOf("alice", secret)))
	}
	hashes := g.hashes()
	var first answer
	for i, name := range []string{"alice", "nobody"} {
		a := g.refused(429, "throttled", from("203.0.113.7", signInOf(name, secret)))
		a.header.Del("Date")
		if i == 0 {
			first = a
		}
		if got := a.header.Get("Retry-After"); got != "20" || a.header["Www-Authenticate"] != nil || !bytes.Equal(first.body, a.body) {
			t.Errorf("Retry-After %q, WWW-Authenticate %q, body %s; want 20, none, %s", got, a.header["Www-Authenticate"], a.body, first.body)
		}
	}
	if g.hashes() != hashes {
		t.Error("a hash was computed for an attempt that is throttled")
	}
	g.want(200, from("203.0.113.8", signInOf("alice", secret)))
	g.clock.forward(20 * time.Second)
	g.want(200, from("203.0.113.7", signInOf("alice", secret)))
	g.refused(429, "throttled", from("203.0.113.7", signInOf("alice", secret)))
	if got := g.lockouts("?all=true"); len(got) != 0 {
		t.Errorf("who was too fast has not failed, and is counted: %+v", got)
	}
}

// TestClearedLockoutIsOfWhoseNameItIs: by what was counted, not by what is shown of it, which is cut and
// without what does not print.
func TestClearedLockoutIsOfWhoseNameItIs(t *testing.T) {
	g := start(t)
	alice := g.addUser("alice")
	for name, want := range map[string]string{
		"alice": alice, "ali\u200dce": alice, "ALICE \u202e": alice,
		"alice" + strings.Repeat(" ", 600) + "x": "", "alice\x00x": "", "ali?ce": "", "nobody": "",
	} {
		g.fail(1, name, "203.0.113.7")
		counters := g.lockouts("?all=true")
		if len(counters) != 2 { // from there, and from everywhere
			t.Errorf("%.20q has %+v", name, counters)
		}
		for _, l := range counters {
			g.want(204, clearing(l.ID))
			if e := g.events(allActivity("?reason=lockout_cleared"))[0]; e.User != want || e.Kind != "admin" {
				t.Errorf("the cleared lockout of %.20q is an event of the user %q, want %q: %v", name, e.User, want, e)
			}
		}
	}
}
