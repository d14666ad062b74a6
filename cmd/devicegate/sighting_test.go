package main

import (
	"encoding/json"
	"syscall"
	"testing"
	"time"
)

// lost bounds how much of when devices were last seen a crash may lose.
const lost = 10 * time.Second

type seenDevice struct {
	UID      string    `json:"device_uid"`
	LastSeen time.Time `json:"last_seen"`
	LastIP   string    `json:"last_ip"`
}

// look returns a device as another device of its user sees it, which leaves no trace on it.
func (g *gate) look(t *testing.T, uid, by string) (d seenDevice) {
	t.Helper()
	r := g.call("GET", "/trusted-devices/"+uid, by).must(t, 200, "looking at a device")
	if err := json.Unmarshal([]byte(r.body), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestKillLosesLittleOfLastSeen: a device is checked until the service is killed. What the next service
// shows of it is at most ten seconds behind the last check, and what it shows it goes on showing.
func TestKillLosesLittleOfLastSeen(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := t.TempDir()
	g := startGate(t, dir)
	g.call("POST", "/admin/users", "", "name", "alice", "password", secret).must(t, 201, "making a user")
	d, watcher := g.signIn("alice").must(t, 200, "a sign-in").tokens(), g.signIn("alice").must(t, 200, "a sign-in").tokens()
	signedIn := g.look(t, d.UID, watcher.Access)

	// Use it for longer than may be lost, so that a service that writes nothing down is found out.
	start, ticks := time.Now(), 0
	g.wait(t, "it was used for long enough", func() bool {
		if ticks++; ticks%20 == 0 {
			g.check(d.Access).must(t, 200, "a check")
		}
		return time.Since(start) > lost+time.Second
	})
	g.check(d.Access).must(t, 200, "the last check")
	last := g.look(t, d.UID, watcher.Access)
	g.end(syscall.SIGKILL)

	g = startGate(t, dir)
	kept := g.look(t, d.UID, watcher.Access)
	if gap := last.LastSeen.Sub(kept.LastSeen); gap < 0 || gap > lost || !kept.LastSeen.After(signedIn.LastSeen) {
		t.Errorf("before the kill the device was seen at %v, after it at %v: %v are lost, want at most %v", last.LastSeen, kept.LastSeen, gap, lost)
	}
}
