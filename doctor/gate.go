package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"devicegate/config"
	"devicegate/doctor/syntax"
)

// gateSite is the gate's own configuration, beside what the proxies ask it.
type gateSite struct {
	config  *config.Config // nil where it has faults
	faults  []config.Fault
	root    *syntax.Node // for the places; nil where it is empty
	file    string
	asks    []ask
	known   map[string]bool // the policies of all gates in the files
	proxies bool            // files of proxies were read as well
	pod     bool            // it runs in a pod, where it has to listen beyond loopback
}

// loadGate reads a configuration of the gate by the gate's own rules.
func loadGate(source config.Source, root *syntax.Node) *gateSite {
	g := &gateSite{root: root, file: source.File}
	c, err := config.Load(source)
	if faults, ok := err.(*config.Faults); ok { //nolint:errorlint // Load returns nothing else
		g.faults = *faults
		return g
	}
	g.config = c
	return g
}

// names returns the identity headers of the configuration.
func (g *gateSite) names() Names {
	if g.config == nil {
		return DefaultNames()
	}
	h := g.config.IdentityHeaders
	return Names{User: h.User, Roles: h.Roles, Device: h.Device, Assertion: h.Assertion}
}

// at returns the place of a key, letter by letter; that of the file where the key is not written.
func (g *gateSite) at(keys ...string) syntax.Place {
	place, n := syntax.Place{File: g.file, Line: 1}, g.root
	for _, key := range keys {
		found := false
		for _, e := range n.Each() {
			if e.Key == key {
				place, n, found = e.Place, e.Value, true
			}
		}
		if !found {
			return place
		}
	}
	return place
}

var gateRules = []rule[*gateSite]{
	{"gate-config", "a configuration of the gate that it would not start with", gateConfig},
	{"gate-policy-unknown", "a policy that a proxy names and the gate does not know: everybody is refused there", gatePolicyUnknown},
	{"gate-policy-unused", "a policy that no proxy names: the route that it was written for has another, or none", gatePolicyUnused},
	{"gate-report-mode", "a policy with `mode: report`: it refuses nobody", gateReport},
	{"gate-allowed-peers", "allowed_peers that hold a large public network", gatePeers},
	{"gate-plain-listener", "a listener without TLS that other machines can reach", gatePlain},
}

// gateConfig: the same as devicegate config check says.
func gateConfig(g *gateSite, say say) {
	for _, f := range g.faults {
		at := syntax.Place{File: f.File, Line: max(f.Line, 1)}
		if f.Variable != "" {
			at.File = f.Variable
		}
		say(at, f.Message, "devicegate config check shows all faults")
	}
}

// gatePolicyUnknown: the gate fails closed, with policy_unknown (contract, section 3; B22).
func gatePolicyUnknown(g *gateSite, say say) {
	if g.config == nil {
		return
	}
	for _, a := range g.asks {
		if !g.known[named(a)] {
			say(a.Place, fmt.Sprintf("the gate does not know the policy %.60q: everybody is refused there", a.policy), "a policy of that name in devicegate.yaml, or the name of one that is there")
		}
	}
}

// named is the policy that an ask means.
func named(a ask) string {
	if a.policy == "" {
		return config.DefaultPolicy
	}
	return a.policy
}

// gatePolicyUnused: docs/seam.md, the policy of a route, of each example; B22. It is judged only where files of
// proxies were read.
func gatePolicyUnused(g *gateSite, say say) {
	if g.config == nil || !g.proxies {
		return
	}
	used := map[string]bool{config.DefaultPolicy: true, g.config.Checks.GRPC.Policy: true}
	for _, a := range g.asks {
		used[named(a)] = true
	}
	for _, name := range sortedKeys(g.config.Policies) {
		if !used[name] {
			say(g.at("policies", name), fmt.Sprintf("no proxy names the policy %.60s: the route that it was written for has another, or none", name), "the policy at the route that it is for, or take it out")
		}
	}
}

// gateReport: docs/configuration.md, mode: it is for trying a policy, and refuses nobody.
func gateReport(g *gateSite, say say) {
	if g.config == nil {
		return
	}
	for _, name := range sortedKeys(g.config.Policies) {
		if g.config.Policies[name].Mode == config.PolicyReport {
			say(g.at("policies", name, "mode"), fmt.Sprintf("the policy %.60s refuses nobody: it only logs what it would refuse", name), "mode: enforce")
		}
	}
}

// gatePeers: who may ask may ask about anybody's token, in any policy (docs/threats.md). 256 addresses are a
// network of machines of one's own.
func gatePeers(g *gateSite, say say) {
	if g.config == nil || g.config.Checks.HTTP.TLS.ClientCAFile != "" && g.config.Checks.GRPC.TLS.ClientCAFile != "" {
		return
	}
	for _, p := range g.config.Checks.AllowedPeers {
		if public(p.Addr()) && p.Addr().BitLen()-p.Bits() > map[int]int{32: 8, 128: 64}[p.Addr().BitLen()] {
			say(g.at("checks", "allowed_peers"), fmt.Sprintf("all of %s may ask the gate", p), "allowed_peers: [the addresses of the proxies]")
		}
	}
}

func public(a netip.Addr) bool {
	return !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

// gatePlain: tokens, and on the API passwords, cross the network in the clear (docs/security.md).
func gatePlain(g *gateSite, say say) {
	if g.config == nil || g.pod { // who reaches a pod is said elsewhere, see gateExposed
		return
	}
	c := g.config
	for _, l := range []struct {
		keys    []string
		address config.Address
		tls     config.TLS
	}{
		{[]string{"checks", "http", "address"}, c.Checks.HTTP.Address, c.Checks.HTTP.TLS},
		{[]string{"checks", "grpc", "address"}, c.Checks.GRPC.Address, c.Checks.GRPC.TLS},
		{[]string{"api", "address"}, c.API.Address, c.API.TLS},
		{[]string{"admin", "address"}, c.Admin.Address, c.Admin.TLS},
	} {
		if !l.address.Local() && l.tls.CertFile == "" {
			say(g.at(l.keys...), fmt.Sprintf("tokens cross the network in the clear: %s is not of this machine alone and has no TLS", l.address), fmt.Sprintf("%s: {address: 127.0.0.1:PORT}, or tls: {cert_file: ..., key_file: ...}", l.keys[0]))
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
