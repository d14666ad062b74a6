package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fate is what the callers of a service know about a device of theirs.
type fate int

const (
	live   fate = iota
	ended       // its end was acknowledged
	unsure      // its end was asked for, and no answer came
)

// held is one device with the last tokens that were handed out for it.
type held struct {
	tokens
	fate fate
}

// known is everything that a service has acknowledged.
type known struct {
	mu      sync.Mutex
	devices []*held
	users   []string
	keys    string // the public keys
	before  string // the refresh token that the first device presented last; nobody else uses that device
	faults  []string
	acks    chan struct{}
}

// TestKill kills the service at random moments while it works. Whatever it had acknowledged must hold
// after the next start, and an unanswered refresh can be sent again.
func TestKill(t *testing.T) {
	t.Parallel()
	const rounds = 8
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	k := &known{}
	for round := range rounds {
		g := startGate(t, dir)
		if round == 0 {
			g.call("POST", "/admin/users", "", "name", "alice", "password", secret).must(t, 201, "making a user")
			k.keys = g.call("GET", "/.well-known/jwks.json", "").must(t, 200, "the keys").body
		}
		k.hold(t, g)
		for range 3 {
			k.devices = append(k.devices, &held{tokens: g.signIn("alice").must(t, 200, "a sign-in").tokens()})
		}
		k.work(g, round, 1+random.IntN(60))
		if t.Failed() {
			return
		}
	}
	k.hold(t, startGate(t, dir))
}

// hold demands everything acknowledged of a service that has just started.
func (k *known) hold(t *testing.T, g *gate) {
	t.Helper()
	if got := g.call("GET", "/.well-known/jwks.json", "").body; got != k.keys {
		t.Errorf("the keys are %s, and were %s", got, k.keys)
	}
	var page struct{ Results []struct{ Name string } }
	_ = json.Unmarshal([]byte(g.call("GET", "/admin/users?limit=500", "").must(t, 200, "the users").body), &page)
	for _, name := range k.users {
		if !slices.ContainsFunc(page.Results, func(u struct{ Name string }) bool { return u.Name == name }) {
			t.Errorf("the user %s is lost", name)
		}
	}
	for _, fault := range k.faults {
		t.Error(fault)
	}
	if k.before != "" {
		if got := g.refresh(k.before).must(t, 200, "the refresh before the kill, again").tokens(); got.Refresh != k.devices[0].Refresh {
			t.Error("the same refresh token, again within the grace, has another successor after the kill")
		}
	}
	if len(k.devices) > 0 {
		k.before = k.devices[0].Refresh
	}
	for i, d := range k.devices {
		if d.fate == unsure {
			d.fate = map[bool]fate{true: live, false: ended}[g.verify(d.Access).status == 200]
		}
		if d.fate == ended {
			g.verify(d.Access).must(t, 401, "verify of the ended device %d", i)
			g.check(d.Access).must(t, 401, "a check of the ended device %d", i)
			g.refresh(d.Refresh).must(t, 401, "refresh of the ended device %d", i)
			continue
		}
		g.verify(d.Access).must(t, 200, "verify of device %d", i)
		g.check(d.Access).must(t, 200, "a check of device %d", i)
		again := g.refresh(d.Refresh).must(t, 200, "refresh of device %d", i).tokens()
		d.Refresh = again.Refresh // the old access token is kept: it must go on to verify
	}
}

// work lets callers loose on the service and kills it once acks of their requests were answered.
func (k *known) work(g *gate, round, acks int) {
	k.acks = make(chan struct{})
	var mine []*held
	for _, d := range k.devices[1:] {
		if d.fate == live {
			mine = append(mine, d)
		}
	}
	n, other := len(mine), k.devices[0].Access
	dead := make(chan struct{})
	var callers sync.WaitGroup
	for _, caller := range []func(){
		func() { k.refreshing(g, mine[:n-2], dead) },
		func() { k.deleting(g, mine[n-2], other, dead) },
		func() { k.leaving(g, mine[n-1], dead) },
		func() { k.signingIn(g, dead) },
		func() { k.addingUsers(g, round, dead) },
	} {
		callers.Go(caller)
	}
	for range acks {
		select {
		case <-k.acks:
		case <-g.exited: // it is seen by the next demand
		}
	}
	g.end(syscall.SIGKILL)
	close(dead)
	callers.Wait()
}

// ack counts one answer; false ends the caller. No answer is no fault: the service was killed.
func (k *known) ack(r reply, status int, dead chan struct{}) bool {
	if r.status != status {
		if r.status != 0 {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.faults = append(k.faults, fmt.Sprintf("under way: %d %s, want %d or no answer", r.status, r.body, status))
		}
		return false
	}
	select {
	case k.acks <- struct{}{}:
	case <-dead:
	}
	return true
}

func (k *known) refreshing(g *gate, devices []*held, dead chan struct{}) {
	for i := 0; len(devices) > 0; i++ {
		d := devices[i%len(devices)]
		r := g.refresh(d.Refresh)
		if r.status == 200 {
			d.tokens = r.tokens()
		}
		if !k.ack(r, 200, dead) {
			return
		}
	}
}

func (k *known) deleting(g *gate, d *held, by string, dead chan struct{}) {
	d.fate = unsure
	if k.ack(g.call("DELETE", "/trusted-devices/"+d.UID, by), 204, dead) {
		d.fate = ended
	}
}

func (k *known) leaving(g *gate, d *held, dead chan struct{}) {
	d.fate = unsure
	if k.ack(g.call("POST", "/trusted-devices/logout", d.Access), 204, dead) {
		d.fate = ended
	}
}

func (k *known) signingIn(g *gate, dead chan struct{}) {
	for {
		r := g.signIn("alice")
		if r.status == 200 {
			k.mu.Lock()
			k.devices = append(k.devices, &held{tokens: r.tokens()})
			k.mu.Unlock()
		}
		if !k.ack(r, 200, dead) {
			return
		}
	}
}

func (k *known) addingUsers(g *gate, round int, dead chan struct{}) {
	for i := 0; ; i++ {
		name := fmt.Sprintf("user %d in round %d", i, round)
		r := g.call("POST", "/admin/users", "", "name", name, "password", secret)
		if r.status == 201 {
			k.mu.Lock()
			k.users = append(k.users, name)
			k.mu.Unlock()
		}
		if !k.ack(r, 201, dead) {
			return
		}
	}
}
