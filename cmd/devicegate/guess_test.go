package main

import (
	"encoding/json"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// threshold is the default of the configuration.
const threshold = 5

// longLock keeps the lock from ending while a slow machine is busy: then there would be more guesses.
const longLock = "DEVICEGATE_LOCKOUT_BASE_DELAY=1h"

// TestGuessOverKill guesses 200 at a time, real hashes and all, and kills the service in the midst of it. Over
// all its lives no more guesses were looked at than the threshold, all that were answered were counted, each
// with its event in the same transaction, and the lock holds. A name that nobody has fares the same.
func TestGuessOverKill(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"alice", "nobody"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			g := startGate(t, dir, longLock)
			g.call("POST", "/admin/users", "", "name", "alice", "password", secret).must(t, 201, "making a user")
			answered := int64(0)
			for range 2 {
				answered += g.guess(t, name, 2)
				g = startGate(t, dir, longLock)
				if counted := g.counted(t, name); counted < answered || counted > threshold {
					t.Fatalf("%d guesses are counted after the kill, %d were answered", counted, answered)
				}
			}
			answered += g.guess(t, name, 0)
			g = startGate(t, dir, longLock)
			if counted := g.counted(t, name); counted != threshold || answered > threshold {
				t.Errorf("%d guesses are counted in the end, %d were answered, want %d", counted, answered, threshold)
			}
			g.signIn(name).must(t, 429, "the right password while locked")
		})
	}
}

// guess makes 200 wrong guesses at once and returns how many of them were answered as wrong. It kills the
// service after the first answers of that kind, or, with 0, when all are answered.
func (g *gate) guess(t *testing.T, name string, kill int64) int64 {
	t.Helper()
	var wrong atomic.Int64
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			switch g.call("POST", "/api/token", "", "username", name, "password", "wrong "+secret).status {
			case 401:
				if wrong.Add(1) == kill {
					g.end(syscall.SIGKILL)
				}
			case 429, 503, 0: // locked; busy, which counts nothing; killed
			default:
				t.Errorf("a guess is answered otherwise")
			}
		})
	}
	all.Wait()
	g.end(syscall.SIGKILL)
	return wrong.Load()
}

// counted returns the failures of the name from the tests' network, and demands as many events.
func (g *gate) counted(t *testing.T, name string) int64 {
	t.Helper()
	var counters struct {
		Results []struct {
			Network  string
			Failures int64
		}
	}
	path := "/admin/lockouts?all=true&user=" + url.QueryEscape(name)
	_ = json.Unmarshal([]byte(g.call("GET", path, "").must(t, 200, "the counters").body), &counters)
	var failures int64
	for _, c := range counters.Results {
		if c.Network != "" {
			failures = c.Failures
		}
	}
	var events struct {
		Results []struct {
			Reason string
			Name   string `json:"name_tried"`
		}
	}
	_ = json.Unmarshal([]byte(g.call("GET", "/admin/login-activity?outcome=failure&limit=500", "").must(t, 200, "the events").body), &events)
	var told int64
	for _, e := range events.Results {
		if e.Name == name && (e.Reason == "wrong_password" || e.Reason == "unknown_user") {
			told++
		}
	}
	if told != failures {
		t.Errorf("%d guesses of %s are counted, %d are recorded", failures, name, told)
	}
	return failures
}
