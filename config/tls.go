package config

import (
	"fmt"
	"net/netip"
)

// listener is a listener that can speak TLS, by the path of its keys.
type listener struct {
	path    string
	address Address
	tls     TLS
}

func (c *Config) listeners() []listener {
	return []listener{
		{"checks.http", c.Checks.HTTP.Address, c.Checks.HTTP.TLS}, {"checks.grpc", c.Checks.GRPC.Address, c.Checks.GRPC.TLS},
		{"api", c.API.Address, c.API.TLS}, {"admin", c.Admin.Address, c.Admin.TLS},
	}
}

// checkTLS demands a certificate with its key, and both for those who are to check others.
func (l *loader) checkTLS() {
	for _, on := range l.config.listeners() {
		cert, key, ca := on.path+".tls.cert_file", on.path+".tls.key_file", on.path+".tls.client_ca_file"
		switch {
		case on.tls.CertFile != "" && on.tls.KeyFile == "":
			l.conflict(fmt.Sprintf("%s is set without %s; a certificate serves nobody without its key", cert, key), cert, key)
		case on.tls.CertFile == "" && on.tls.KeyFile != "":
			l.conflict(fmt.Sprintf("%s is set without %s; a key serves nobody without its certificate", key, cert), key, cert)
		case on.tls.CertFile == "" && on.tls.ClientCAFile != "":
			l.conflict(fmt.Sprintf("%s is set without %s and its key; clients show certificates over TLS only", ca, cert), ca, cert)
		}
	}
}

// checkPeers lets every address ask only where each caller proves by a certificate who it is.
func (l *loader) checkPeers() {
	if p, path := l.config.unproven(); path != "" {
		l.conflict(fmt.Sprintf("checks.allowed_peers: %s would let everybody ask at %s, and a check tells who a stolen token belongs to; name the proxies' networks, or set %s.tls.client_ca_file",
			p, path, path), "checks.allowed_peers", path+".tls.client_ca_file", path+".address")
	}
}

// unproven returns a network of all addresses, and the path of the listener at which it lets them ask without a
// certificate; "" where there is none.
func (c *Config) unproven() (p netip.Prefix, path string) {
	for _, p := range c.Checks.AllowedPeers {
		if !everybody(p) {
			continue
		}
		for _, on := range c.listeners()[:2] {
			if on.address.Network == "tcp" && on.tls.ClientCAFile == "" {
				return p, on.path
			}
		}
	}
	return p, ""
}

// LetsEverybodyAsk says whether checks.allowed_peers holds all addresses while a listener of checks demands no
// certificate. No configuration that was loaded does, but one put together from two may.
func (c *Config) LetsEverybodyAsk() bool {
	_, path := c.unproven()
	return path != ""
}
