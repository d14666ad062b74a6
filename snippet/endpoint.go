package snippet

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"devicegate/config"
)

// endpoint is something that the proxy connects to.
type endpoint struct {
	Host       string // an IP address without brackets, or a name
	Port       string
	Unix       string // the path of the socket in place of host and port
	TLS        bool
	ClientCert bool   // the proxy has to show a certificate
	Name       string // in the certificate; only with TLS
	Everywhere bool   // the gate listens on every address, and Host is this machine's
}

// listener is an address of the gate's, and the key that it comes from.
type listener struct {
	key     string
	address config.Address
	tls     config.TLS
}

// endpoint returns how a proxy reaches the listener.
func (l listener) endpoint(p proxy, serverName string) (endpoint, error) {
	if l.tls.ClientCAFile != "" && p.certless {
		return endpoint{}, fmt.Errorf("%s.tls.client_ca_file is set, and %s has no certificate to show when it asks; give it a listener without, on loopback or a unix socket", l.key, p.name)
	}
	if l.address.Network == "unix" {
		return l.socket(p)
	}
	e, err := hostPort(l.address.Addr, l.key+".address")
	if err != nil || !l.tls.On() {
		return e, err
	}
	e.TLS, e.ClientCert, e.Name = true, l.tls.ClientCAFile != "", serverName
	if e.Name == "" && !e.isIP() {
		e.Name = e.Host
	}
	switch {
	case e.Name == "":
		return e, fmt.Errorf("%s speaks TLS, and its address has no name; say with --server-name which name its certificate is for", l.key)
	case isAddress(e.Name):
		return e, fmt.Errorf("--server-name %.40q is an address; say a name that the certificate of %s is for", e.Name, l.key)
	case !plainHost(e.Name):
		return e, fmt.Errorf("--server-name %.40q is no host name", e.Name)
	}
	return e, nil
}

// socket is the endpoint of a unix socket.
func (l listener) socket(p proxy) (endpoint, error) {
	path := l.address.Addr
	switch {
	case p.unixless:
		return endpoint{}, fmt.Errorf("%s.address is a unix socket, which %s cannot use; give it host:port", l.key, p.name)
	case l.tls.On():
		return endpoint{}, fmt.Errorf("%s speaks TLS over a unix socket, for which there is no snippet; take %s.tls away, the socket's permissions say who may connect", l.key, l.key)
	case !plainPath(path):
		return endpoint{}, fmt.Errorf("%s.address %.40q has a character that a snippet cannot hold; write letters, digits and / . _ ~ -", l.key, path)
	}
	return endpoint{Unix: path}, nil
}

// upstream is the application.
func upstream(address string) (endpoint, error) {
	if address == "" {
		address = "127.0.0.1:9000"
	}
	return hostPort(address, "--upstream")
}

// hostPort reads an address that is to be connected to.
func hostPort(address, key string) (endpoint, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return endpoint{}, fmt.Errorf("%s %.40q is not host:port", key, address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return endpoint{}, fmt.Errorf("%s %.40q has no port from 1 to 65535", key, address)
	} else if n == 0 {
		return endpoint{}, fmt.Errorf("%s %.40q takes another port at every start; name one", key, address)
	}
	e := endpoint{Host: host, Port: port}
	switch host {
	case "", "0.0.0.0":
		e.Host, e.Everywhere = "127.0.0.1", true
	case "::":
		e.Host, e.Everywhere = "::1", true
	case "localhost":
		e.Host = "127.0.0.1" // HAProxy asks a name server for it
	}
	if ip, err := netip.ParseAddr(e.Host); err == nil && ip.Zone() == "" {
		e.Host = ip.String()
	} else if !plainHost(e.Host) {
		return endpoint{}, fmt.Errorf("%s %.40q has a host that a snippet cannot hold; write an IP address without a zone, or a name", key, address)
	}
	return e, nil
}

func (e endpoint) isIP() bool { return isAddress(e.Host) }

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// IsName says whether the host has to be looked up.
func (e endpoint) IsName() bool { return e.Unix == "" && !e.isIP() }

// Address returns host:port.
func (e endpoint) Address() string { return net.JoinHostPort(e.Host, e.Port) }

func (e endpoint) scheme() string {
	if e.TLS {
		return "https://"
	}
	return "http://"
}

// Origin is the endpoint as nginx writes it.
func (e endpoint) Origin() string {
	if e.Unix != "" {
		return "http://unix:" + e.Unix
	}
	return e.scheme() + e.Address()
}

// NamedOrigin is a URL in whose host the name of the certificate stands, for a proxy that compares the two. Over
// a unix socket the host means nothing.
func (e endpoint) NamedOrigin() string {
	switch {
	case e.Unix != "":
		return "http://localhost"
	case e.TLS:
		return e.scheme() + net.JoinHostPort(e.Name, e.Port)
	}
	return e.Origin()
}

// CaddyUpstream is the endpoint as Caddy writes it.
func (e endpoint) CaddyUpstream() string {
	switch {
	case e.Unix != "":
		return "unix/" + e.Unix
	case e.TLS:
		return e.scheme() + e.Address()
	}
	return e.Address()
}

// Dst is where HAProxy's Lua connects to, in its words; "" is where the URL says.
func (e endpoint) Dst() string {
	switch {
	case e.Unix != "":
		return "unix@" + e.Unix
	case e.TLS && e.Name != e.Host:
		return e.Address()
	}
	return ""
}
