package config_test

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"devicegate/config"

	"github.com/google/go-cmp/cmp"
)

// FuzzLoad: no file makes Load panic; a refused one has faults of one line with a place inside the
// file; an accepted one, written out and read again, is the same configuration.
func FuzzLoad(f *testing.F) {
	for _, c := range slices.Concat(badFiles, badPolicies, badIssuers) {
		f.Add(c.text)
	}
	for _, name := range []string{"testdata/defaults.yaml", "testdata/faults.yaml", "testdata/policies.yaml", "testdata/issuers.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		src := config.Source{File: write(t, text), FileRequired: true}
		c, err := config.Load(src)
		if err != nil {
			checkFaults(t, text, err)
			return
		}
		again := mustLoad(t, config.Source{File: write(t, spell(c))})
		if diff := cmp.Diff(*c, again, comparePrefixes); diff != "" {
			t.Errorf("read again (-first +second):\n%s\n%s", diff, spell(c))
		}
	})
}

func checkFaults(t *testing.T, text string, err error) {
	t.Helper()
	faults := *err.(*config.Faults)
	last := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
	for _, fault := range faults {
		if fault.Line < 1 || fault.Line > last || fault.Column < 1 || strings.ContainsAny(fault.Message, "\r\n") || fault.Message == "" {
			t.Errorf("fault %#v in a text of %d lines", fault, last)
		}
	}
}

// spell writes a configuration out as a file.
func spell(c *config.Config) string {
	var b strings.Builder
	put := func(path string, value any) { fmt.Fprintf(&b, "%s: %v\n", path, value) }
	put("store", fmt.Sprintf("{path: %q, encryption_key_file: %q}", c.Store.Path, c.Store.EncryptionKeyFile))
	put("checks", fmt.Sprintf("{http: {address: %q, tls: %s}, grpc: {address: %q, tls: %s, policy: %q}, allowed_peers: %s}",
		c.Checks.HTTP.Address, spellTLS(c.Checks.HTTP.TLS), c.Checks.GRPC.Address, spellTLS(c.Checks.GRPC.TLS), c.Checks.GRPC.Policy, networks(c.Checks.AllowedPeers)))
	put("api", fmt.Sprintf("{address: %q, tls: {cert_file: %q, key_file: %q}, base_path: %q, cors_allowed_origins: %s, sign_in_rate: %s}",
		c.API.Address, c.API.TLS.CertFile, c.API.TLS.KeyFile, c.API.BasePath, "["+strings.Join(quoted(c.API.CORSAllowedOrigins), ", ")+"]", c.API.SignInRate))
	put("admin", fmt.Sprintf("{socket: %q, address: %q, tls: %s}", c.Admin.Socket, c.Admin.Address, spellTLS(c.Admin.TLS)))
	put("operations", fmt.Sprintf("{address: %q}", c.Operations.Address))
	put("trusted_proxies", networks(c.TrustedProxies))
	put("tokens", fmt.Sprintf("{issuer: %q, audience: %q, access_lifetime: %s, refresh_lifetime: %s, leeway: %s, refresh_rotation: %t, refresh_grace: %s, "+
		"algorithm: %s, signing_key_file: %q, key_rotation: %s}",
		c.Tokens.Issuer, c.Tokens.Audience, c.Tokens.AccessLifetime, c.Tokens.RefreshLifetime, c.Tokens.Leeway, c.Tokens.RefreshRotation, c.Tokens.RefreshGrace,
		c.Tokens.Algorithm, c.Tokens.SigningKeyFile, c.Tokens.KeyRotation))
	put("passwords", fmt.Sprintf("{min_length: %d, max_concurrent: %d, argon2id: {memory: %dKiB, iterations: %d, parallelism: %d}}",
		c.Passwords.MinLength, c.Passwords.MaxConcurrent, c.Passwords.Argon2id.Memory>>10, c.Passwords.Argon2id.Iterations, c.Passwords.Argon2id.Parallelism))
	var limits []string
	for role, n := range c.Devices.MaxDevicesByRole {
		limits = append(limits, fmt.Sprintf("%q: %d", role, n))
	}
	sort.Strings(limits)
	d := c.Devices
	put("devices", fmt.Sprintf("{max_devices: %d, hard_limit: %d, max_lifetime: %s, max_devices_by_role: {%s}, on_limit: %s, "+
		"delete_delay: %s, update_delay: %s, seniority_delay: %s, allow_delete: %t, allow_update: %t, "+
		"default_can_update_other_devices: %t, default_can_delete_other_devices: %t, reuse_known_device: %t, "+
		"ip_change: {action: %s, window: %s, exempt: %s}}",
		d.MaxDevices, d.HardLimit, d.MaxLifetime, strings.Join(limits, ", "), d.OnLimit,
		d.DeleteDelay, d.UpdateDelay, d.SeniorityDelay, d.AllowDelete, d.AllowUpdate,
		d.DefaultCanUpdateOthers, d.DefaultCanDeleteOthers, d.ReuseKnownDevice,
		d.IPChange.Action, d.IPChange.Window, networks(d.IPChange.Exempt)))
	var policies []string
	for name, p := range c.Policies {
		policies = append(policies, fmt.Sprintf("%q: %s", name, spellPolicy(p)))
	}
	sort.Strings(policies)
	put("policies", "{"+strings.Join(policies, ", ")+"}")
	h := c.IdentityHeaders
	put("identity_headers", fmt.Sprintf("{user: %q, roles: %q, device: %q, assertion: %q}", h.User, h.Roles, h.Device, h.Assertion))
	var issuers []string
	for _, i := range c.Issuers {
		issuers = append(issuers, spellIssuer(i))
	}
	put("issuers", "["+strings.Join(issuers, ", ")+"]")
	put("activity", fmt.Sprintf("{retention: %s, max_per_user: %d, max_total: %d}", c.Activity.Retention, c.Activity.MaxPerUser, c.Activity.MaxTotal))
	o := c.Lockout
	put("lockout", fmt.Sprintf("{threshold: %d, name_threshold: %d, base_delay: %s, max_delay: %s, window: %s, exempt_networks: %s}",
		o.Threshold, o.NameThreshold, o.BaseDelay, o.MaxDelay, o.Window, networks(o.ExemptNetworks)))
	put("geo", fmt.Sprintf("{mmdb_file: %q, http_url: %q, http_timeout: %s}", c.Geo.MMDBFile, c.Geo.HTTPURL, c.Geo.HTTPTimeout))
	put("log", fmt.Sprintf("{level: %s, format: %s, allowed_sample: %d}", c.Log.Level, c.Log.Format, c.Log.AllowedSample))
	put("shutdown_timeout", c.ShutdownTimeout)
	return b.String()
}

func networks(list []netip.Prefix) string {
	words := []string{}
	for _, p := range list {
		words = append(words, fmt.Sprintf("%q", p))
	}
	return "[" + strings.Join(words, ", ") + "]"
}

func spellTLS(t config.TLS) string {
	return fmt.Sprintf("{cert_file: %q, key_file: %q, client_ca_file: %q}", t.CertFile, t.KeyFile, t.ClientCAFile)
}

func spellPolicy(p config.Policy) string {
	roles := ""
	if len(p.RequireRoles) > 0 {
		roles = fmt.Sprintf("require_roles: [%s], ", strings.Join(quoted(p.RequireRoles), ", "))
	}
	return fmt.Sprintf("{%srequire_all_roles: [%s], min_device_age: %s, max_device_age: %s, allowed_networks: %s, require_country: [%s], "+
		"deny_country: [%s], anonymous: %s, cors_preflight: %s, authorization: %s, mode: %s}",
		roles, strings.Join(quoted(p.RequireAllRoles), ", "), p.MinDeviceAge, p.MaxDeviceAge, networks(p.AllowedNetworks),
		strings.Join(quoted(p.RequireCountry), ", "), strings.Join(quoted(p.DenyCountry), ", "),
		p.Anonymous, p.CORSPreflight, p.Authorization, p.Mode)
}

func spellIssuer(i config.Issuer) string {
	var roles []string
	for theirs, ours := range i.Roles {
		roles = append(roles, fmt.Sprintf("%q: %q", theirs, ours))
	}
	sort.Strings(roles)
	return fmt.Sprintf("{name: %q, algorithms: [%s], secret_file: %q, jwks_url: %q, jwks_file: %q, public_key_file: %q, "+
		"issuer: %q, audience: %q, accept_any_audience: %t, max_lifetime: %s, leeway: %s, "+
		"claims: {user_id: %q, username: %q, roles: %q, device_uid: %q}, roles: {%s}, unknown_device: %s, max_devices: %d, refresh: %q}",
		i.Name, strings.Join(i.Algorithms, ", "), i.SecretFile, i.JWKSURL, i.JWKSFile, i.PublicKeyFile,
		i.Issuer, i.Audience, i.AcceptAnyAudience, i.MaxLifetime, i.Leeway,
		i.Claims.UserID, i.Claims.Username, i.Claims.Roles, i.Claims.DeviceUID, strings.Join(roles, ", "), i.UnknownDevice, i.MaxDevices, i.Refresh)
}

func quoted(words []string) []string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = fmt.Sprintf("%q", word)
	}
	return out
}
