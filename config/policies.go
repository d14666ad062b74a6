package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// newPolicy returns the policy of an empty map.
func newPolicy() Policy {
	return Policy{
		RequireAllRoles: []string{},
		AllowedNetworks: []netip.Prefix{},
		RequireCountry:  []string{},
		DenyCountry:     []string{},
		Anonymous:       PolicyDeny,
		CORSPreflight:   PolicyDeny,
		Authorization:   PolicyKeep,
		Mode:            PolicyEnforce,
	}
}

// policies is the map of policies. The default policy stays where the file does not name it.
func policies(path string, to *map[string]Policy) key {
	return key{path: path, value: valueOf(to), decode: func(w *walker, n ast.Node) {
		if isNull(n) {
			return
		}
		for _, e := range w.entries(path, n) {
			if _, err := shortName(e.name); err != nil {
				w.complain(e.key, path+": "+err.Error())
				continue
			}
			inner := path + "." + e.name
			if isNull(e.value) {
				// Demands that were commented out, or lost by a template, must not become a policy
				// that lets every device pass.
				w.fault(inner, e.key, fmt.Errorf("nothing is written here; write {} if every live device may pass"))
				continue
			}
			policy := newPolicy()
			w.section(inner, e.value, written(policyKeys(inner, &policy)))
			w.checkPolicy(inner, policy)
			(*to)[e.name] = policy
		}
	}}
}

// policyKeys is the table of the keys of the policy at path.
func policyKeys(path string, p *Policy) []key {
	yesNo := oneOf(PolicyDeny, PolicyAllow)
	return []key{
		oneOfRoles(path+".require_roles", &p.RequireRoles),
		bounded(path+".require_all_roles", &p.RequireAllRoles, shortName, maxRoles),
		one(path+".min_device_age", &p.MinDeviceAge, durations(0, 3650*day)),
		one(path+".max_device_age", &p.MaxDeviceAge, durations(0, 3650*day)),
		bounded(path+".allowed_networks", &p.AllowedNetworks, clientNetwork, maxPlaces),
		bounded(path+".require_country", &p.RequireCountry, country, maxPlaces),
		bounded(path+".deny_country", &p.DenyCountry, country, maxPlaces),
		one(path+".anonymous", &p.Anonymous, yesNo),
		one(path+".cors_preflight", &p.CORSPreflight, yesNo),
		one(path+".authorization", &p.Authorization, oneOf(PolicyKeep, PolicyRemove)),
		one(path+".mode", &p.Mode, oneOf(PolicyEnforce, PolicyReport)),
	}
}

// written makes null a fault of each key. Elsewhere null leaves the default; here that is a demand which
// everybody meets.
func written(keys []key) []key {
	for i, k := range keys {
		keys[i].decode = func(w *walker, n ast.Node) {
			if isNull(n) {
				w.fault(k.path, n, fmt.Errorf("nothing is written here; write a value, or leave the key out"))
				return
			}
			k.decode(w, n)
		}
	}
	return keys
}

// Bounds of demands. A user has no more roles, so a longer list is a mistake.
const (
	maxRoles  = 32
	maxPlaces = 1000 // networks or countries
)

// bounded is a list of at most so many values. An empty one demands nothing.
func bounded[T any](path string, to *[]T, parse func(string) (T, error), most int) key {
	k := list(path, to, parse)
	decode := k.decode
	k.decode = func(w *walker, n ast.Node) {
		decode(w, n)
		if w.sound(path) && len(*to) > most {
			w.fault(path, n, fmt.Errorf("%d of them; at most %d are allowed", len(*to), most))
		}
	}
	return k
}

// oneOfRoles is a list of roles that is not empty: "one of none" could be read as everybody and as nobody.
func oneOfRoles(path string, to *[]string) key {
	k := bounded(path, to, shortName, maxRoles)
	decode := k.decode
	k.decode = func(w *walker, n ast.Node) {
		decode(w, n)
		if w.sound(path) && len(*to) == 0 {
			w.fault(path, n, fmt.Errorf("names no role; leave the key out if every role may pass"))
		}
	}
	return k
}

// checkPolicy holds the demands of one policy to each other.
func (w *walker) checkPolicy(path string, p Policy) {
	if p.MaxDeviceAge != 0 && p.MaxDeviceAge <= p.MinDeviceAge {
		w.conflict(fmt.Sprintf("%s.max_device_age is %s, not over min_device_age, which is %s; no device could pass",
			path, showDuration(p.MaxDeviceAge), showDuration(p.MinDeviceAge)), path+".max_device_age", path+".min_device_age")
	}
	for _, c := range p.RequireCountry {
		if slices.Contains(p.DenyCountry, c) {
			w.conflict(fmt.Sprintf("%s: %s is in require_country and in deny_country; leave it out of one", path, c),
				path+".require_country", path+".deny_country")
		}
	}
}

// clientNetwork is the rule for the networks of a policy.
func clientNetwork(text string) (netip.Prefix, error) {
	p, err := parseNetwork(text)
	if err == nil && everybody(p) {
		return netip.Prefix{}, fmt.Errorf("%s is every address; leave the key out if clients may come from anywhere", text)
	}
	return p, err
}

// country is the rule for a country. UK is the slip that would let pass whom deny_country is to refuse.
func country(text string) (string, error) {
	if len(text) != 2 || strings.ContainsFunc(text, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return "", fmt.Errorf("%s is not a country; write its ISO 3166-1 code of two capital letters, such as AT", quote(text))
	}
	if text == "UK" {
		return "", fmt.Errorf("no address is in UK; the ISO 3166-1 code of the United Kingdom is GB")
	}
	return text, nil
}

// checkCountries demands a file to look countries up in: without it every place is unknown.
func (l *loader) checkCountries() {
	if l.config.Geo.MMDBFile != "" {
		return
	}
	for _, name := range sortedKeys(l.config.Policies) {
		p := l.config.Policies[name]
		need := func(key string, countries []string) {
			if path := "policies." + name + "." + key; len(countries) > 0 {
				l.conflict(path+" needs geo.mmdb_file, where the place of an address is looked up; a provider (geo.http_url) is too slow for a check",
					path, "geo.mmdb_file")
			}
		}
		need("require_country", p.RequireCountry)
		need("deny_country", p.DenyCountry)
	}
}

// warnPolicies tells of policies that let pass more than their demands say.
func (l *loader) warnPolicies() {
	for _, name := range sortedKeys(l.config.Policies) {
		p := l.config.Policies[name]
		demands := len(p.RequireRoles) + len(p.RequireAllRoles)
		if p.Anonymous == PolicyAllow && (demands > 0 || p.MinDeviceAge > 0 || p.MaxDeviceAge > 0) {
			l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(
				"policies.%s lets pass whoever sends no token (anonymous: allow), so that its demands of roles and device ages hold only for those who send one", name))
		}
		if p.Mode == PolicyReport {
			l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(
				"policies.%s only reports (mode: report): every request passes, without an identity; nothing behind it is protected", name))
		}
	}
}
