package compat_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// exchangedOnce: Django's refresh token gives a pair of ours for the same device, and nothing the second time.
func exchangedOnce(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register", "refresh: exchange")
	theirs := d.signIn(t, "/named", "alice")
	ours := sessionOf(g.want(200, "", refreshing(theirs)))
	if ours.UID != theirs.UID || !strings.HasPrefix(ours.Refresh, "dgr_") {
		t.Fatalf("the pair is %+v", ours)
	}
	g.letsIn(ours.Access, "alice", theirs.UID)
	g.letsIn(theirs.Access, "alice", theirs.UID) // until it dies
	g.want(200, "", verifying(ours.Access))
	next := sessionOf(g.want(200, "", refreshing(ours)))
	if next.Refresh == ours.Refresh || next.UID != ours.UID {
		t.Errorf("the refresh token of ours did not rotate: %+v", next)
	}
	g.letsIn(next.Access, "alice", theirs.UID)
	g.want(401, "token_not_valid", refreshing(theirs))
	g.letsIn(next.Access, "alice", theirs.UID) // a client that tried twice has lost nothing
	g.restart()
	g.want(401, "token_not_valid", refreshing(theirs))
	g.want(200, "", refreshing(next))

	refuse := d.gate(t, "unknown_device: refuse", "refresh: exchange")
	refuse.want(401, "device_not_recognized", refreshing(theirs))
	refuse.want(200, "", registering(theirs.UID, `{"issuer":"django","user_id":"1"}`))
	refuse.want(200, "", refreshing(theirs))
}

// exchangedAgain: after the grace, the same token once more is a copy in other hands.
func exchangedAgain(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register", "refresh: exchange")
	theirs, other := d.signIn(t, "", "alice"), d.signIn(t, "", "alice")
	ours := sessionOf(g.want(200, "", refreshing(theirs)))
	g.letsIn(other.Access, "django:1", other.UID)
	g.advance(31 * time.Second)
	g.want(401, "device_compromised", refreshing(theirs))
	g.shutsOut(ours.Access, "device_compromised")
	g.shutsOut(theirs.Access, "device_compromised")
	g.want(401, "device_compromised", refreshing(ours))
	g.letsIn(other.Access, "django:1", other.UID)
}

// noExchange: without refresh: exchange a refresh token of Django's is nobody's.
func noExchange(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register")
	s := d.signIn(t, "", "alice")
	g.want(401, "token_not_valid", refreshing(s))
	g.want(401, "token_not_valid", request{method: "POST", path: "/api/token/refresh", body: `{"refresh":"` + s.Access + `"}`})
	g.letsIn(s.Access, "django:1", s.UID)
}

// manyAtOnce: limit and exchange hold for those who come at the same moment as well.
func manyAtOnce(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register", "max_devices: 3", "refresh: exchange")
	sessions := make([]session, 8)
	for i := range sessions {
		sessions[i] = d.signIn(t, "", "bob")
	}
	statuses := atOnce(len(sessions), func(i int) response { return g.check(sessions[i].Access) })
	if statuses[200] != 3 || statuses[401] != 5 {
		t.Errorf("of 8 devices that came at once, with room for 3, the answers are %v", statuses)
	}
	one := sessions[slices.IndexFunc(sessions, func(s session) bool { return g.check(s.Access).status == 200 })]
	statuses = atOnce(6, func(int) response {
		return overHTTP(t, http.DefaultClient, "http://"+g.address["api"], refreshing(one))
	})
	if statuses[200] != 1 || statuses[401] != 5 {
		t.Errorf("of 6 exchanges of one token at once the answers are %v", statuses)
	}
}

// atOnce sends n requests beside each other and counts the statuses.
func atOnce(n int, send func(i int) response) map[int]int {
	answers := make(chan response, n)
	for i := range n {
		go func() {
			var r response
			defer func() { answers <- r }() // also of one that failed
			r = send(i)
		}()
	}
	statuses := map[int]int{}
	for range n {
		statuses[(<-answers).status]++
	}
	return statuses
}
