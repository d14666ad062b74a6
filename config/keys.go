package config

import (
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// key is one configuration key: its dotted path, and how its value is read into a Config.
type key struct {
	path string
	// parse reads the text of a variable or flag; nil for a map and for a list of
	// maps, which only the file can hold.
	parse func(text string) []error
	// decode reads the value of the key in the file.
	decode func(w *walker, n ast.Node)
	// value returns what the key is set to.
	value func() any
}

// keys is the table of all keys. The functions at the end of each row are its rules: format and
// bounds. Rules across keys stand in checkTogether.
func keys(c *Config) []key {
	return []key{
		one("store.path", &c.Store.Path, filePath),
		one("store.encryption_key_file", &c.Store.EncryptionKeyFile, optionalFile),

		one("checks.http.address", &c.Checks.HTTP.Address, parseAddress),
		one("checks.http.tls.cert_file", &c.Checks.HTTP.TLS.CertFile, optionalFile),
		one("checks.http.tls.key_file", &c.Checks.HTTP.TLS.KeyFile, optionalFile),
		one("checks.http.tls.client_ca_file", &c.Checks.HTTP.TLS.ClientCAFile, optionalFile),
		one("checks.grpc.address", &c.Checks.GRPC.Address, parseAddress),
		one("checks.grpc.tls.cert_file", &c.Checks.GRPC.TLS.CertFile, optionalFile),
		one("checks.grpc.tls.key_file", &c.Checks.GRPC.TLS.KeyFile, optionalFile),
		one("checks.grpc.tls.client_ca_file", &c.Checks.GRPC.TLS.ClientCAFile, optionalFile),
		one("checks.grpc.policy", &c.Checks.GRPC.Policy, shortName),
		list("checks.allowed_peers", &c.Checks.AllowedPeers, parseNetwork),

		one("api.address", &c.API.Address, parseAddress),
		one("api.tls.cert_file", &c.API.TLS.CertFile, optionalFile),
		one("api.tls.key_file", &c.API.TLS.KeyFile, optionalFile),
		one("api.base_path", &c.API.BasePath, basePath),
		list("api.cors_allowed_origins", &c.API.CORSAllowedOrigins, pageOrigin),
		one("api.sign_in_rate", &c.API.SignInRate, ParseRate),
		one("admin.socket", &c.Admin.Socket, socketPath),
		one("admin.address", &c.Admin.Address, parseAddress),
		one("admin.tls.cert_file", &c.Admin.TLS.CertFile, optionalFile),
		one("admin.tls.key_file", &c.Admin.TLS.KeyFile, optionalFile),
		one("admin.tls.client_ca_file", &c.Admin.TLS.ClientCAFile, optionalFile),
		one("operations.address", &c.Operations.Address, parseAddress),

		list("trusted_proxies", &c.TrustedProxies, proxyNetwork),

		one("tokens.issuer", &c.Tokens.Issuer, claim),
		one("tokens.audience", &c.Tokens.Audience, claim),
		one("tokens.algorithm", &c.Tokens.Algorithm, oneOf("EdDSA", "ES256", "RS256")),
		one("tokens.access_lifetime", &c.Tokens.AccessLifetime, wholeSeconds(durations(time.Minute, day))),
		one("tokens.refresh_lifetime", &c.Tokens.RefreshLifetime, durations(time.Minute, 3650*day)),
		one("tokens.refresh_rotation", &c.Tokens.RefreshRotation, yesOrNo),
		one("tokens.refresh_grace", &c.Tokens.RefreshGrace, durations(0, time.Hour)),
		one("tokens.leeway", &c.Tokens.Leeway, wholeSeconds(durations(0, time.Minute))),
		one("tokens.signing_key_file", &c.Tokens.SigningKeyFile, optionalFile),
		one("tokens.key_rotation", &c.Tokens.KeyRotation, orZero(durations(2*time.Hour, 3650*day))),

		one("passwords.min_length", &c.Passwords.MinLength, numbers(8, 256)),
		one("passwords.max_concurrent", &c.Passwords.MaxConcurrent, numbers(0, 1024)),
		one("passwords.argon2id.memory", &c.Passwords.Argon2id.Memory, sizes(19*mebibyte, gibibyte)),
		one("passwords.argon2id.iterations", &c.Passwords.Argon2id.Iterations, numbers(2, 64)),
		one("passwords.argon2id.parallelism", &c.Passwords.Argon2id.Parallelism, numbers(1, 16)),

		one("devices.max_devices", &c.Devices.MaxDevices, numbers(0, 1000)),
		table("devices.max_devices_by_role", &c.Devices.MaxDevicesByRole, numbers(1, 1000)),
		one("devices.on_limit", &c.Devices.OnLimit, oneOf(EvictLeastRecent, EvictOldest, RefuseSignIn)),
		one("devices.hard_limit", &c.Devices.HardLimit, numbers(1, 1000)),
		one("devices.max_lifetime", &c.Devices.MaxLifetime, orZero(durations(time.Minute, 36500*day))),

		one("devices.delete_delay", &c.Devices.DeleteDelay, durations(0, 3650*day)),
		one("devices.update_delay", &c.Devices.UpdateDelay, durations(0, 3650*day)),
		one("devices.seniority_delay", &c.Devices.SeniorityDelay, durations(0, 3650*day)),
		one("devices.allow_delete", &c.Devices.AllowDelete, yesOrNo),
		one("devices.allow_update", &c.Devices.AllowUpdate, yesOrNo),
		one("devices.default_can_update_other_devices", &c.Devices.DefaultCanUpdateOthers, yesOrNo),
		one("devices.default_can_delete_other_devices", &c.Devices.DefaultCanDeleteOthers, yesOrNo),
		one("devices.reuse_known_device", &c.Devices.ReuseKnownDevice, yesOrNo),
		one("devices.ip_change.action", &c.Devices.IPChange.Action, oneOf(IPChangeOff, IPChangeNote, IPChangeRevoke)),
		one("devices.ip_change.window", &c.Devices.IPChange.Window, durations(0, day)),
		list("devices.ip_change.exempt", &c.Devices.IPChange.Exempt, parseNetwork),

		policies("policies", &c.Policies),

		one("identity_headers.user", &c.IdentityHeaders.User, headerName),
		one("identity_headers.roles", &c.IdentityHeaders.Roles, headerName),
		one("identity_headers.device", &c.IdentityHeaders.Device, headerName),
		one("identity_headers.assertion", &c.IdentityHeaders.Assertion, optionalHeader),

		issuers("issuers", &c.Issuers),

		one("activity.retention", &c.Activity.Retention, durations(time.Hour, 3650*day)),
		one("activity.max_per_user", &c.Activity.MaxPerUser, numbers(10, 1_000_000)),
		one("activity.max_total", &c.Activity.MaxTotal, numbers(1000, 100_000_000)),

		one("lockout.threshold", &c.Lockout.Threshold, numbers(1, 1000)),
		one("lockout.name_threshold", &c.Lockout.NameThreshold, numbers(1, 100_000)),
		one("lockout.base_delay", &c.Lockout.BaseDelay, durations(time.Second, day)),
		one("lockout.max_delay", &c.Lockout.MaxDelay, durations(time.Second, 30*day)),
		one("lockout.window", &c.Lockout.Window, durations(time.Minute, 365*day)),
		list("lockout.exempt_networks", &c.Lockout.ExemptNetworks, exemptNetwork),

		one("geo.mmdb_file", &c.Geo.MMDBFile, optionalFile),
		one("geo.http_url", &c.Geo.HTTPURL, lookupURL),
		one("geo.http_timeout", &c.Geo.HTTPTimeout, durations(100*time.Millisecond, 30*time.Second)),

		one("log.level", &c.Log.Level, oneOf("trace", "debug", "info", "warn", "error")),
		one("log.format", &c.Log.Format, oneOf("auto", "json", "console")),
		one("log.allowed_sample", &c.Log.AllowedSample, numbers(1, 1_000_000)),

		one("shutdown_timeout", &c.ShutdownTimeout, durations(time.Second, 10*time.Minute)),
	}
}

// valueOf returns how the value of a key is read, and takes it for no more than that.
func valueOf[T any](to *T) func() any { return func() any { return *to } }

// find returns the key at path.
func find(keys []key, path string) (key, bool) {
	i := slices.IndexFunc(keys, func(k key) bool { return k.path == path })
	if i < 0 {
		return key{}, false
	}
	return keys[i], true
}

// one is a key with a single value. Null leaves the default.
func one[T any](path string, to *T, parse func(string) (T, error)) key {
	set := func(text string) []error {
		value, err := parse(text)
		if err != nil {
			return []error{err}
		}
		*to = value
		return nil
	}
	return key{path: path, value: valueOf(to), parse: set, decode: func(w *walker, n ast.Node) {
		if isNull(n) {
			return
		}
		text, err := scalar[T](n)
		if err != nil {
			w.fault(path, n, err)
			return
		}
		for _, err := range set(text) {
			w.fault(path, n, err)
		}
	}}
}

// list is a key with a list of values: a YAML list, or text with commas. Null leaves the default,
// an empty list or text empties it.
func list[T any](path string, to *[]T, parse func(string) (T, error)) key {
	fromText := func(text string) (errs []error) {
		values := []T{}
		if strings.TrimSpace(text) == "" {
			*to = values
			return nil
		}
		for _, part := range strings.Split(text, ",") {
			value, err := parse(strings.TrimSpace(part))
			if err != nil {
				errs = append(errs, err)
			}
			values = append(values, value)
		}
		*to = values
		return errs
	}
	return key{path: path, value: valueOf(to), parse: fromText, decode: func(w *walker, n ast.Node) {
		if isNull(n) {
			return
		}
		values := []T{}
		for _, element := range w.elements(path, n) {
			text, err := scalar[T](element)
			if err == nil {
				var value T
				value, err = parse(text)
				values = append(values, value)
			}
			if err != nil {
				w.fault(path, element, err)
			}
		}
		*to = values
	}}
}

// table is a key with a number for each of several names. Null leaves the default.
func table(path string, to *map[string]int, parse func(string) (int, error)) key {
	return key{path: path, value: valueOf(to), decode: func(w *walker, n ast.Node) {
		if isNull(n) {
			return
		}
		values := map[string]int{}
		for _, e := range w.entries(path, n) {
			if _, err := shortName(e.name); err != nil {
				w.complain(e.key, path+": "+err.Error())
				continue
			}
			inner := path + "." + e.name
			w.set(inner, e.value)
			value, err := parseNode(e.value, parse)
			if err != nil {
				w.fault(inner, e.value, err)
			}
			values[e.name] = value
		}
		*to = values
	}}
}
