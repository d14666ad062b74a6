package e2e_test

import (
	"errors"
	"strings"
	"testing"

	"devicegate/db/dbtest"
	"devicegate/server"
)

func failureCases() []testCase {
	return []testCase{
		{number: 62, title: "the gate is down", headers: []string{asAlice}, fault: down,
			want: everywhere(byProxy(503)).except(byProxy(500), "traefik", "nginx").except(byProxy(502), "caddy")},
		{number: 63, title: "the gate hangs", headers: []string{asAlice}, fault: hanging,
			want: everywhere(byProxy(503)).except(byProxy(500), "traefik", "nginx").except(byProxy(504), "caddy")},
		{number: 64, title: "the gate's store is lost", send: storeLost(),
			want: everywhere(unavailable(503)).except(unavailable(500), "nginx").except(unavailable(403), "envoy_http")},
		{number: 64, title: "the gate's store is lost, and failure_mode_allow is true", send: storeLost("failure_mode_allow: false", "failure_mode_allow: true"),
			want: answers{"envoy_http": unavailable(403), "envoy_grpc": unavailable(503)}},
		{number: 65, title: "the gate answers 500 with a body", headers: []string{asAlice}, fault: broken,
			want:  everywhere(byProxy(503)).except(byProxy(500), "traefik", "nginx", "caddy"),
			check: brokenBody},
		{number: 65, title: "the script that asks fails", want: only(byProxy(503), "haproxy"), send: scripted("local answer =", "error('it failed') local answer =")},
		{number: 65, title: "the script that asks does nothing", want: only(byProxy(503), "haproxy"), send: scripted("local answer =", "if true then return end local answer =")},
	}
}

// scripted sends a good token through a HAProxy in whose script a text is changed.
func scripted(before, after string) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		return b.changed(t, literal{"devicegate.lua", before, after}).as(t, b.alice.Access, id)
	}
}

// brokenBody: only Traefik and Caddy show what the gate wrote.
func brokenBody(t *testing.T, b *bench, x exchange) {
	if shown := strings.Contains(x.body, "it broke"); shown != (b.name == "traefik" || b.name == "caddy") {
		t.Errorf("the client was shown the gate's body: %v", shown)
	}
}

// unavailable is the answer of a gate that cannot know.
func unavailable(status int) outcome { return outcome{status, "store_unavailable", false} }

// storeLost sends a good token to a gate whose store can no longer be trusted, through the proxy as
// it is shipped, or with one text of its file changed.
func storeLost(change ...string) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		dir := gateDir(t)
		file := openStore(t, dir)
		store := dbtest.NewFaulty(file)
		g, _ := openGate(t, dir, b.example, nil, server.WithStore(store))
		g.addUser(t, "alice", "editors")
		through := *b
		through.gate, through.alice = g, g.signIn(t, "alice")
		through.relay = startRelay(t, g.checks(b.product))
		var changes []literal
		if len(change) > 0 {
			changes = []literal{{b.files[0], change[0], change[1]}}
		}
		through.addr = startProxy(t, b.product, b.backend.addr, through.relay.addr, g.address["api"], changes...)
		if x := through.as(t, through.alice.Access, "before"); x.status != 200 {
			t.Fatalf("before the store is lost: status %d", x.status)
		}
		store.BreakFeeds(errors.New("the disk is gone"))
		if !eventually(patience, func() bool { return len(g.log.grep("can no longer be trusted")) > 0 }) {
			t.Fatal("the gate does not notice that its store is lost")
		}
		x := through.as(t, through.alice.Access, id)
		d := g.waitDecision(t, id)
		x.decision = &d
		if b.name != "nginx" && b.name != "envoy_http" {
			if got := x.header.Get("Retry-After"); got != "1" {
				t.Errorf("Retry-After = %q, want 1", got)
			}
		}
		return x
	}
}
