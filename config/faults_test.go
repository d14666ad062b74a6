package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"devicegate/config"

	"github.com/google/go-cmp/cmp"
)

// badFiles is a table of files, each with one fault, in full.
var badFiles = []struct{ name, text, want string }{
	{"duplicate key", "store:\n  path: a\n  path: b\n",
		`d.yaml:3:3: store: duplicate key "path"; it stands in line 2 already`},
	{"duplicate section", "store: {path: a}\n\"store\": {path: b}\n",
		`d.yaml:2:1: duplicate key "store"; it stands in line 1 already`},
	{"unknown key", "checks:\n  http:\n    adress: 127.0.0.1:1\n",
		`d.yaml:3:5: unknown key "adress" in checks.http; did you mean address?`},
	{"unknown section", "frobnicate: {a: b}\n",
		`d.yaml:1:1: unknown key "frobnicate"; it can hold store, checks, api, admin, operations, trusted_proxies, tokens, passwords, devices, policies, identity_headers, issuers, activity, lockout, geo, log, shutdown_timeout`},
	{"key of a later version", "tokens: {binding: dpop}\n",
		`d.yaml:1:10: unknown key "binding" in tokens; it can hold issuer, audience, algorithm, access_lifetime, refresh_lifetime, refresh_rotation, refresh_grace, leeway, signing_key_file, key_rotation`},
	{"map for text", "store: {path: {a: b}}\n",
		"d.yaml:1:15: store.path: a map; text is expected"},
	{"block map for text", "store:\n  path:\n    a: b\n",
		"d.yaml:3:5: store.path: a map; text is expected"},
	{"list for text", "store: {path: [a]}\n",
		"d.yaml:1:15: store.path: a list; text is expected"},
	{"number for text", "tokens: {issuer: 5}\n",
		`d.yaml:1:18: tokens.issuer: "5" is not text; put it in quotes`},
	{"boolean for text", "tokens: {issuer: true}\n",
		`d.yaml:1:18: tokens.issuer: "true" is not text; put it in quotes`},
	{"text for a number", "log: {allowed_sample: many}\n",
		`d.yaml:1:23: log.allowed_sample: "many" is not a whole number; 1 to 1000000 is allowed`},
	{"quoted number", "log: {allowed_sample: \"1\"}\n",
		`d.yaml:1:23: log.allowed_sample: "1" is text; write the number without quotes`},
	{"octal number", "log: {allowed_sample: 010}\n",
		`d.yaml:1:23: log.allowed_sample: "010" is not a whole number; 1 to 1000000 is allowed`},
	{"fraction", "log: {allowed_sample: 1.5}\n",
		`d.yaml:1:23: log.allowed_sample: "1.5" is not a whole number; 1 to 1000000 is allowed`},
	{"huge number", "log: {allowed_sample: 99999999999999999999}\n",
		`d.yaml:1:23: log.allowed_sample: "99999999999999999999" is not a whole number; 1 to 1000000 is allowed`},
	{"text for a list", "trusted_proxies: 10.0.0.0/8\n",
		"d.yaml:1:18: trusted_proxies: text; a list is expected"},
	{"text for a section", "store: a.db\n",
		"d.yaml:1:8: store: text; a map is expected"},
	{"list for the file", "- a\n- b\n",
		"d.yaml:1:1: a list; a map is expected"},
	{"text for the file", "devicegate\n",
		"d.yaml:1:1: text; a map is expected"},
	{"list for a map", "policies: [staff]\n",
		"d.yaml:1:11: policies: a list; a map is expected"},
	{"number as key", "devices: {max_devices_by_role: {5: 1}}\n",
		`d.yaml:1:33: devices.max_devices_by_role: not usable as a key: "5" is not text; put it in quotes`},
	{"null in a list", "policies: {staff: {require_roles: [staff, ~]}}\n",
		"d.yaml:1:43: policies.staff.require_roles: nothing is written here; text is expected"},
	{"null limit", "devices:\n  max_devices_by_role:\n    staff:\n",
		"d.yaml:3:12: devices.max_devices_by_role.staff: nothing is written here; a number is expected"},
	{"policy without content", "policies:\n  staff:\n  # require_roles: [staff]\n",
		"d.yaml:2:3: policies.staff: nothing is written here; write {} if every live device may pass"},
	{"policy with a bad name", "policies: {Staff: {}}\n",
		`d.yaml:1:12: policies: "Staff" is not a name; write at most 64 of a-z 0-9 . _ - with a letter or digit in front`},
	{"policy without a name", "policies: {\"\": {}}\n",
		"d.yaml:1:12: policies: an empty name; write one"},
	{"gRPC policy that is none", "checks: {grpc: {policy: staf}}\npolicies: {staff: {}}\n",
		`d.yaml:1:25: checks.grpc.policy is "staf", but the policies are default, staff`},
	{"role limit of none", "devices: {max_devices_by_role: {staff: 0}}\n",
		"d.yaml:1:40: devices.max_devices_by_role.staff: 0 is out of range; 1 to 1000 is allowed"},
	{"role limit over the hard limit", "devices: {hard_limit: 5, max_devices_by_role: {staff: 6}}\n",
		"d.yaml:1:55: devices.max_devices_by_role.staff is 6, over devices.hard_limit, which is 5; lower the one or raise the other"},
	{"limit over the hard limit", "devices:\n  max_devices: 6\n  hard_limit: 5\n",
		"d.yaml:3:15: devices.max_devices is 6, over devices.hard_limit, which is 5; lower the one or raise the other"},
	{"refresh under access", "tokens:\n  access_lifetime: 1h\n  refresh_lifetime: 59m\n",
		"d.yaml:3:21: tokens.refresh_lifetime is 59m, under tokens.access_lifetime, which is 1h; a refresh token has to live at least as long"},
	{"keys that pile up", "tokens:\n  key_rotation: 2h14m59s\n",
		"d.yaml:2:17: tokens.key_rotation is 2h14m59s, under 2h15m, which is tokens.access_lifetime and 2h; a key is published an hour before it signs, and verifies until its last token is dead"},
	{"tokens that outlive the rotation", "tokens:\n  key_rotation: 25h\n  access_lifetime: 24h\n",
		"d.yaml:3:20: tokens.key_rotation is 1d1h, under 1d2h, which is tokens.access_lifetime and 2h; a key is published an hour before it signs, and verifies until its last token is dead"},
	{"rotation under its minimum", "tokens: {key_rotation: 1h59m}\n",
		"d.yaml:1:24: tokens.key_rotation: 1h59m is out of range; 2h to 3650d is allowed, or 0s for none"},
	{"algorithm with a shared secret", "tokens: {algorithm: HS256}\n",
		`d.yaml:1:21: tokens.algorithm: "HS256" is not known; write one of EdDSA, ES256, RS256`},
	{"algorithm in small letters", "tokens: {algorithm: eddsa}\n",
		`d.yaml:1:21: tokens.algorithm: "eddsa" is not known; write one of EdDSA, ES256, RS256`},
	{"folder as signing keys", "tokens: {signing_key_file: keys/}\n",
		`d.yaml:1:28: tokens.signing_key_file: "keys/" is a folder; name a file`},
	{"folder as encryption key", "store: {encryption_key_file: /run/secrets/}\n",
		`d.yaml:1:30: store.encryption_key_file: "/run/secrets/" is a folder; name a file`},
	{"duration without a unit", "tokens: {leeway: 5}\n",
		`d.yaml:1:18: tokens.leeway: "5" is not a duration; write a number with d, h, m or s, such as 90s, 15m or 1d12h`},
	{"duration with a fraction of days", "tokens: {refresh_lifetime: 1.5d}\n",
		`d.yaml:1:28: tokens.refresh_lifetime: "1.5d" is not a duration; write a number with d, h, m or s, such as 90s, 15m or 1d12h`},
	{"duration below zero", "tokens: {leeway: -5s}\n",
		`d.yaml:1:18: tokens.leeway: "-5s" is not a duration; write a number with d, h, m or s, such as 90s, 15m or 1d12h`},
	{"duration out of range", "tokens: {leeway: 90s}\n",
		"d.yaml:1:18: tokens.leeway: 90s is out of range; 0s to 1m is allowed"},
	{"a leeway that no token can count", "tokens: {leeway: 1500ms}\n",
		"d.yaml:1:18: tokens.leeway: 1500ms is not a whole number of seconds, which is what tokens count in"},
	{"a switch in quotes", "devices: {allow_delete: \"true\"}\n",
		`d.yaml:1:25: devices.allow_delete: "true" is text; write true or false without quotes`},
	{"a switch that is another word", "devices: {allow_delete: yes}\n",
		`d.yaml:1:25: devices.allow_delete: "yes" is not known; write true or false`},
	{"a switch that is a number", "devices: {allow_delete: 1}\n",
		`d.yaml:1:25: devices.allow_delete: "1"; true or false is expected`},
	{"a number that is a switch", "devices: {max_devices: true}\n",
		`d.yaml:1:24: devices.max_devices: "true"; a number is expected`},
	{"on_limit of another word", "devices: {on_limit: kick}\n",
		`d.yaml:1:21: devices.on_limit: "kick" is not known; write one of evict_least_recent, evict_oldest, refuse`},
	{"ip_change of another word", "devices:\n  ip_change: {action: kill}\n",
		`d.yaml:2:23: devices.ip_change.action: "kill" is not known; write one of off, note, revoke`},
	{"lifetime under its minimum", "devices: {max_lifetime: 1s}\n",
		"d.yaml:1:25: devices.max_lifetime: 1s is out of range; 1m to 36500d is allowed, or 0s for none"},
	{"size without a unit", "passwords: {argon2id: {memory: 19922944}}\n",
		`d.yaml:1:32: passwords.argon2id.memory: "19922944" is not a size; write a whole number with KiB, MiB or GiB, such as 19MiB`},
	{"size too small", "passwords: {argon2id: {memory: 18MiB}}\n",
		"d.yaml:1:32: passwords.argon2id.memory: 18MiB is out of range; 19MiB to 1024MiB is allowed"},
	{"host bits", "trusted_proxies:\n- 10.0.0.1/8\n",
		"d.yaml:2:3: trusted_proxies: 10.0.0.1/8 has bits set behind the prefix; write 10.0.0.0/8, or 10.0.0.1 for the single address"},
	{"network that is none", "trusted_proxies: [localhost]\n",
		`d.yaml:1:19: trusted_proxies: "localhost" is not a network; write a CIDR such as 10.0.0.0/8 or a single address`},
	{"network with a zone", "trusted_proxies: [\"fe80::1%eth0\"]\n",
		`d.yaml:1:19: trusted_proxies: "fe80::1%eth0" is not a network; write a CIDR such as 10.0.0.0/8 or a single address`},
	{"peers from everywhere", "checks: {allowed_peers: [0.0.0.0/0]}\n",
		"d.yaml:1:25: checks.allowed_peers: 0.0.0.0/0 would let everybody ask at checks.http, and a check tells who a stolen token belongs to; name the proxies' networks, or set checks.http.tls.client_ca_file"},
	{"IPv6 peers from everywhere", "checks: {allowed_peers: [\"::/0\"]}\n",
		"d.yaml:1:25: checks.allowed_peers: ::/0 would let everybody ask at checks.http, and a check tells who a stolen token belongs to; name the proxies' networks, or set checks.http.tls.client_ca_file"},
	{"mapped peers from everywhere", "checks: {allowed_peers: [\"::ffff:0:0/96\"]}\n",
		"d.yaml:1:25: checks.allowed_peers: 0.0.0.0/0 would let everybody ask at checks.http, and a check tells who a stolen token belongs to; name the proxies' networks, or set checks.http.tls.client_ca_file"},
	{"peers from everywhere with certificates at one listener", "checks:\n  allowed_peers: [0.0.0.0/0]\n  http:\n    tls: {cert_file: c, key_file: k, client_ca_file: a}\n",
		"d.yaml:2:18: checks.allowed_peers: 0.0.0.0/0 would let everybody ask at checks.grpc, and a check tells who a stolen token belongs to; name the proxies' networks, or set checks.grpc.tls.client_ca_file"},
	{"certificate without its key", "checks: {http: {tls: {cert_file: c}}}\n",
		"d.yaml:1:34: checks.http.tls.cert_file is set without checks.http.tls.key_file; a certificate serves nobody without its key"},
	{"key without its certificate", "admin:\n  tls: {key_file: k, cert_file: \"\"}\n",
		"d.yaml:2:33: admin.tls.key_file is set without admin.tls.cert_file; a key serves nobody without its certificate"},
	{"certificates of clients without TLS", "checks: {grpc: {tls: {client_ca_file: a}}}\n",
		"d.yaml:1:39: checks.grpc.tls.client_ca_file is set without checks.grpc.tls.cert_file and its key; clients show certificates over TLS only"},
	{"certificates of people", "api: {tls: {cert_file: c, key_file: k, client_ca_file: a}}\n",
		`d.yaml:1:40: unknown key "client_ca_file" in api.tls; it can hold cert_file, key_file`},
	{"folder as certificate", "api: {tls: {cert_file: tls/, key_file: k}}\n",
		`d.yaml:1:24: api.tls.cert_file: "tls/" is a folder; name a file`},
	{"proxies everywhere", "trusted_proxies: [0.0.0.0/0]\n",
		"d.yaml:1:19: trusted_proxies: 0.0.0.0/0 would trust everybody, so that every client could choose its own address by a header; name the proxies' networks"},
	{"mapped proxies everywhere", "trusted_proxies: [\"::/64\"]\n",
		"d.yaml:1:19: trusted_proxies: ::/64 would trust everybody, so that every client could choose its own address by a header; name the proxies' networks"},
	{"address without a port", "api: {address: 127.0.0.1}\n",
		`d.yaml:1:16: api.address: "127.0.0.1" is not an address; write host:port, unix:/path, or "" for off`},
	{"address with a large port", "api: {address: \"127.0.0.1:65536\"}\n",
		`d.yaml:1:16: api.address: "127.0.0.1:65536" has no port from 0 to 65535`},
	{"address with a named port", "api: {address: \"127.0.0.1:http\"}\n",
		`d.yaml:1:16: api.address: "127.0.0.1:http" has no port from 0 to 65535`},
	{"address that is no IP address", "api: {address: \"300.0.0.1:80\"}\n",
		`d.yaml:1:16: api.address: "300.0.0.1" is not an IP address`},
	{"address with a bad host", "api: {address: \"a b:80\"}\n",
		`d.yaml:1:16: api.address: "a b" is neither an IP address nor a host name`},
	{"relative socket", "api: {address: \"unix:run.sock\"}\n",
		`d.yaml:1:16: api.address: "unix:run.sock" is not an absolute path; write unix:/path`},
	{"long socket", "api: {address: unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n",
		`d.yaml:1:16: api.address: the socket's path "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..." has 108 bytes; the kernel takes 107`},
	{"one address twice", "api:\n  address: 127.0.0.1:9281\n",
		"d.yaml:2:12: checks.grpc.address (127.0.0.1:9281) and api.address (127.0.0.1:9281) cannot both be listened on; choose another for one"},
	{"one port on all addresses", "operations: {address: \":9280\"}\n",
		"d.yaml:1:23: checks.http.address (127.0.0.1:9280) and operations.address (:9280) cannot both be listened on; choose another for one"},
	{"one socket twice", "api: {address: unix:/run/a.sock}\nadmin: {socket: /run//a.sock}\n",
		"d.yaml:2:17: api.address (unix:/run/a.sock) and admin.socket (unix:/run//a.sock) cannot both be listened on; choose another for one"},
	{"admin on another listener", "admin: {address: \":9282\"}\n",
		"d.yaml:1:18: api.address (127.0.0.1:9282) and admin.address (:9282) cannot both be listened on; choose another for one"},
	{"admin twice on one socket", "admin:\n  address: unix:/run/a.sock\n  socket: /run/a.sock\n",
		"d.yaml:3:11: admin.address (unix:/run/a.sock) and admin.socket (unix:/run/a.sock) cannot both be listened on; choose another for one"},
	{"admin on the socket that follows the store", "store: {path: /run/a}\nadmin: {address: unix:/run/a.sock}\n",
		"d.yaml:2:18: admin.address (unix:/run/a.sock) and admin.socket (unix:/run/a.sock) cannot both be listened on; choose another for one"},
	{"admin on the store", "admin: {address: unix:/run/a}\nstore: {path: /run/a}\n",
		"d.yaml:2:15: admin.address and store.path are the same file; choose another for one"},
	{"admin without a port", "admin: {address: 127.0.0.1}\n",
		`d.yaml:1:18: admin.address: "127.0.0.1" is not an address; write host:port, unix:/path, or "" for off`},
	{"listener on the store", "store: {path: /run/a}\napi: {address: unix:/run/a}\n",
		"d.yaml:2:16: api.address and store.path are the same file; choose another for one"},
	{"socket on the store", "store: {path: a}\nadmin: {socket: ./a}\n",
		"d.yaml:2:17: admin.socket and store.path are the same file; choose another for one"},
	{"abstract socket", "admin: {socket: \"@gate\"}\n",
		`d.yaml:1:17: admin.socket: the socket's path "@gate" must not start with @`},
	{"abstract socket from the store", "store: {path: \"@gate\"}\n",
		`d.yaml:1:15: admin.socket follows store.path: the socket's path "@gate.sock" must not start with @; set it`},
	{"long socket from the store", "store: {path: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n",
		`d.yaml:1:15: admin.socket follows store.path: the socket's path "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..." has 108 bytes; the kernel takes 107; set it`},
	{"socket with a scheme", "admin: {socket: unix:/run/a.sock}\n",
		`d.yaml:1:17: admin.socket: "unix:/run/a.sock": write the path alone, without unix: before it`},
	{"empty store", "store: {path: \"\"}\n",
		"d.yaml:1:15: store.path: must not be empty; name a file"},
	{"folder as store", "store: {path: data/}\n",
		`d.yaml:1:15: store.path: "data/" is a folder; name a file`},
	{"control character in a path", "store: {path: \"a\\0b\"}\n",
		`d.yaml:1:15: store.path: "a\x00b" contains a control character`},
	{"rate without a period", "api: {sign_in_rate: 10}\n",
		`d.yaml:1:21: api.sign_in_rate: "10" is not a rate; write a whole number, a slash and a period, such as 10/1m`},
	{"rate of none", "api: {sign_in_rate: 0/1m}\n",
		`d.yaml:1:21: api.sign_in_rate: "0/1m": the number 0 is out of range; 1 to 1000000 is allowed`},
	{"rate with a bare unit", "api: {sign_in_rate: 10/m}\n",
		`d.yaml:1:21: api.sign_in_rate: "10/m": the period "m" is not a duration; write a number with d, h, m or s, such as 90s, 15m or 1d12h`},
	{"rate over a week", "api:\n  sign_in_rate: 10/7d\n",
		`d.yaml:2:17: api.sign_in_rate: "10/7d": the period 7d is out of range; 1s to 1d is allowed`},
	{"rate that is a list", "api: {sign_in_rate: [10, 1m]}\n",
		`d.yaml:1:21: api.sign_in_rate: a list; a single value is expected`},
	{"history over the total", "activity:\n  max_per_user: 2000\n  max_total: 1999\n",
		"d.yaml:3:14: activity.max_total is 1999, under activity.max_per_user, which is 2000; raise the one or lower the other"},
	{"retention for ever", "activity: {retention: 0s}\n",
		"d.yaml:1:23: activity.retention: 0s is out of range; 1h to 3650d is allowed"},
	{"name locked before the network", "lockout: {threshold: 51}\n",
		"d.yaml:1:22: lockout.name_threshold is 50, under lockout.threshold, which is 51; a name would be locked for everybody before the one who guesses is"},
	{"delays the wrong way round", "lockout: {base_delay: 2h}\n",
		"d.yaml:1:23: lockout.max_delay is 1h, under lockout.base_delay, which is 2h; raise the one or lower the other"},
	{"window under the delay", "lockout:\n  max_delay: 2d\n",
		"d.yaml:2:14: lockout.window is 1d, under lockout.max_delay, which is 2d; failures would be forgotten while they still make somebody wait"},
	{"lockout for nobody", "lockout: {exempt_networks: [10.0.0.0/8, 0.0.0.0/0]}\n",
		"d.yaml:1:41: lockout.exempt_networks: 0.0.0.0/0 would switch the lockout off for everybody; name the networks that may fail as often as they like"},
	{"lockout for nobody by IPv6", "lockout: {exempt_networks: [\"::/0\"]}\n",
		"d.yaml:1:29: lockout.exempt_networks: ::/0 would switch the lockout off for everybody; name the networks that may fail as often as they like"},
	{"lockout for nobody by mapped addresses", "lockout: {exempt_networks: [\"::ffff:0:0/96\"]}\n",
		"d.yaml:1:29: lockout.exempt_networks: ::ffff:0:0/96 would switch the lockout off for everybody; name the networks that may fail as often as they like"},
	{"exempt network that is none", "lockout: {exempt_networks: [office]}\n",
		`d.yaml:1:29: lockout.exempt_networks: "office" is not a network; write a CIDR such as 10.0.0.0/8 or a single address`},
	{"folder as database of places", "geo: {mmdb_file: /data/}\n",
		`d.yaml:1:18: geo.mmdb_file: "/data/" is a folder; name a file`},
	{"lookup without a place for the address", "geo: {http_url: https://geo.example/}\n",
		"d.yaml:1:17: geo.http_url: {ip}, where the address is put in, stands in it 0 times; write it once, in the path or the query, such as https://ipapi.co/{ip}/json/"},
	{"lookup with two places", "geo:\n  http_url: https://geo.example/{ip}?q={ip}\n",
		"d.yaml:2:13: geo.http_url: {ip}, where the address is put in, stands in it 2 times; write it once, in the path or the query, such as https://ipapi.co/{ip}/json/"},
	{"lookup host by address", "geo:\n  http_url: https://{ip}.geo.example/\n",
		"d.yaml:2:13: geo.http_url: {ip} stands in front of the path; write it once, in the path or the query, such as https://ipapi.co/{ip}/json/"},
	{"lookup with another placeholder", "geo:\n  http_url: https://geo.example/{ip}?key={key}\n",
		"d.yaml:2:13: geo.http_url: a brace besides {ip}, which is the only thing that is replaced; write %7B and %7D for braces"},
	{"lookup by another protocol", "geo:\n  http_url: ftp://geo.example/{ip}\n",
		`d.yaml:2:13: geo.http_url: not an absolute URL; write "" or one such as https://ipapi.co/{ip}/json/`},
	{"lookup with a password", "geo:\n  http_url: https://a:b@geo.example/{ip}\n",
		"d.yaml:2:13: geo.http_url: a user or password in front of the host is not sent; leave it out"},
	{"lookup with a fragment", "geo:\n  http_url: https://geo.example/{ip}#json\n",
		"d.yaml:2:13: geo.http_url: what stands behind # is never sent; leave it out"},
	{"lookup with a bad port", "geo:\n  http_url: https://geo.example:0/{ip}\n",
		`d.yaml:2:13: geo.http_url: "0" is not a port from 1 to 65535`},
	{"lookup in a flow map without quotes", "geo: {http_url: https://geo.example/{ip}/json}\n",
		"d.yaml:1:37: not YAML: ',' or '}' must be specified"},
	{"lookup with spaces", "geo:\n  http_url: https://geo.example/a b/{ip}\n",
		"d.yaml:2:13: geo.http_url: write at most 2048 printable ASCII characters without spaces"},
	{"empty audience", "tokens: {audience: \"\"}\n",
		"d.yaml:1:20: tokens.audience: must not be empty; a token without it could be taken for another service's"},
	{"issuer with a space", "tokens: {issuer: a b}\n",
		`d.yaml:1:18: tokens.issuer: "a b": write at most 256 printable ASCII characters without spaces`},
	{"any origin", "api: {cors_allowed_origins: [\"*\"]}\n",
		`d.yaml:1:30: api.cors_allowed_origins: "*": write an origin as browsers do, such as https://app.example.com, without a path and a slash at its end; patterns are not known`},
	{"origins by a pattern", "api: {cors_allowed_origins: [\"https://*.example.com\"]}\n",
		`d.yaml:1:30: api.cors_allowed_origins: "https://*.example.com": write an origin as browsers do, such as https://app.example.com, without a path and a slash at its end; patterns are not known`},
	{"the origin of nobody", "api: {cors_allowed_origins: [\"null\"]}\n",
		`d.yaml:1:30: api.cors_allowed_origins: "null": write an origin as browsers do, such as https://app.example.com, without a path and a slash at its end; patterns are not known`},
	{"an origin with a slash", "api: {cors_allowed_origins: [\"https://app.example.com/\"]}\n",
		`d.yaml:1:30: api.cors_allowed_origins: "https://app.example.com/": write an origin as browsers do, such as https://app.example.com, without a path and a slash at its end; patterns are not known`},
	{"an origin with a user", "api: {cors_allowed_origins: [\"https://a@app.example.com/x\"]}\n",
		`d.yaml:1:30: api.cors_allowed_origins: "https://a@app.example.com/x": write an origin as browsers do, such as https://app.example.com, without a path and a slash at its end; patterns are not known`},
	{"an origin in capitals", "api: {cors_allowed_origins: [\"https://App.example.com\"]}\n",
		`d.yaml:1:30: api.cors_allowed_origins: "https://App.example.com": write at most 256 characters of ASCII in small letters (xn--... for other letters), as browsers do`},
	{"an origin with the usual port", "api: {cors_allowed_origins: [\"https://app.example.com:443\"]}\n",
		`d.yaml:1:30: api.cors_allowed_origins: "https://app.example.com:443": leave the port out where it is the usual one, as browsers do`},
	{"an origin over http", "api: {cors_allowed_origins: [\"http://app.example.com\"]}\n",
		`d.yaml:1:30: api.cors_allowed_origins: "http://app.example.com": write https; http is for localhost alone`},
	{"base path without a slash", "api: {base_path: gate}\n",
		`d.yaml:1:18: api.base_path: "gate": write "" or a path with a slash in front and none at the end, such as /gate`},
	{"base path with a slash at the end", "api: {base_path: /gate/}\n",
		`d.yaml:1:18: api.base_path: "/gate/": write "" or a path with a slash in front and none at the end, such as /gate`},
	{"base path with dots", "api: {base_path: /a/../b}\n",
		`d.yaml:1:18: api.base_path: "/a/../b": between slashes write a-z A-Z 0-9 . _ ~ -, and never . or .. or nothing`},
	{"base path with two slashes", "api: {base_path: /a//b}\n",
		`d.yaml:1:18: api.base_path: "/a//b": between slashes write a-z A-Z 0-9 . _ ~ -, and never . or .. or nothing`},
	{"header with an underscore", "identity_headers: {user: Remote_User}\n",
		`d.yaml:1:26: identity_headers.user: "Remote_User" is not usable as a header name; write 1 to 64 letters, digits and dashes, no dash at the ends`},
	{"header of nginx", "identity_headers: {device: X-Accel-Redirect}\n",
		"d.yaml:1:28: identity_headers.device: X-Accel-Redirect cannot carry an identity: proxies, browsers and backends act on it; write a name of your own, such as Remote-User"},
	{"one header twice", "identity_headers:\n  user: remote-GROUPS\n",
		"d.yaml:2:9: Remote-Groups is the header of identity_headers.user and of identity_headers.roles; each needs its own"},
	{"assertion in the header of nginx", "identity_headers: {assertion: X-Accel-Redirect}\n",
		"d.yaml:1:31: identity_headers.assertion: X-Accel-Redirect cannot carry an identity: proxies, browsers and backends act on it; write a name of your own, such as Remote-User"},
	{"assertion in the header of the user", "identity_headers: {assertion: remote-user}\n",
		"d.yaml:1:31: remote-user is the header of identity_headers.user and of identity_headers.assertion; each needs its own"},
	{"assertion with long signatures", "identity_headers: {assertion: Remote-Assertion}\ntokens: {algorithm: RS256}\n",
		"d.yaml:2:21: identity_headers.assertion does not go with tokens.algorithm RS256, whose long signatures and a long name do not fit into one answer to a proxy; write EdDSA or ES256"},
	{"assertion of a long issuer", "tokens: {issuer: " + strings.Repeat("i", 174) + "}\nidentity_headers: {assertion: Remote-Assertion}\n",
		"d.yaml:2:31: tokens.issuer takes 174 bytes in an assertion, and the answer to a proxy has room for 173 beside the names of identity_headers; shorten it, or them"},
	{"assertion of an issuer that grows in JSON", "identity_headers: {assertion: Remote-Assertion}\ntokens: {issuer: '" + strings.Repeat(`"\`, 44) + "'}\n",
		"d.yaml:2:18: tokens.issuer takes 176 bytes in an assertion, and the answer to a proxy has room for 173 beside the names of identity_headers; shorten it, or them"},
	{"assertion beside long names", "tokens: {issuer: https://gate.intern.example}\nidentity_headers: {user: " + long("u") + ", roles: " + long("r") + ", device: " + long("d") + ", assertion: " + long("a") + "}\n",
		"d.yaml:2:250: tokens.issuer takes 27 bytes in an assertion, and the answer to a proxy has room for 21 beside the names of identity_headers; shorten it, or them"},
	{"unknown level", "log: {level: loud}\n",
		`d.yaml:1:14: log.level: "loud" is not known; write one of trace, debug, info, warn, error`},
	{"unknown format", "log: {format: JSON}\n",
		`d.yaml:1:15: log.format: "JSON" is not known; write one of auto, json, console`},
	{"anchor", "store: &a {path: x}\n",
		"d.yaml:1:8: store: anchors, aliases, merge keys, tags and keys with ? are not read; write the value out"},
	{"alias", "shutdown_timeout: *a\n",
		"d.yaml:1:19: shutdown_timeout: anchors, aliases, merge keys, tags and keys with ? are not read; write the value out"},
	{"merge key", "store: {<<: {path: x}}\n",
		"d.yaml:1:9: store: not usable as a key: anchors, aliases, merge keys, tags and keys with ? are not read; write the value out"},
	{"tag", "store: {path: !!str x}\n",
		"d.yaml:1:15: store.path: anchors, aliases, merge keys, tags and keys with ? are not read; write the value out"},
	{"complex key", "? store\n: {path: x}\n",
		"d.yaml:1:1: not usable as a key: anchors, aliases, merge keys, tags and keys with ? are not read; write the value out"},
	{"two documents", "store: {path: a}\n---\nstore: {path: b}\n",
		"d.yaml:2:1: a second document; a configuration is one"},
	{"directive", "%YAML 1.2\n---\nstore: {path: a}\n",
		"d.yaml:1:1: YAML directives are not read; remove the line"},
	{"tab", "store:\n\tpath: a\n",
		"d.yaml:2:1: YAML is not indented with tabs; use spaces"},
	{"open bracket", "trusted_proxies: [10.0.0.1\n",
		"d.yaml:1:18: not YAML: sequence end token ']' not found"},
	{"bad indentation", "store:\n  path: a\n api: b\n",
		"d.yaml:3:2: not YAML: value is not allowed in this context"},
	{"reserved character", "store: {path: @x}\n",
		"d.yaml:1:15: not YAML: '@' is a reserved character"},
	{"colon in a value", "store:\n  path: a: b\n",
		"d.yaml:2:9: not YAML: mapping value is not allowed in this context"},
	{"not UTF-8", "store: {path: \"é\xff\"}\n",
		"d.yaml:1:17: not UTF-8"},
	{"NUL", "# a\nstore: {path: a\x00}\n",
		"d.yaml:2:16: control character U+0000; remove it"},
	{"deep flow", "store: " + strings.Repeat("[", 65) + strings.Repeat("]", 65) + "\n",
		"d.yaml:1:72: nested deeper than 64"},
	{"deep block", strings.Repeat("- ", 65) + "\n",
		"d.yaml:1:129: nested deeper than 64"},
}

func TestBadFiles(t *testing.T) {
	for _, c := range slices.Concat(badFiles, badPolicies, badIssuers) {
		t.Run(c.name, func(t *testing.T) {
			got := lines(t, config.Source{File: write(t, c.text)})
			if diff := cmp.Diff([]string{c.want}, got); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", c.text, diff)
			}
		})
	}
}

func TestBadEnvironment(t *testing.T) {
	for _, c := range []struct{ variable, want string }{
		{"DEVICEGATE_STORE_PATH=", "DEVICEGATE_STORE_PATH: must not be empty; name a file"},
		{"DEVICEGATE_TOKENS_LEEWAY=5", `DEVICEGATE_TOKENS_LEEWAY: "5" is not a duration; write a number with d, h, m or s, such as 90s, 15m or 1d12h`},
		{"DEVICEGATE_LOG_ALLOWED_SAMPLE=one", `DEVICEGATE_LOG_ALLOWED_SAMPLE: "one" is not a whole number; 1 to 1000000 is allowed`},
		{"DEVICEGATE_CHECKS_ALLOWED_PEERS=10.0.0.0/8,::/0", "DEVICEGATE_CHECKS_ALLOWED_PEERS: checks.allowed_peers: ::/0 would let everybody ask at checks.http, and a check tells who a stolen token belongs to; name the proxies' networks, or set checks.http.tls.client_ca_file"},
		{"DEVICEGATE_TRUSTED_PROXIES=10.0.0.0/8,", `DEVICEGATE_TRUSTED_PROXIES: "" is not a network; write a CIDR such as 10.0.0.0/8 or a single address`},
		{"DEVICEGATE_POLICIES={}", "DEVICEGATE_POLICIES: a map can only be set in the file, under policies"},
		{"DEVICEGATE_POLICIES_STAFF_REQUIRE_ROLES=staff", "DEVICEGATE_POLICIES_STAFF_REQUIRE_ROLES: a map can only be set in the file"},
		{"DEVICEGATE_POLICIES=", "DEVICEGATE_POLICIES: a map can only be set in the file, under policies"},
		{"DEVICEGATE_POLICIES_DEFAULT_ANONYMOUS=allow", "DEVICEGATE_POLICIES_DEFAULT_ANONYMOUS: a map can only be set in the file"},
		{"DEVICEGATE_POLICIES_STAFF_ALLOWED_NETWORKS=10.0.0.0/8", "DEVICEGATE_POLICIES_STAFF_ALLOWED_NETWORKS: a map can only be set in the file"},
		{"DEVICEGATE_DEVICES_MAX_DEVICES_BY_ROLE=staff=1", "DEVICEGATE_DEVICES_MAX_DEVICES_BY_ROLE: a map can only be set in the file, under devices.max_devices_by_role"},
		{"DEVICEGATE_DEVICES_MAX_DEVICES_BY_ROLE_STAFF=1", "DEVICEGATE_DEVICES_MAX_DEVICES_BY_ROLE_STAFF: a map can only be set in the file"},
		{"DEVICEGATE_ISSUERS=[]", "DEVICEGATE_ISSUERS: a map can only be set in the file, under issuers"},
		{"DEVICEGATE_ISSUERS=", "DEVICEGATE_ISSUERS: a map can only be set in the file, under issuers"},
		{"DEVICEGATE_ISSUERS_0_AUDIENCE=app", "DEVICEGATE_ISSUERS_0_AUDIENCE: a map can only be set in the file"},
		{"DEVICEGATE_CHECKS_GRPC_POLICY=staff", `DEVICEGATE_CHECKS_GRPC_POLICY: checks.grpc.policy is "staff", but the policies are default`},
		{"DEVICEGATE_API_ADDRESS=127.0.0.1:9283", "DEVICEGATE_API_ADDRESS: api.address (127.0.0.1:9283) and operations.address (127.0.0.1:9283) cannot both be listened on; choose another for one"},
		{"DEVICEGATE_TOKENS_REFRESH_LIFETIME=1m", "DEVICEGATE_TOKENS_REFRESH_LIFETIME: tokens.refresh_lifetime is 1m, under tokens.access_lifetime, which is 15m; a refresh token has to live at least as long"},
		{"DEVICEGATE_TOKENS_KEY_ROTATION=2h", "DEVICEGATE_TOKENS_KEY_ROTATION: tokens.key_rotation is 2h, under 2h15m, which is tokens.access_lifetime and 2h; a key is published an hour before it signs, and verifies until its last token is dead"},
		{"DEVICEGATE_TOKENS_ALGORITHM=", `DEVICEGATE_TOKENS_ALGORITHM: "" is not known; write one of EdDSA, ES256, RS256`},
		{"DEVICEGATE_STORE_ENCRYPTION_KEY_FILE=a\x00b", `DEVICEGATE_STORE_ENCRYPTION_KEY_FILE: "a\x00b" contains a control character`},
		{"DEVICEGATE_ADMIN_ADDRESS=127.0.0.1:9283", "DEVICEGATE_ADMIN_ADDRESS: operations.address (127.0.0.1:9283) and admin.address (127.0.0.1:9283) cannot both be listened on; choose another for one"},
		{"DEVICEGATE_API_SIGN_IN_RATE=", `DEVICEGATE_API_SIGN_IN_RATE: "" is not a rate; write a whole number, a slash and a period, such as 10/1m`},
		{"DEVICEGATE_ACTIVITY_MAX_PER_USER=1000000 ", `DEVICEGATE_ACTIVITY_MAX_PER_USER: "1000000 " is not a whole number; 10 to 1000000 is allowed`},
		{"DEVICEGATE_LOCKOUT_EXEMPT_NETWORKS=10.0.0.0/8,::/0", "DEVICEGATE_LOCKOUT_EXEMPT_NETWORKS: ::/0 would switch the lockout off for everybody; name the networks that may fail as often as they like"},
		{"DEVICEGATE_LOCKOUT_WINDOW=59m", "DEVICEGATE_LOCKOUT_WINDOW: lockout.window is 59m, under lockout.max_delay, which is 1h; failures would be forgotten while they still make somebody wait"},
		{"DEVICEGATE_GEO_MMDB_FILE=a\x00b", `DEVICEGATE_GEO_MMDB_FILE: "a\x00b" contains a control character`},
		{"DEVICEGATE_GEO_HTTP_TIMEOUT=1m", "DEVICEGATE_GEO_HTTP_TIMEOUT: 1m is out of range; 100ms to 30s is allowed"},
		{"DEVICEGATE_ADMIN_SOCKET=@x", `DEVICEGATE_ADMIN_SOCKET: the socket's path "@x" must not start with @`},
	} {
		got := lines(t, config.Source{Environ: []string{c.variable}})
		if diff := cmp.Diff([]string{c.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.variable, diff)
		}
	}
}

// TestEveryFaultAtOnce puts one fault on nearly every line, in the file, the environment and a flag.
func TestEveryFaultAtOnce(t *testing.T) {
	text, err := os.ReadFile("testdata/faults.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/faults.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := lines(t, config.Source{
		File: write(t, string(text)),
		Environ: []string{
			"DEVICEGATE_TRUSTED_PROXIES=10.0.0.1, x,,::/0", "DEVICEGATE_STORE_PATH=",
			"DEVICEGATE_POLICIES_STAFF_REQUIRE_ROLES=staff", "DEVICEGATE_OPERATIONS_ADDRESS=127.0.0.1:9281",
		},
		LogLevel: "loud",
	})
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		src  config.Source
		want string
	}{
		{"absent but asked for", config.Source{File: filepath.Join(dir, "none.yaml"), FileRequired: true}, "d.yaml: there is no such file"},
		{"a folder", config.Source{File: dir}, "d.yaml: cannot be read: is a directory"},
		{"too large", config.Source{File: write(t, strings.Repeat("#", 1<<20)+"\n")}, "d.yaml: larger than 1 MiB: this is no configuration file"},
	} {
		got := lines(t, c.src)
		if len(got) != 1 || !strings.HasPrefix(got[0], c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := lines(t, config.Source{File: write(t, strings.Repeat("#", 1<<20))}); got != nil {
		t.Errorf("a file of exactly 1 MiB: %q", got)
	}
}

// TestUnreadableFileStillReportsTheRest: the environment is checked, but nothing is concluded from
// values the file may have set.
func TestUnreadableFileStillReportsTheRest(t *testing.T) {
	got := lines(t, config.Source{
		File:    write(t, "policies: {staff: {}\n"),
		Environ: []string{"DEVICEGATE_CHECKS_GRPC_POLICY=staff", "DEVICEGATE_TOKENS_LEEWAY=2m"},
	})
	want := []string{
		"d.yaml:1:11: not YAML: could not find flow mapping end token '}'",
		"DEVICEGATE_TOKENS_LEEWAY: 2m is out of range; 0s to 1m is allowed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// long is the longest name of a header.
func long(letter string) string { return strings.Repeat(letter, 64) }

// TestAssertionThatFits: what is beside the faults.
func TestAssertionThatFits(t *testing.T) {
	for _, file := range []string{
		"identity_headers: {assertion: Remote-Assertion}\n",
		"identity_headers: {assertion: \"\"}\ntokens: {algorithm: RS256, issuer: " + strings.Repeat("i", 256) + "}\n",
		"identity_headers: {assertion: Remote-Assertion}\ntokens: {algorithm: ES256, issuer: " + strings.Repeat("i", 173) + "}\n",
		"identity_headers: {user: " + long("u") + ", roles: " + long("r") + ", device: " + long("d") + ", assertion: " + long("a") + "}\n",
	} {
		if got := lines(t, config.Source{File: write(t, file)}); got != nil {
			t.Errorf("%.60s: faults %q, want none", file, got)
		}
	}
	c := mustLoad(t, config.Source{Environ: []string{"DEVICEGATE_IDENTITY_HEADERS_ASSERTION=X-Proof"}})
	if c.IdentityHeaders.Assertion != "X-Proof" || c.IdentityHeaders.AssertionBytes() != 2628+len("Remote-Assertion")-len("X-Proof") {
		t.Errorf("the header is %q and may have %d bytes", c.IdentityHeaders.Assertion, c.IdentityHeaders.AssertionBytes())
	}
}

// TestRefusedHeaders: no header that somebody on the way acts on carries an identity.
func TestRefusedHeaders(t *testing.T) {
	for _, name := range strings.Fields(`Connection Keep-Alive TE Trailer Transfer-Encoding Upgrade Proxy-Authorization
		Proxy-Connection X-Accel-Redirect x-accel-buffering Host Content-Length Content-Type Authorization Cookie
		Set-Cookie Location Cache-Control WWW-Authenticate X-Auth-Reason Retry-After X-Envoy-Original-Path
		X-Forwarded-User X-Original-Url X-Real-Ip Forwarded Via :path Remote_User Remote.User Remote~User`) {
		if got := lines(t, config.Source{Environ: []string{"DEVICEGATE_IDENTITY_HEADERS_USER=" + name}}); len(got) != 1 {
			t.Errorf("%s: faults %q, want one", name, got)
		}
	}
	for _, name := range []string{"X-User", "Tenant-User", "X-Auth-Request-User", "remote-user"} {
		if got := lines(t, config.Source{Environ: []string{"DEVICEGATE_IDENTITY_HEADERS_USER=" + name}}); got != nil {
			t.Errorf("%s: faults %q, want none", name, got)
		}
	}
}

// TestBounds: each bound is accepted, and the value beside it is not.
func TestBounds(t *testing.T) {
	for _, c := range []struct{ name, low, high, under, over string }{
		{"TOKENS_ACCESS_LIFETIME", "1m", "24h", "59s", "24h1s"},
		{"TOKENS_REFRESH_LIFETIME", "15m", "3650d", "14m59s", "3651d"},
		{"TOKENS_KEY_ROTATION", "2h15m", "3650d", "2h14m59s", "3650d1s"},
		{"TOKENS_LEEWAY", "0s", "60s", "-1s", "61s"},
		{"PASSWORDS_MIN_LENGTH", "8", "256", "7", "257"},
		{"PASSWORDS_MAX_CONCURRENT", "0", "1024", "-1", "1025"},
		{"PASSWORDS_ARGON2ID_MEMORY", "19MiB", "1GiB", "19455KiB", "1048577KiB"},
		{"PASSWORDS_ARGON2ID_ITERATIONS", "2", "64", "1", "65"},
		{"PASSWORDS_ARGON2ID_PARALLELISM", "1", "16", "0", "17"},
		{"DEVICES_MAX_DEVICES", "0", "200", "-1", "201"},
		{"DEVICES_HARD_LIMIT", "1", "1000", "0", "1001"},
		{"DEVICES_MAX_LIFETIME", "1m", "36500d", "59s", "36501d"},
		{"API_SIGN_IN_RATE", "1/1s", "1000000/1d", "1/999ms", "1000001/1s"},
		{"ACTIVITY_RETENTION", "1h", "3650d", "59m59s", "3650d1s"},
		{"ACTIVITY_MAX_PER_USER", "10", "1000000", "9", "1000001"},
		{"ACTIVITY_MAX_TOTAL", "1000", "100000000", "999", "100000001"},
		{"LOCKOUT_THRESHOLD", "1", "50", "0", "51"},
		{"LOCKOUT_NAME_THRESHOLD", "5", "100000", "4", "100001"},
		{"LOCKOUT_BASE_DELAY", "1s", "1h", "999ms", "1h1s"},
		{"LOCKOUT_MAX_DELAY", "1m", "1d", "59s", "24h1s"},
		{"LOCKOUT_WINDOW", "1h", "365d", "59m59s", "365d1s"},
		{"GEO_HTTP_TIMEOUT", "100ms", "30s", "99ms", "30001ms"},
		{"LOG_ALLOWED_SAMPLE", "1", "1000000", "0", "1000001"},
		{"SHUTDOWN_TIMEOUT", "1s", "10m", "0s", "10m1s"},
	} {
		for value, want := range map[string]int{c.low: 0, c.high: 0, c.under: 1, c.over: 1} {
			if got := lines(t, config.Source{Environ: []string{"DEVICEGATE_" + c.name + "=" + value}}); len(got) != want {
				t.Errorf("%s=%s: faults %q, want %d", c.name, value, got, want)
			}
		}
	}
}

// TestLockoutBounds is TestBounds for the keys of the lockout whose own bounds lie behind those of
// another.
func TestLockoutBounds(t *testing.T) {
	for _, c := range []struct {
		environ string
		want    int
	}{
		{"THRESHOLD=1000 NAME_THRESHOLD=1000", 0},
		{"THRESHOLD=1001 NAME_THRESHOLD=2000", 1},
		{"THRESHOLD=1 NAME_THRESHOLD=1", 0},
		{"THRESHOLD=1 NAME_THRESHOLD=0", 1},
		{"BASE_DELAY=1d MAX_DELAY=1d WINDOW=1d", 0},
		{"BASE_DELAY=86401s MAX_DELAY=2d WINDOW=2d", 1},
		{"BASE_DELAY=1s MAX_DELAY=1s WINDOW=1m", 0},
		{"BASE_DELAY=1s MAX_DELAY=1s WINDOW=59s", 1},
		{"BASE_DELAY=1s MAX_DELAY=999ms", 1},
		{"MAX_DELAY=30d WINDOW=30d", 0},
		{"MAX_DELAY=720h1s WINDOW=31d", 1},
	} {
		var environ []string
		for _, word := range strings.Fields(c.environ) {
			environ = append(environ, "DEVICEGATE_LOCKOUT_"+word)
		}
		if got := lines(t, config.Source{Environ: environ}); len(got) != c.want {
			t.Errorf("%s: faults %q, want %d", c.environ, got, c.want)
		}
	}
}
