package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// Address is where a listener stands, in the form net.Listen takes. The zero Address is off.
type Address struct {
	Network string // "tcp", "unix", or "" for off
	Addr    string // host:port, or the absolute path of the socket
}

// Off says whether nothing listens.
func (a Address) Off() bool { return a.Network == "" }

// String returns the address as it is written in a configuration.
func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Addr
	}
	return a.Addr
}

// Local says whether only this machine can reach the address: a unix socket, a loopback address,
// localhost, or off. It fails closed: a name that may be anything is not local.
func (a Address) Local() bool {
	if a.Network != "tcp" {
		return true
	}
	host, _, err := net.SplitHostPort(a.Addr)
	if err != nil {
		return false
	}
	return loopbackHost(host)
}

// loopbackHost says whether a host is this machine for certain: a loopback address or localhost.
func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// parseAddress reads host:port, unix:/path, or "" for off.
func parseAddress(text string) (Address, error) {
	if text == "" {
		return Address{}, nil
	}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return Address{}, fmt.Errorf("%s is not an absolute path; write unix:/path", quote(text))
		}
		if err := checkSocket(path); err != nil {
			return Address{}, err
		}
		return Address{"unix", path}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return Address{}, fmt.Errorf(`%s is not an address; write host:port, unix:/path, or "" for off`, quote(text))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return Address{}, fmt.Errorf("%s has no port from 0 to 65535", quote(text))
	}
	host, err = hostName(host)
	if err != nil {
		return Address{}, err
	}
	return Address{"tcp", net.JoinHostPort(host, strconv.FormatUint(n, 10))}, nil
}

// hostName checks the host of a listener: an IP address, a name, or "" for all addresses.
func hostName(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String(), nil
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	for _, r := range host {
		if !isAlphanumeric(r) && r != '.' && r != '-' && r != '_' {
			return "", fmt.Errorf("%s is neither an IP address nor a host name", quote(host))
		}
	}
	// 127.1 and 300.0.0.1 would be asked of the name service.
	if last != "" && strings.Trim(last, "0123456789") == "" {
		return "", fmt.Errorf("%s is not an IP address", quote(host))
	}
	return strings.ToLower(host), nil
}

// clashes says whether the two addresses cannot be listened on at once.
func (a Address) clashes(b Address) bool {
	if a.Network != b.Network || a.Off() {
		return false
	}
	if a.Network == "unix" {
		return filepath.Clean(a.Addr) == filepath.Clean(b.Addr)
	}
	hostA, portA, errA := net.SplitHostPort(a.Addr)
	hostB, portB, errB := net.SplitHostPort(b.Addr)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	// net.Listen takes each of these as all addresses, of IPv4 and IPv6.
	all := func(host string) bool { return host == "" || host == "::" || host == "0.0.0.0" }
	return hostA == hostB || all(hostA) || all(hostB)
}

// maxSocketPath is what fits into the kernel's sockaddr_un beside its closing zero.
const maxSocketPath = 107

// checkSocket checks the path of a unix socket.
func checkSocket(path string) error {
	switch {
	case len(path) > maxSocketPath:
		return fmt.Errorf("the socket's path %s has %d bytes; the kernel takes %d", quote(path), len(path), maxSocketPath)
	case strings.HasPrefix(path, "@"):
		// Linux gives such a socket no file, hence no permissions: everybody on the machine could ask.
		return fmt.Errorf("the socket's path %s must not start with @", quote(path))
	}
	return checkPath(path)
}

// checkPath checks the path of a file.
func checkPath(path string) error {
	switch {
	case strings.HasSuffix(path, "/"):
		return fmt.Errorf("%s is a folder; name a file", quote(path))
	case strings.ContainsFunc(path, isControl):
		return fmt.Errorf("%s contains a control character", quote(path))
	}
	return nil
}

// filePath is the rule for store.path.
func filePath(text string) (string, error) {
	if text == "" {
		return "", fmt.Errorf("must not be empty; name a file")
	}
	return text, checkPath(text)
}

// optionalFile is the rule for a file that may be left out: "" or the path of a file to read.
func optionalFile(text string) (string, error) { return text, checkPath(text) }

// socketPath is the rule for admin.socket.
func socketPath(text string) (string, error) {
	if strings.HasPrefix(text, "unix:") {
		return "", fmt.Errorf("%s: write the path alone, without unix: before it", quote(text))
	}
	return text, checkSocket(text)
}
