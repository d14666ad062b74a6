//go:build unix

package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever made the socket is told the passwords that are typed. Root alone can try what others would do;
// everybody else sees that his own socket is his.
func TestOwnSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "dg") // short: the kernel bounds the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "sock")
	if err := ownSocket(path); err != nil {
		t.Errorf("no socket at all: %v", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if err := ownSocket(path); err != nil {
		t.Errorf("one's own socket: %v", err)
	}
	if os.Geteuid() != 0 {
		return
	}
	const nobody, somebody = 65534, 65533
	for _, c := range []struct {
		name          string
		folderOwner   int
		folderMode    os.FileMode
		wantSomething bool
	}{
		{"a service's socket in a folder of its own", nobody, 0o755, false},
		{"the same, where its group may write", nobody, 0o775, true},
		{"a stranger's in a folder for all", 0, 0o777 | os.ModeSticky, true},
		{"a stranger's in root's folder", 0, 0o755, true},
		{"a stranger's in somebody's folder", somebody, 0o755, true},
	} {
		for _, err := range []error{os.Chown(path, nobody, nobody), os.Chown(dir, c.folderOwner, -1), os.Chmod(dir, c.folderMode)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		err := ownSocket(path)
		if (err != nil) != c.wantSomething || err != nil && !strings.Contains(err.Error(), "belongs to another user") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
