package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"devicegate/config"
)

// umask is the process's, so only one listener at a time may change it.
var umask sync.Mutex

// listen takes the address of one listener and logs where it is. It returns nil for one that is off.
func (s *Server) listen(name string, address config.Address) (net.Listener, error) {
	key := strings.TrimSuffix(name, ".address") + ".address"
	if address.Off() {
		return nil, nil
	}
	if address.Network == "unix" {
		if err := removeStale(address.Addr); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	l, err := net.Listen(address.Network, address.Addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	s.listening(name, l, address)
	return l, nil
}

func (s *Server) listening(name string, l net.Listener, address config.Address) {
	at := l.Addr().String()
	if address.Network == "unix" {
		at = address.String()
	}
	s.mu.Lock()
	s.addresses[name] = at
	s.mu.Unlock()
	s.log.Info().Str("listener", name).Str("address", at).Msg("listening")
	if !address.Local() && s.certificates[name] == nil {
		s.log.Warn().Str("listener", name).Str("address", at).
			Msg("this listener is plain and can be reached from other machines: whoever is on the way reads tokens; keep it on loopback or in a network of your own")
	}
}

// listenAdmin takes the admin socket. Whoever can open it may do anything, so it is made for its owner
// alone from the first moment.
func (s *Server) listenAdmin() (net.Listener, error) {
	path := s.config.AdminSocket()
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("admin.socket: %w", err)
	}
	umask.Lock()
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	umask.Unlock()
	if err != nil {
		return nil, fmt.Errorf("admin.socket: %w", err)
	}
	s.listening("admin", l, config.Address{Network: "unix", Addr: path})
	return l, nil
}

// removeStale removes a socket that a killed process left behind. One that somebody answers on is in use,
// and what is no socket is not ours to remove.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket; move it away or name another path", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("another process listens on %s", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s is a socket that cannot be asked: %w", path, err)
	}
	return os.Remove(path)
}

// Addresses returns where the listeners are, by name, once Run has opened them. The caller owns the map.
func (s *Server) Addresses() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]string, len(s.addresses))
	for name, at := range s.addresses {
		all[name] = at
	}
	return all
}
