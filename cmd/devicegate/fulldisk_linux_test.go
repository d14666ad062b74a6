package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFullDisk: where nothing can be written, nothing is handed out, and whoever is in stays in. When
// there is room again the service goes on by itself.
func TestFullDisk(t *testing.T) {
	t.Run("file size limit", func(t *testing.T) {
		testFullDisk(t, t.TempDir(), func(g *gate, full bool) error {
			limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
			if full {
				limit.Cur = 8 << 10 // the two headers: any page behind them is too far
			}
			return unix.Prlimit(g.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil)
		})
	})
	t.Run("tmpfs", func(t *testing.T) {
		dir := t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
			t.Skipf("LEFT OUT: a file system that is really full, which only root can mount: %v", err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		})
		filler := filepath.Join(dir, "filler")
		testFullDisk(t, dir, func(_ *gate, full bool) error {
			if !full {
				return os.Remove(filler)
			}
			err := os.WriteFile(filler, make([]byte, 4<<20), 0o600)
			if !errors.Is(err, syscall.ENOSPC) {
				return errors.New("the file system is not full")
			}
			return nil
		})
	})
}

func testFullDisk(t *testing.T, dir string, setFull func(g *gate, full bool) error) {
	g := startGate(t, dir)
	defer g.end(syscall.SIGTERM) // before the file system goes
	g.call("POST", "/admin/users", "", "name", "alice", "password", secret).must(t, 201, "making a user")
	own := g.signIn("alice").must(t, 200, "a sign-in").tokens()
	if err := setFull(g, true); err != nil {
		t.Fatal(err)
	}
	refused := fillUp(t, g)
	if strings.Contains(refused.body, "access") || !strings.Contains(refused.body, `"store_unavailable"`) || refused.header.Get("Retry-After") == "" {
		t.Errorf("a sign-in without room answered %v %s, want store_unavailable, Retry-After and no token", refused.header, refused.body)
	}
	g.check(own.Access).must(t, 200, "a check without room")
	g.verify(own.Access).must(t, 200, "verify without room")
	g.verify(own.Refresh).must(t, 200, "verify of a refresh token without room")
	g.wantWritesRefused(t, true)

	if err := setFull(g, false); err != nil {
		t.Fatal(err)
	}
	g.signIn("alice").must(t, 200, "a sign-in with room again")
	g.wantWritesRefused(t, false)
	next := g.refresh(own.Refresh).must(t, 200, "a refresh with room again").tokens()
	g.call("POST", "/trusted-devices/logout", next.Access).must(t, 204, "a logout with room again")
	g.check(own.Access).must(t, 401, "a check of the device that logged out")
}

// fillUp signs in until the store refuses: it may have pages left that it can use again.
func fillUp(t *testing.T, g *gate) reply {
	t.Helper()
	for range 200 {
		switch r := g.signIn("alice"); r.status {
		case 200:
		case 503:
			return r
		default:
			t.Fatalf("a sign-in without room = %d %s, want 503", r.status, r.body)
		}
	}
	t.Fatal("the store never got full")
	return reply{}
}

// wantWritesRefused demands that whoever watches the gate is told so or not, and that it is ready in any case: checks are
// answered.
func (g *gate) wantWritesRefused(t *testing.T, want bool) {
	t.Helper()
	operations := func(path string) string {
		return send(g.people, "GET", "http://"+g.address["operations"]+path, "").must(t, 200, "%s", path).body
	}
	if body := operations("/readyz"); !strings.Contains(body, `"status":"ready"`) || strings.Contains(body, `"writes_refused":true`) != want {
		t.Errorf("/readyz = %s, want writes_refused: %v", body, want)
	}
	line := map[bool]string{true: "\ndevicegate_store_writes_refused 1\n", false: "\ndevicegate_store_writes_refused 0\n"}[want]
	if !strings.Contains(operations("/metrics"), line) {
		t.Errorf("the metrics lack %q", line)
	}
}
