package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"devicegate/config"

	"github.com/google/go-cmp/cmp"
)

var comparePrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// write puts text into a file called d.yaml in a folder of its own.
func write(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "d.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// mustLoad loads a configuration that is expected to be valid.
func mustLoad(t testing.TB, src config.Source) config.Config {
	t.Helper()
	c, err := config.Load(src)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return *c
}

// lines returns the faults of a configuration, one string each, with the file as d.yaml.
func lines(t testing.TB, src config.Source) []string {
	t.Helper()
	c, err := config.Load(src)
	if err == nil {
		return nil
	}
	if c != nil {
		t.Error("Load returned a Config together with faults")
	}
	var faults *config.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("Load returned %T, want *config.Faults", err)
	}
	text := faults.Error()
	if src.File != "" {
		text = strings.ReplaceAll(text, src.File, "d.yaml")
	}
	return strings.Split(text, "\n")
}

func TestDefaults(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	tcp := func(addr string) config.Address { return config.Address{Network: "tcp", Addr: addr} }
	want := config.Config{
		Store: config.Store{Path: "devicegate.db"},
		Checks: config.Checks{
			HTTP:         config.HTTPChecks{Address: tcp("127.0.0.1:9280")},
			GRPC:         config.GRPCChecks{Address: tcp("127.0.0.1:9281"), Policy: "default"},
			AllowedPeers: loopback,
		},
		API:            config.API{Address: tcp("127.0.0.1:9282"), CORSAllowedOrigins: []string{}, SignInRate: config.Rate{Count: 10, Per: time.Minute}},
		Operations:     config.Operations{Address: tcp("127.0.0.1:9283")},
		TrustedProxies: loopback,
		Tokens: config.Tokens{
			Issuer: "devicegate", Audience: "devicegate",
			AccessLifetime: 15 * time.Minute, RefreshLifetime: 720 * time.Hour, Leeway: 5 * time.Second,
			RefreshRotation: true, RefreshGrace: 30 * time.Second,
			Algorithm: "EdDSA", KeyRotation: 2160 * time.Hour,
		},
		Passwords: config.Passwords{
			MinLength: 15,
			Argon2id:  config.Argon2id{Memory: 19922944, Iterations: 2, Parallelism: 1},
		},
		Devices: config.Devices{
			MaxDevicesByRole: map[string]int{}, HardLimit: 200, MaxLifetime: 8760 * time.Hour,
			OnLimit: "evict_least_recent", SeniorityDelay: 24 * time.Hour, AllowDelete: true, AllowUpdate: true,
			DefaultCanUpdateOthers: true, DefaultCanDeleteOthers: true, ReuseKnownDevice: true,
			IPChange: config.IPChange{Action: "note", Window: time.Minute, Exempt: []netip.Prefix{}},
		},
		Policies: map[string]config.Policy{"default": {
			RequireAllRoles: []string{}, AllowedNetworks: []netip.Prefix{}, RequireCountry: []string{}, DenyCountry: []string{},
			Anonymous: "deny", CORSPreflight: "deny", Authorization: "keep", Mode: "enforce",
		}},
		IdentityHeaders: config.IdentityHeaders{User: "Remote-User", Roles: "Remote-Groups", Device: "Remote-Device"},
		Issuers:         []config.Issuer{},
		Activity:        config.Activity{Retention: 2160 * time.Hour, MaxPerUser: 1000, MaxTotal: 1000000},
		Lockout: config.Lockout{
			Threshold: 5, NameThreshold: 50, BaseDelay: time.Minute, MaxDelay: time.Hour, Window: 24 * time.Hour,
			ExemptNetworks: []netip.Prefix{},
		},
		Geo:             config.Geo{HTTPTimeout: 2 * time.Second},
		Log:             config.Log{Level: "info", Format: "auto", AllowedSample: 1},
		ShutdownTimeout: 20 * time.Second,
	}
	for name, src := range map[string]config.Source{
		"no file":       {},
		"absent file":   {File: filepath.Join(t.TempDir(), "none.yaml")},
		"empty file":    {File: write(t, "")},
		"comments":      {File: write(t, "# nothing\n---\n# more\n")},
		"null document": {File: write(t, "null\n")},
		"null section":  {File: write(t, "store:\nchecks: ~\ntokens: {leeway: , issuer: null}\npolicies:\nissuers:\n")},
		"spelled out":   {File: "testdata/defaults.yaml", FileRequired: true},
		"byte order":    {File: write(t, "\ufeffstore: {path: devicegate.db}\r\n")},
	} {
		if diff := cmp.Diff(want, mustLoad(t, src), comparePrefixes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := want.AdminSocket(); got != "devicegate.db.sock" {
		t.Errorf("AdminSocket() = %q, want devicegate.db.sock", got)
	}
}

// TestEveryFieldHasAKey fails for a field of Config, of a Policy or of an Issuer, that no key sets.
func TestEveryFieldHasAKey(t *testing.T) {
	// Warnings is no key, and the API asks nobody for a certificate.
	if got, want := len(config.Paths()), fields(reflect.TypeFor[config.Config]())-2; got != want {
		t.Errorf("%d keys for %d fields", got, want)
	}
	if got, want := len(config.PolicyPaths()), fields(reflect.TypeFor[config.Policy]()); got != want {
		t.Errorf("%d keys for %d fields of a policy", got, want)
	}
	if got, want := len(config.IssuerPaths()), fields(reflect.TypeFor[config.Issuer]()); got != want {
		t.Errorf("%d keys for %d fields of an issuer", got, want)
	}
}

// fields counts the fields of a struct and of the structs in it that are written as maps.
func fields(s reflect.Type) int {
	whole := []reflect.Type{reflect.TypeFor[config.Address](), reflect.TypeFor[config.Rate]()}
	n := 0
	for i := range s.NumField() {
		if f := s.Field(i).Type; f.Kind() == reflect.Struct && !slices.Contains(whole, f) {
			n += fields(f)
			continue
		}
		n++
	}
	return n
}

func TestPrecedence(t *testing.T) {
	src := config.Source{}
	level := func() string { return mustLoad(t, src).Log.Level }
	if got := level(); got != "info" {
		t.Errorf("default: level = %s", got)
	}
	src.File = write(t, "log: {level: warn}\n")
	if got := level(); got != "warn" {
		t.Errorf("the file over the default: level = %s", got)
	}
	src.Environ = []string{"DEVICEGATE_LOG_LEVEL=error"}
	if got := level(); got != "error" {
		t.Errorf("the environment over the file: level = %s", got)
	}
	src.LogLevel = "debug"
	if got := level(); got != "debug" {
		t.Errorf("the flag over the environment: level = %s", got)
	}
}

func TestEnvironment(t *testing.T) {
	c := mustLoad(t, config.Source{
		File: write(t, "api: {base_path: /a}\nchecks: {allowed_peers: [10.0.0.0/8]}\n"),
		Environ: []string{
			"PATH=/bin", "DEVICEGATE", "DEVICEGATE_CONFIG=/elsewhere.yaml",
			"DEVICEGATE_STORE_PATH=/data/a=b.db", "DEVICEGATE_CHECKS_HTTP_ADDRESS=unix:/run/check.sock",
			"DEVICEGATE_CHECKS_GRPC_ADDRESS=", "DEVICEGATE_CHECKS_ALLOWED_PEERS= 192.0.2.1 ,::ffff:10.1.0.0/112",
			"DEVICEGATE_TRUSTED_PROXIES=", "DEVICEGATE_PASSWORDS_ARGON2ID_MEMORY=1GiB",
			"DEVICEGATE_API_SIGN_IN_RATE=3/1h30m", "DEVICEGATE_ADMIN_ADDRESS=[::1]:9284",
			"DEVICEGATE_ACTIVITY_MAX_PER_USER=10", "DEVICEGATE_LOCKOUT_EXEMPT_NETWORKS=192.0.2.0/24, 2001:db8::/32",
			"DEVICEGATE_STORE_ENCRYPTION_KEY_FILE=/run/secrets/store.key", "DEVICEGATE_TOKENS_SIGNING_KEY_FILE=keys.pem",
			"DEVICEGATE_TOKENS_ALGORITHM=ES256", "DEVICEGATE_TOKENS_KEY_ROTATION=0s",
			"DEVICEGATE_GEO_MMDB_FILE=/data/city.mmdb", "DEVICEGATE_GEO_HTTP_URL=https://geo.example:8443/json?ip={ip}&key=1",
			"DEVICEGATE_PORT_9280_TCP=tcp://10.0.0.1:9280", "DEVICEGATE_PORT=tcp://10.0.0.1:9280", "DEVICEGATE_LOG_LEVLE=debug",
		},
	})
	want := config.Default()
	want.API.BasePath = "/a"
	want.Store = config.Store{Path: "/data/a=b.db", EncryptionKeyFile: "/run/secrets/store.key"}
	want.Tokens.SigningKeyFile, want.Tokens.Algorithm, want.Tokens.KeyRotation = "keys.pem", "ES256", 0
	want.Checks.HTTP.Address = config.Address{Network: "unix", Addr: "/run/check.sock"}
	want.Checks.GRPC.Address = config.Address{}
	want.Checks.AllowedPeers = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("10.1.0.0/16")}
	want.TrustedProxies = []netip.Prefix{}
	want.Passwords.Argon2id.Memory = 1 << 30
	want.API.SignInRate = config.Rate{Count: 3, Per: 90 * time.Minute}
	want.Admin.Address = config.Address{Network: "tcp", Addr: "[::1]:9284"}
	want.Activity.MaxPerUser = 10
	want.Lockout.ExemptNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	want.Geo.MMDBFile, want.Geo.HTTPURL = "/data/city.mmdb", "https://geo.example:8443/json?ip={ip}&key=1"
	want.Warnings = []string{"environment variables that name no configuration key are ignored: " +
		"DEVICEGATE_LOG_LEVLE (did you mean DEVICEGATE_LOG_LEVEL?), DEVICEGATE_PORT, DEVICEGATE_PORT_9280_TCP"}
	if diff := cmp.Diff(want, c, comparePrefixes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVariablesAreDistinct(t *testing.T) {
	seen := map[string]string{}
	for _, path := range config.Paths() {
		name := config.Variable(path)
		if other, twice := seen[name]; twice {
			t.Errorf("%s sets both %s and %s", name, other, path)
		}
		seen[name] = path
	}
}

func TestValues(t *testing.T) {
	c := mustLoad(t, config.Source{File: write(t, `
api: {address: "[::ffff:127.0.0.1]:0", sign_in_rate: 1/1d}
admin: {address: unix:/run/admin.sock}
activity: {retention: 1h, max_per_user: 1000, max_total: 1000}
lockout: {threshold: 7, name_threshold: 7, base_delay: 5m, max_delay: 5m, window: 5m, exempt_networks: [10.1.2.3]}
geo:
  http_url: https://geo.example/{ip}/json/
  http_timeout: 100ms
operations: {address: ":0"}
checks:
  http: {address: Gate.example:09280}
  allowed_peers:
  - 10.0.0.1
  - "::1"
  - fe80::/10
  grpc: {tls: {cert_file: /etc/tls.crt, key_file: tls.key, client_ca_file: ca.crt}}
store: {encryption_key_file: /etc/devicegate/store.key}
tokens: {algorithm: RS256, access_lifetime: 24h, refresh_lifetime: 1d12h, leeway: 0, signing_key_file: /etc/devicegate/keys.json, key_rotation: 1d2h}
passwords: {min_length: 8, argon2id: {memory: 20480KiB}}
devices:
  max_devices: 3
  max_devices_by_role: {staff: 1, "0": 2}
  max_lifetime: 0s
  on_limit: refuse
  allow_delete: false
  delete_delay: 36h
  ip_change: {action: off, window: 0s, exempt: [100.64.0.0/10]}
policies:
  staff: {require_roles: [staff, admin]}
  open: {}
`)})
	want := config.Default()
	want.API.Address = config.Address{Network: "tcp", Addr: "127.0.0.1:0"}
	want.API.SignInRate = config.Rate{Count: 1, Per: 24 * time.Hour}
	want.Admin.Address = config.Address{Network: "unix", Addr: "/run/admin.sock"}
	want.Activity = config.Activity{Retention: time.Hour, MaxPerUser: 1000, MaxTotal: 1000}
	want.Lockout = config.Lockout{
		Threshold: 7, NameThreshold: 7, BaseDelay: 5 * time.Minute, MaxDelay: 5 * time.Minute, Window: 5 * time.Minute,
		ExemptNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32")},
	}
	want.Geo = config.Geo{HTTPURL: "https://geo.example/{ip}/json/", HTTPTimeout: 100 * time.Millisecond}
	want.Operations.Address = config.Address{Network: "tcp", Addr: ":0"}
	want.Checks.HTTP.Address = config.Address{Network: "tcp", Addr: "gate.example:9280"}
	want.Checks.AllowedPeers = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fe80::/10")}
	want.Checks.GRPC.TLS = config.TLS{CertFile: "/etc/tls.crt", KeyFile: "tls.key", ClientCAFile: "ca.crt"}
	want.Tokens.AccessLifetime, want.Tokens.RefreshLifetime, want.Tokens.Leeway = 24*time.Hour, 36*time.Hour, 0
	want.Store.EncryptionKeyFile = "/etc/devicegate/store.key"
	want.Tokens.Algorithm, want.Tokens.SigningKeyFile, want.Tokens.KeyRotation = "RS256", "/etc/devicegate/keys.json", 26*time.Hour
	want.Passwords.MinLength, want.Passwords.Argon2id.Memory = 8, 20<<20
	want.Devices.MaxDevices, want.Devices.MaxDevicesByRole, want.Devices.MaxLifetime = 3, map[string]int{"staff": 1, "0": 2}, 0
	want.Devices.OnLimit, want.Devices.AllowDelete, want.Devices.DeleteDelay = "refuse", false, 36*time.Hour
	want.Devices.IPChange = config.IPChange{Action: "off", Window: 0, Exempt: []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10")}}
	staff := config.NewPolicy()
	staff.RequireRoles = []string{"staff", "admin"}
	want.Policies = map[string]config.Policy{"default": config.NewPolicy(), "open": config.NewPolicy(), "staff": staff}
	want.Warnings = []string{"passwords.min_length is 8; where the password is the only factor, NIST SP 800-63B-4 asks for 15, because shorter ones are guessed from a stolen hash"}
	if diff := cmp.Diff(want, c, comparePrefixes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPeersFromEverywhere: every address may ask where each caller has to show a certificate, or where none
// can come by TCP.
func TestPeersFromEverywhere(t *testing.T) {
	const tls = "tls: {cert_file: c, key_file: k, client_ca_file: a}"
	for _, text := range []string{
		"http: {" + tls + "}, grpc: {" + tls + "}",
		"http: {" + tls + "}, grpc: {address: \"\"}",
		"http: {address: unix:/run/check.sock}, grpc: {" + tls + "}",
	} {
		if got := lines(t, config.Source{File: write(t, "checks: {allowed_peers: [0.0.0.0/0, \"::/0\"], "+text+"}\n")}); got != nil {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestAddressLocal(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "unix:/run/a.sock": true, "127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true,
		":1": false, "0.0.0.0:1": false, "10.0.0.1:1": false, "localhost.example:1": false,
	} {
		c := mustLoad(t, config.Source{Environ: []string{"DEVICEGATE_API_ADDRESS=" + text}})
		if got := c.API.Address; got.Local() != want || got.String() != text || got.Off() != (text == "") {
			t.Errorf("%q: got %+v, Local %v, want Local %v", text, got, got.Local(), want)
		}
	}
}

func TestRate(t *testing.T) {
	for text, want := range map[string]config.Rate{
		"1/1s": {Count: 1, Per: time.Second}, "10/1m": {Count: 10, Per: time.Minute}, "1000000/1d": {Count: 1000000, Per: 24 * time.Hour},
		"7/1h5s": {Count: 7, Per: time.Hour + 5*time.Second},
	} {
		got, err := config.ParseRate(text)
		again, _ := config.ParseRate(got.String())
		if err != nil || got != want || again != want {
			t.Errorf("ParseRate(%q) = %+v, %v, want %+v; written %q, read again %+v", text, got, err, want, got, again)
		}
	}
	for _, text := range []string{"", "/", "10", "10/", "/1m", "10/m", "10/1", "10/1m/1m", "ten/1m", "+1/1m", "-1/1m", "1.5/1m", "010/1m",
		" 10/1m", "10 / 1m", "0/1m", "1000001/1m", "18446744073709551617/1m", "10/999ms", "10/24h1s", "10/-1m", "10/0s"} {
		if got, err := config.ParseRate(text); err == nil || got != (config.Rate{}) {
			t.Errorf("ParseRate(%q) = %+v, %v, want an error", text, got, err)
		}
	}
}

func TestLookupURL(t *testing.T) {
	for text, warned := range map[string]string{
		"": "", "https://ipapi.co/{ip}/json/": "", "https://geo.example?q={ip}": "", "https://[2001:db8::1]:443/{ip}": "",
		"http://127.0.0.1:8080/{ip}": "", "http://[::1]/{ip}": "", "http://localhost/{ip}": "", "http://[::ffff:127.0.0.1]/{ip}": "",
		"http://geo.example/{ip}?key=secret": "geo.example", "HTTP://10.0.0.1:80/{ip}": "10.0.0.1", "http://localhost.example/{ip}": "localhost.example",
	} {
		c := mustLoad(t, config.Source{Environ: []string{"DEVICEGATE_GEO_HTTP_URL=" + text}})
		if c.Geo.HTTPURL != text || len(c.Warnings) > 1 || (len(c.Warnings) == 1) != (warned != "") {
			t.Errorf("%q: got %q with warnings %q", text, c.Geo.HTTPURL, c.Warnings)
			continue
		}
		if warned != "" && (!strings.Contains(c.Warnings[0], "asks "+warned+" over plain http") || strings.Contains(c.Warnings[0], "secret")) {
			t.Errorf("%q: warning %q, want it to name %s and no key", text, c.Warnings[0], warned)
		}
	}
	for _, text := range []string{
		"{ip}", "/{ip}", "//geo.example/{ip}", "https:{ip}", "https:/{ip}", "https:///{ip}", "https://:443/{ip}", "ftp://geo.example/{ip}",
		"file:///{ip}", "https://geo.example/", "https://geo.example/{IP}", "https://geo.example/%7Bip%7D", "https://geo.example/{ip}/{ip}",
		"https://{ip}/", "https://{ip}.geo.example/", "https://{ip}@geo.example/", "https://geo.example:{ip}/", "https://geo.example/{ip}?key={secret}",
		"https://user:secret@geo.example/{ip}", "https://secret@geo.example/{ip}", "https://geo.example/{ip}#secret", "https://geo.example/#{ip}",
		"https://geo.example/{ip}#", "https://geo.example/ {ip}", "https://g\u00e9o.example/{ip}", "https://geo.example/\u00e9/{ip}", "https://geo.example:0/{ip}",
		"https://geo.example:65536/{ip}", "https://300.0.0.1/{ip}", "https://geo$example/{ip}", "https://geo.example/%{ip}",
		"https://geo.example/{ip}?" + strings.Repeat("a", 2048),
	} {
		got := lines(t, config.Source{Environ: []string{"DEVICEGATE_GEO_HTTP_URL=" + text}})
		if len(got) != 1 || strings.Contains(got[0], "secret") {
			t.Errorf("%q: faults %q, want one without the key", text, got)
		}
	}
}
