//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ownSocket refuses an admin socket that somebody else may have put there: the command line would send him
// passwords. It trusts root and oneself; anybody else only in a folder of his own that others cannot write
// to, as when root administers a service that runs as a user of its own. A socket that is not there is no
// error.
func ownSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the admin socket: %w", err)
	}
	owner := ownerOf(info)
	if owner == 0 || owner == os.Geteuid() {
		return nil
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("the admin socket: %w", err)
	}
	if os.Geteuid() == 0 && ownerOf(folder) == owner && folder.Mode().Perm()&0o022 == 0 {
		return nil
	}
	return fmt.Errorf("the admin socket %s belongs to another user (%d), who would be told what is typed here; if that is the service, run this as that user, or keep the socket in a folder that only he can write to", path, owner)
}

// ownerOf returns the user id of a file's owner, or -1 where it cannot be known.
func ownerOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}
