package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"devicegate/config"

	"github.com/google/go-cmp/cmp"
)

// good is what an issuer has to have.
const good = `name: a, algorithms: [HS256], secret_file: s, audience: here`

// badIssuers is a table of files, each with one fault of its issuers, in full.
var badIssuers = []struct{ name, text, want string }{
	{"issuers as a map", "issuers: {django: {algorithms: [HS256]}}\n",
		"d.yaml:1:10: issuers: a map; a list is expected"},
	{"one issuer without a dash", "issuers:\n  name: django\n",
		"d.yaml:2:3: issuers: a map; a list is expected"},
	{"issuers as text", "issuers: django\n",
		"d.yaml:1:10: issuers: text; a list is expected"},
	{"issuer of nothing", "issuers:\n- ~\n",
		"d.yaml:2:3: issuers[0]: nothing is written here; a map is expected"},
	{"issuer without content", "issuers:\n-\n",
		"d.yaml:2:3: issuers[0]: nothing is written here; a map is expected"},
	{"issuer that is text", "issuers: [django]\n",
		"d.yaml:1:11: issuers[0]: text; a map is expected"},
	{"issuer with an unknown key", "issuers:\n- name: a\n  algorithms: [HS256]\n  secret_file: s\n  audience: here\n  refesh: exchange\n",
		`d.yaml:6:3: unknown key "refesh" in issuers[0]; did you mean refresh?`},
	{"issuer with a key of nowhere", "issuers: [{" + good + ", frobnicate: 1}]\n",
		`d.yaml:1:74: unknown key "frobnicate" in issuers[0]; it can hold name, algorithms, secret_file, jwks_url, jwks_file, public_key_file, issuer, audience, accept_any_audience, max_lifetime, leeway, claims, roles, unknown_device, max_devices, refresh`},
	{"issuer with an unknown claim", "issuers: [{" + good + ", claims: {usr_id: sub}}]\n",
		`d.yaml:1:83: unknown key "usr_id" in issuers[0].claims; did you mean user_id?`},
	{"issuer with a key twice", "issuers:\n- {" + good + ", name: b}\n",
		`d.yaml:2:66: issuers[0]: duplicate key "name"; it stands in line 2 already`},
	{"issuer without a name", "issuers:\n- algorithms: [HS256]\n  secret_file: s\n  audience: here\n",
		"d.yaml:2:3: issuers[0]: no name; write one, such as name: django"},
	{"issuer with a null name", "issuers:\n- algorithms: [HS256]\n  name:\n  secret_file: s\n  audience: here\n",
		"d.yaml:2:3: issuers[0]: no name; write one, such as name: django"},
	{"issuer without algorithms", "issuers:\n- name: a\n  secret_file: s\n  audience: here\n",
		"d.yaml:2:3: issuers[0]: no algorithms; write those that its tokens are signed with, such as algorithms: [RS256]"},
	{"issuer without a key", "issuers:\n- name: a\n  algorithms: [HS256]\n  audience: here\n",
		"d.yaml:2:3: issuers[0]: no key to check its tokens with; write one of secret_file, jwks_url, jwks_file, public_key_file"},
	{"issuer with an empty key", "issuers: [{name: a, algorithms: [RS256], jwks_url: \"\", audience: here}]\n",
		"d.yaml:1:11: issuers[0]: no key to check its tokens with; write one of secret_file, jwks_url, jwks_file, public_key_file"},
	{"issuer without an audience", "issuers:\n- name: a\n  algorithms: [HS256]\n  secret_file: s\n",
		"d.yaml:2:3: issuers[0]: no audience; write the aud of tokens that are meant for here, or accept_any_audience: true if a token meant for any other service may pass too"},
	{"issuer with an empty audience", "issuers: [{name: a, algorithms: [HS256], secret_file: s, audience: \"\", accept_any_audience: false}]\n",
		"d.yaml:1:11: issuers[0]: no audience; write the aud of tokens that are meant for here, or accept_any_audience: true if a token meant for any other service may pass too"},
	{"second issuer without a name", "issuers:\n- {" + good + "}\n- algorithms: [HS256]\n  secret_file: t\n  audience: here\n",
		"d.yaml:3:3: issuers[1]: no name; write one, such as name: django"},
	{"issuer with two audiences", "issuers:\n- {" + good + ", accept_any_audience: true}\n",
		"d.yaml:2:87: issuers[0]: audience and accept_any_audience are both set; leave out the one or the other"},
	{"issuer with two keys", "issuers:\n- {" + good + ", issuer: there, jwks_file: keys.json}\n",
		"d.yaml:2:92: issuers[0]: secret_file and jwks_file are set; its tokens are checked with one of them, so leave out the others"},
	{"issuer with two keys, and algorithms for one", "issuers:\n- {name: a, algorithms: [RS256], audience: here, issuer: there, jwks_file: j, secret_file: s}\n",
		"d.yaml:2:92: issuers[0]: secret_file and jwks_file are set; its tokens are checked with one of them, so leave out the others"},
	{"issuer with an empty name", "issuers: [{name: \"\", algorithms: [HS256], secret_file: s, audience: here}]\n",
		`d.yaml:1:18: issuers[0].name: "" is not the name of an issuer; write 1 to 32 of a-z 0-9 -`},
	{"issuer with a capital", "issuers: [{name: Django, algorithms: [HS256], secret_file: s, audience: here}]\n",
		`d.yaml:1:18: issuers[0].name: "Django" is not the name of an issuer; write 1 to 32 of a-z 0-9 -`},
	{"issuer with a colon", "issuers: [{name: \"a:b\", algorithms: [HS256], secret_file: s, audience: here}]\n",
		`d.yaml:1:18: issuers[0].name: "a:b" is not the name of an issuer; write 1 to 32 of a-z 0-9 -`},
	{"issuer with a long name", "issuers: [{name: a23456789012345678901234567890123, algorithms: [HS256], secret_file: s, audience: here}]\n",
		`d.yaml:1:18: issuers[0].name: "a23456789012345678901234567890123" is not the name of an issuer; write 1 to 32 of a-z 0-9 -`},
	{"issuer with a number as name", "issuers: [{name: 5, algorithms: [HS256], secret_file: s, audience: here}]\n",
		`d.yaml:1:18: issuers[0].name: "5" is not text; put it in quotes`},
	{"empty algorithms", "issuers: [{name: a, algorithms: [], secret_file: s, audience: here}]\n",
		"d.yaml:1:33: issuers[0].algorithms: names no algorithm; write those that its tokens are signed with, such as [RS256]"},
	{"null algorithms", "issuers:\n- name: a\n  algorithms:\n  secret_file: s\n  audience: here\n",
		"d.yaml:3:14: issuers[0].algorithms: names no algorithm; write those that its tokens are signed with, such as [RS256]"},
	{"algorithm of another word", "issuers: [{name: a, algorithms: [RS256, none], public_key_file: p, audience: here}]\n",
		`d.yaml:1:41: issuers[0].algorithms: "none" is not known; write one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384, HS512`},
	{"algorithm twice", "issuers: [{name: a, algorithms: [RS256, ES256, RS256], jwks_file: j, issuer: there, audience: here}]\n",
		`d.yaml:1:48: issuers[0].algorithms: "RS256" stands in the list already; leave it out`},
	{"algorithm as text", "issuers: [{name: a, algorithms: HS256, secret_file: s, audience: here}]\n",
		"d.yaml:1:33: issuers[0].algorithms: text; a list is expected"},
	{"algorithms of both kinds", "issuers: [{name: a, algorithms: [RS256, HS256], public_key_file: p, audience: here}]\n",
		"d.yaml:1:33: issuers[0].algorithms: HS256 takes a shared secret and RS256 a public key, and an issuer has one key; make two issuers of it"},
	{"algorithms of both kinds with a secret", "issuers: [{name: a, algorithms: [HS256, EdDSA], secret_file: s, audience: here}]\n",
		"d.yaml:1:33: issuers[0].algorithms: HS256 takes a shared secret and EdDSA a public key, and an issuer has one key; make two issuers of it"},
	{"public key as a secret", "issuers:\n- {name: a, algorithms: [HS256], public_key_file: p, audience: here}\n",
		"d.yaml:2:51: issuers[0].algorithms: HS256 takes a shared secret, but what public_key_file holds is public, so that everybody could sign with it; write secret_file, or another algorithm"},
	{"key set as a secret", "issuers:\n- name: a\n  jwks_url: https://id.example/keys?key=1\n  algorithms: [HS512]\n  audience: here\n",
		"d.yaml:4:15: issuers[0].algorithms: HS512 takes a shared secret, but what jwks_url holds is public, so that everybody could sign with it; write secret_file, or another algorithm"},
	{"secret as a public key", "issuers:\n- {name: a, algorithms: [ES256], secret_file: s, audience: here}\n",
		"d.yaml:2:47: issuers[0].algorithms: ES256 takes a public key, but secret_file holds a shared secret; write HS256, HS384 or HS512, or another key"},
	{"folder as secret", "issuers: [{name: a, algorithms: [HS256], secret_file: /run/secrets/, audience: here}]\n",
		`d.yaml:1:55: issuers[0].secret_file: "/run/secrets/" is a folder; name a file`},
	{"folder as key set", "issuers: [{name: a, algorithms: [RS256], jwks_file: keys/, audience: here}]\n",
		`d.yaml:1:53: issuers[0].jwks_file: "keys/" is a folder; name a file`},
	{"folder as public key", "issuers: [{name: a, algorithms: [RS256], public_key_file: keys/, audience: here}]\n",
		`d.yaml:1:59: issuers[0].public_key_file: "keys/" is a folder; name a file`},
	{"key set over plain http", "issuers: [{name: a, algorithms: [RS256], jwks_url: \"http://id.example/keys?key=1\", audience: here}]\n",
		"d.yaml:1:52: issuers[0].jwks_url: plain http to another machine: whoever is on the way could put in keys of his own, and the keys decide who passes; write https"},
	{"key set with a password", "issuers: [{name: a, algorithms: [RS256], jwks_url: \"https://a:b@id.example/keys\", audience: here}]\n",
		"d.yaml:1:52: issuers[0].jwks_url: a user or password in front of the host is not sent; leave it out"},
	{"key set with a fragment", "issuers: [{name: a, algorithms: [RS256], jwks_url: \"https://id.example/keys#a\", audience: here}]\n",
		"d.yaml:1:52: issuers[0].jwks_url: what stands behind # is never sent; leave it out"},
	{"key set that is no URL", "issuers: [{name: a, algorithms: [RS256], jwks_url: id.example/keys, audience: here}]\n",
		"d.yaml:1:52: issuers[0].jwks_url: not an absolute URL; write one such as https://id.example/.well-known/jwks.json"},
	{"key set with spaces", "issuers: [{name: a, algorithms: [RS256], jwks_url: \"https://id.example/a b\", audience: here}]\n",
		"d.yaml:1:52: issuers[0].jwks_url: write at most 2048 printable ASCII characters without spaces"},
	{"foreign iss with a space", "issuers: [{" + good + ", issuer: a b}]\n",
		`d.yaml:1:82: issuers[0].issuer: "a b": write at most 256 printable ASCII characters without spaces`},
	{"foreign aud with a space", "issuers: [{name: a, algorithms: [HS256], secret_file: s, audience: a b}]\n",
		`d.yaml:1:68: issuers[0].audience: "a b": write at most 256 printable ASCII characters without spaces`},
	{"our own iss", "issuers: [{" + good + ", issuer: devicegate}]\n",
		`d.yaml:1:82: issuers[0].issuer is "devicegate", and so is tokens.issuer; a token of another service must not pass for one of ours, so write the iss of that service`},
	{"our own iss, set later", "issuers: [{" + good + ", issuer: https://gate.example}]\ntokens: {issuer: https://gate.example}\n",
		`d.yaml:2:18: issuers[0].issuer is "https://gate.example", and so is tokens.issuer; a token of another service must not pass for one of ours, so write the iss of that service`},
	{"lifetime of a foreign token without a unit", "issuers: [{" + good + ", max_lifetime: 3600}]\n",
		`d.yaml:1:88: issuers[0].max_lifetime: "3600" is not a duration; write a number with d, h, m or s, such as 90s, 15m or 1d12h`},
	{"lifetime of a foreign token with a fraction", "issuers: [{" + good + ", max_lifetime: 1500ms}]\n",
		"d.yaml:1:88: issuers[0].max_lifetime: 1500ms is not a whole number of seconds, which is what tokens count in"},
	{"leeway of a foreign token", "issuers: [{" + good + ", leeway: 2m}]\n",
		"d.yaml:1:82: issuers[0].leeway: 2m is out of range; 0s to 1m is allowed"},
	{"leeway of a foreign token with a fraction", "issuers: [{" + good + ", leeway: 1500ms}]\n",
		"d.yaml:1:82: issuers[0].leeway: 1500ms is not a whole number of seconds, which is what tokens count in"},
	{"no claim of the user", "issuers: [{" + good + ", claims: {user_id: \"\"}}]\n",
		`d.yaml:1:92: issuers[0].claims.user_id: "": write 1 to 256 bytes of printable text`},
	{"no claim of the device", "issuers: [{" + good + ", claims: {device_uid: \"\"}}]\n",
		`d.yaml:1:95: issuers[0].claims.device_uid: "": write 1 to 256 bytes of printable text`},
	{"claim with a control character", "issuers: [{" + good + ", claims: {username: \"a\\nb\"}}]\n",
		`d.yaml:1:93: issuers[0].claims.username: "a\nb": write 1 to 256 bytes of printable text`},
	{"claim that turns the line around", "issuers: [{" + good + ", claims: {username: \"a\\u202eb\"}}]\n",
		`d.yaml:1:93: issuers[0].claims.username: "a\u202eb": write 1 to 256 bytes of printable text`},
	{"claims that are a list", "issuers: [{" + good + ", claims: [sub]}]\n",
		"d.yaml:1:82: issuers[0].claims: a list; a map is expected"},
	{"one claim twice", "issuers: [{" + good + ", claims: {user_id: sub, device_uid: sub}}]\n",
		`d.yaml:1:109: issuers[0].claims.user_id and issuers[0].claims.device_uid are both "sub"; each is a claim of its own`},
	{"one claim twice by a default", "issuers: [{" + good + ", claims: {user_id: device_uid}}]\n",
		`d.yaml:1:92: issuers[0].claims.user_id and issuers[0].claims.device_uid are both "device_uid"; each is a claim of its own`},
	{"a dotted key is no path", "store: {path: a.db}\nstore.path: b.db\n", `d.yaml:2:1: unknown key "store.path"; write path below store`},
	{"roles without their claim", "issuers: [{" + good + ", roles: {boss: staff}}]\n",
		"d.yaml:1:81: issuers[0].roles does nothing, because issuers[0].claims.roles names no claim to read roles from; set it, or leave out the map"},
	{"roles without their claim, set empty", "issuers: [{" + good + ", roles: {boss: staff}, claims: {roles: \"\"}}]\n",
		"d.yaml:1:112: issuers[0].roles does nothing, because issuers[0].claims.roles names no claim to read roles from; set it, or leave out the map"},
	{"roles that make administrators", "issuers: [{" + good + ", claims: {roles: groups}, roles: {boss: admin}}]\n",
		`d.yaml:1:113: issuers[0].roles: of "boss": "admin" is the role of our administrators, and another service must not make any; write another role`},
	{"roles to a bad name", "issuers: [{" + good + ", claims: {roles: groups}, roles: {boss: Staff}}]\n",
		`d.yaml:1:113: issuers[0].roles: of "boss": "Staff" is not a name; write at most 64 of a-z 0-9 . _ - with a letter or digit in front`},
	{"roles to nothing", "issuers: [{" + good + ", claims: {roles: groups}, roles: {boss: }}]\n",
		`d.yaml:1:112: issuers[0].roles: of "boss": nothing is written here; text is expected`},
	{"roles from nothing", "issuers: [{" + good + ", claims: {roles: groups}, roles: {\"\": staff}}]\n",
		`d.yaml:1:107: issuers[0].roles: "": write 1 to 256 bytes of printable text`},
	{"roles from a number", "issuers: [{" + good + ", claims: {roles: groups}, roles: {5: staff}}]\n",
		`d.yaml:1:107: issuers[0].roles: not usable as a key: "5" is not text; put it in quotes`},
	{"roles from a control character", "issuers: [{" + good + ", claims: {roles: groups}, roles: {\"a\\tb\": staff}}]\n",
		`d.yaml:1:107: issuers[0].roles: "a\tb": write 1 to 256 bytes of printable text`},
	{"one role twice", "issuers: [{" + good + ", claims: {roles: groups}, roles: {a: staff, a: other}}]\n",
		`d.yaml:1:117: issuers[0].roles: duplicate key "a"; it stands in line 1 already`},
	{"roles that are a list", "issuers: [{" + good + ", claims: {roles: groups}, roles: [staff]}]\n",
		"d.yaml:1:106: issuers[0].roles: a list; a map is expected"},
	{"unknown device of another word", "issuers: [{" + good + ", unknown_device: allow}]\n",
		`d.yaml:1:90: issuers[0].unknown_device: "allow" is not known; write one of refuse, register`},
	{"no devices of an issuer", "issuers: [{" + good + ", max_devices: 0}]\n",
		"d.yaml:1:87: issuers[0].max_devices: 0 is out of range; 1 to 1000 is allowed"},
	{"devices of an issuer over the limit", "issuers: [{" + good + ", max_devices: 201}]\n",
		"d.yaml:1:87: issuers[0].max_devices is 201, over devices.hard_limit, which is 200; lower the one or raise the other"},
	{"devices of an issuer over a lower limit", "issuers: [{" + good + ", max_devices: 20}]\ndevices: {hard_limit: 19}\n",
		"d.yaml:2:23: issuers[0].max_devices is 20, over devices.hard_limit, which is 19; lower the one or raise the other"},
	{"refresh of another word", "issuers: [{" + good + ", refresh: true}]\n",
		`d.yaml:1:83: issuers[0].refresh: "true" is not text; put it in quotes`},
	{"refresh by another word", "issuers: [{" + good + ", refresh: rotate}]\n",
		`d.yaml:1:83: issuers[0].refresh: "rotate" is not known; write exchange, or "" for none`},
	{"issuers of one name", "issuers:\n- {" + good + "}\n- {name: a, algorithms: [HS256], secret_file: t, audience: here}\n",
		`d.yaml:3:10: issuers[0].name and issuers[1].name are both "a"; a user of the one could not be told from one of the other`},
	{"one issuer by two names", "issuers:\n- {" + good + "}\n- {name: b, algorithms: [HS512], secret_file: ./s, audience: here}\n",
		"d.yaml:3:3: issuers[1] has the key, issuer and audience of issuers[0], so that one of them would never be asked; make them one"},
	{"one issuer by two names, the third", "issuers:\n- {" + good + "}\n- {name: b, algorithms: [RS256], jwks_url: https://id.example, issuer: there, accept_any_audience: true}\n- name: c\n  algorithms: [ES256]\n  jwks_url: https://id.example\n  issuer: there\n  accept_any_audience: true\n",
		"d.yaml:4:3: issuers[2] has the key, issuer and audience of issuers[1], so that one of them would never be asked; make them one"},
	{"anchor among the issuers", "issuers: [&a {" + good + "}]\n",
		"d.yaml:1:11: issuers[0]: anchors, aliases, merge keys, tags and keys with ? are not read; write the value out"},
}

func TestIssuers(t *testing.T) {
	c := mustLoad(t, config.Source{File: "testdata/issuers.yaml", FileRequired: true})
	want := []config.Issuer{
		{
			Name: "django", Algorithms: []string{"HS256", "HS512"}, SecretFile: "/run/secrets/django", AcceptAnyAudience: true,
			MaxLifetime: time.Hour, Claims: config.IssuerClaims{UserID: "user_id", Username: "username", DeviceUID: "device_uid"},
			Roles: map[string]string{}, UnknownDevice: config.UnknownDeviceRefuse, MaxDevices: 20, Refresh: config.RefreshExchange,
		},
		{
			Name: "0-keycloak-0", Algorithms: []string{"RS256", "PS384"}, JWKSURL: "https://id.example:8443/realms/a/certs?key=1",
			Issuer: "https://id.example/realms/a", Audience: "gate", MaxLifetime: 8760 * time.Hour, Leeway: time.Minute,
			Claims: config.IssuerClaims{UserID: "sub", Username: "preferred username", Roles: "https://id.example/r\u00f4les", DeviceUID: `"did"`},
			Roles:  map[string]string{"Staff Member": "staff", "\u00e9quipe": "staff", "5": "r5"}, UnknownDevice: config.UnknownDeviceRegister, MaxDevices: 200,
		},
		{
			Name: "file", Algorithms: []string{"ES256"}, JWKSFile: "keys.json", AcceptAnyAudience: true,
			MaxLifetime: time.Hour, Claims: config.IssuerClaims{UserID: "user_id", DeviceUID: "device_uid"},
			Roles: map[string]string{}, UnknownDevice: "refuse", MaxDevices: 20,
		},
		{
			Name: "pem", Algorithms: []string{"EdDSA", "ES512"}, PublicKeyFile: "/etc/key.pem", Issuer: "https://id.example/realms/a", Audience: "gate",
			MaxLifetime: time.Hour, Claims: config.IssuerClaims{UserID: "user_id", Username: "username", DeviceUID: "device_uid"},
			Roles: map[string]string{}, UnknownDevice: "refuse", MaxDevices: 20,
		},
	}
	if diff := cmp.Diff(want, c.Issuers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnyIssuerWarning: a key set whose tokens are taken with any iss is worth a sentence, and its URL
// is not in it.
func TestAnyIssuerWarning(t *testing.T) {
	const warning = "issuers[0].issuer, of a, is empty, so that tokens with any iss pass that a key of its JWKS has signed, " +
		"such as those of another tenant of the same provider; write the iss that its tokens have"
	for _, c := range []struct {
		element string
		want    []string
	}{
		{"algorithms: [RS256], jwks_url: https://id.example/keys", []string{warning}},
		{"algorithms: [RS256], jwks_file: keys.json", []string{warning}},
		{"algorithms: [RS256], jwks_file: keys.json, issuer: https://id.example", nil},
		{"algorithms: [RS256], jwks_url: https://id.example/keys, issuer: https://id.example", nil},
		{"algorithms: [RS256], public_key_file: key.pem", nil},
		{"algorithms: [HS256], secret_file: key", nil},
	} {
		got := mustLoad(t, config.Source{File: write(t, "issuers: [{name: a, accept_any_audience: true, "+c.element+"}]\n")})
		if diff := cmp.Diff(c.want, got.Warnings); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", c.element, diff)
		}
	}
}

func TestDroppedRolesWarning(t *testing.T) {
	const of = "issuers: [{name: a, algorithms: [HS256], secret_file: s, audience: here, claims: {roles: groups}"
	got := mustLoad(t, config.Source{File: write(t, of+"}]\n")})
	want := []string{`issuers[0].claims.roles, of a, is "groups", but every role in it is dropped, because roles names none; write which of ours they are, or leave out the claim`}
	if diff := cmp.Diff(want, got.Warnings); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := mustLoad(t, config.Source{File: write(t, of+", roles: {boss: staff}}]\n")}); len(got.Warnings) > 0 {
		t.Errorf("with a map: %q", got.Warnings)
	}
}

// TestDefaultOfMaxDevices: who lowers the limit of all need not lower a default that he never wrote.
func TestDefaultOfMaxDevices(t *testing.T) {
	got := mustLoad(t, config.Source{File: write(t, "issuers: [{name: a, algorithms: [HS256], secret_file: s, audience: here}]\ndevices: {hard_limit: 7}\n")})
	if n := got.Issuers[0].MaxDevices; n != 7 {
		t.Errorf("max_devices = %d, want that of devices.hard_limit, 7", n)
	}
}

func TestJWKSURL(t *testing.T) {
	load := func(url string) config.Source {
		return config.Source{File: write(t, fmt.Sprintf("issuers: [{name: a, algorithms: [RS256], audience: here, issuer: there, jwks_url: %q}]\n", url))}
	}
	for _, url := range []string{
		"https://id.example", "https://id.example/keys?key=1&key=2", "https://[2001:db8::1]:443/keys", "HTTPS://10.0.0.1/keys",
		"http://127.0.0.1:8000/keys", "http://[::1]/keys", "http://localhost/keys", "http://[::ffff:127.0.0.1]/",
		"https://id.example/?" + strings.Repeat("a", 2048-len("https://id.example/?")),
	} {
		if got := mustLoad(t, load(url)).Issuers[0].JWKSURL; got != url {
			t.Errorf("%s: got %s", url, got)
		}
	}
	for _, url := range []string{
		"keys?secret", "/keys?secret", "//id.example/keys?secret", "https:id.example?secret", "https:///keys?secret", "https://:443/keys?secret",
		"ftp://id.example/keys?secret", "file:///etc/passwd?secret", "https://user:secret@id.example/", "https://secret@id.example/",
		"https://id.example/#secret", "https://id.example/?secret#", "https://id.example/ ?secret", "https://id.example/\u00e9?secret",
		"https://id.example:0/?secret", "https://id.example:65536/?secret", "https://300.0.0.1/?secret", "https://id$example/?secret",
		"https://id.example/%zz?secret", "http://id.example/keys?secret", "http://10.0.0.1/keys?secret", "http://localhost.example/keys?secret",
		"http://127.0.0.1.example/keys?secret", "http:///keys?secret", "https://id.example/?secret" + strings.Repeat("a", 2048),
	} {
		got := lines(t, load(url))
		if len(got) != 1 || !strings.Contains(got[0], "issuers[0].jwks_url: ") || strings.Contains(got[0], "secret") {
			t.Errorf("%q: faults %q, want one without the query", url, got)
		}
	}
}

// TestIssuerBounds: each bound is accepted, and the value beside it is not.
func TestIssuerBounds(t *testing.T) {
	for _, c := range []struct{ setting, low, high, under, over string }{
		{"max_lifetime: %s", "1s", "365d", "0s", "365d1s"},
		{"leeway: %s", "0s", "60s", "-1s", "61s"},
		{"max_devices: %s", "1", "200", "0", "201"},
		{"issuer: %q", "", strings.Repeat("a", 256), "\u00e9", strings.Repeat("a", 257)},
		{"claims: {user_id: %q}", "a", strings.Repeat("\u00e9", 128), "", strings.Repeat("\u00e9", 128) + "a"},
		{"claims: {username: %q}", "", strings.Repeat("a", 256), "\n", strings.Repeat("a", 257)},
		{"claims: {device_uid: %q}", "a", strings.Repeat("a", 256), "", strings.Repeat("a", 257)},
		{"claims: {roles: %q}, roles: {a: b}", "a", strings.Repeat("a", 256), "\u202e", strings.Repeat("a", 257)},
		{"claims: {roles: roles}, roles: {%q: b}", "a", strings.Repeat("a", 256), "", strings.Repeat("a", 257)},
		{"claims: {roles: roles}, roles: {a: %q}", "a", strings.Repeat("a", 64), "", strings.Repeat("a", 65)},
	} {
		for value, want := range map[string]int{c.low: 0, c.high: 0, c.under: 1, c.over: 1} {
			setting := fmt.Sprintf(c.setting, value)
			text := "issuers: [{name: a, algorithms: [HS256], secret_file: s, audience: here, " + setting + "}]\n"
			if got := lines(t, config.Source{File: write(t, text)}); len(got) != want {
				t.Errorf("%s: faults %q, want %d", setting, got, want)
			}
		}
	}
}

// TestIssuerAlgorithms: a secret goes with the algorithms that take one, public keys with the others, and
// nothing else is an algorithm.
func TestIssuerAlgorithms(t *testing.T) {
	secret := strings.Fields("HS256 HS384 HS512")
	public := strings.Fields("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA")
	load := func(key, algorithm string) []string {
		text := fmt.Sprintf("issuers: [{name: a, algorithms: [%q], %s: x, issuer: there, audience: here}]\n", algorithm, key)
		return lines(t, config.Source{File: write(t, strings.ReplaceAll(text, "jwks_url: x", "jwks_url: https://id.example"))})
	}
	for _, key := range []string{"secret_file", "jwks_url", "jwks_file", "public_key_file"} {
		good, bad := public, secret
		if key == "secret_file" {
			good, bad = secret, public
		}
		for _, algorithm := range good {
			if got := load(key, algorithm); got != nil {
				t.Errorf("%s with %s: %q", algorithm, key, got)
			}
		}
		for _, algorithm := range append(strings.Fields("none None ES256K RSA-OAEP hs256 RS1 HS256,RS256"), bad...) {
			if got := load(key, algorithm); len(got) != 1 {
				t.Errorf("%s with %s: faults %q, want one", algorithm, key, got)
			}
		}
	}
}

// TestIssuersAlike: issuers may have everything in common but their names and one thing more.
func TestIssuersAlike(t *testing.T) {
	for _, pair := range [][2]string{
		{"secret_file: s, issuer: there, audience: here", "secret_file: s, issuer: there, audience: elsewhere"},
		{"secret_file: s, issuer: there, audience: here", "secret_file: s, issuer: there, accept_any_audience: true"},
		{"secret_file: s, issuer: there, audience: here", "secret_file: s, issuer: elsewhere, audience: here"},
		{"secret_file: s, issuer: there, audience: here", "secret_file: s, audience: here"},
		{"secret_file: s, issuer: there, audience: here", "secret_file: t, issuer: there, audience: here"},
	} {
		text := fmt.Sprintf("issuers:\n- {name: a, algorithms: [HS256], %s}\n- {name: b, algorithms: [HS256], %s}\n", pair[0], pair[1])
		if got := lines(t, config.Source{File: write(t, text)}); got != nil {
			t.Errorf("%s\n%q", text, got)
		}
	}
}

func TestMostIssuers(t *testing.T) {
	text := "issuers:\n"
	for i := range 16 {
		text += fmt.Sprintf("- {name: a%d, algorithms: [HS256], secret_file: s%d, audience: here}\n", i, i)
	}
	if c := mustLoad(t, config.Source{File: write(t, text)}); len(c.Issuers) != 16 {
		t.Errorf("%d issuers, want 16", len(c.Issuers))
	}
	text += "- {name: a16, algorithms: [HS256], secret_file: s16, audience: here}\n"
	want := []string{"d.yaml:2:1: issuers: 17 issuers; at most 16 are allowed"}
	if diff := cmp.Diff(want, lines(t, config.Source{File: write(t, text)})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestIssuersAreTheirOwn: no two Configs share a map.
func TestIssuersAreTheirOwn(t *testing.T) {
	c := mustLoad(t, config.Source{File: "testdata/issuers.yaml"})
	c.Issuers[0].Roles["x"] = "y"
	if c.Issuers[2].Roles["x"] != "" || mustLoad(t, config.Source{File: "testdata/issuers.yaml"}).Issuers[0].Roles["x"] != "" {
		t.Error("a role of one issuer is a role of another")
	}
}
