package config_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"devicegate/config"

	"github.com/google/go-cmp/cmp"
)

// badPolicies is a table of files, each with one fault of a policy, in full.
var badPolicies = []struct{ name, text, want string }{
	{"policy without roles", "policies:\n  staff:\n    require_roles: []\n",
		"d.yaml:3:20: policies.staff.require_roles: names no role; leave the key out if every role may pass"},
	{"policy with too many roles", "policies: {staff: {require_roles: [" + many(33, "r%d") + "]}}\n",
		"d.yaml:1:35: policies.staff.require_roles: 33 of them; at most 32 are allowed"},
	{"policy with too many roles of all", "policies: {staff: {require_all_roles: [" + many(33, "r%d") + "]}}\n",
		"d.yaml:1:39: policies.staff.require_all_roles: 33 of them; at most 32 are allowed"},
	{"policy with a bad role", "policies: {staff: {require_roles: [staff, Admin]}}\n",
		`d.yaml:1:43: policies.staff.require_roles: "Admin" is not a name; write at most 64 of a-z 0-9 . _ - with a letter or digit in front`},
	{"policy with a bad role of all", "policies: {staff: {require_all_roles: [staff, \"a,b\"]}}\n",
		`d.yaml:1:47: policies.staff.require_all_roles: "a,b" is not a name; write at most 64 of a-z 0-9 . _ - with a letter or digit in front`},
	{"roles of all as text", "policies: {staff: {require_all_roles: staff}}\n",
		"d.yaml:1:39: policies.staff.require_all_roles: text; a list is expected"},

	{"policy with an unknown key", "policies: {staff: {require_role: [a]}}\n",
		`d.yaml:1:20: unknown key "require_role" in policies.staff; did you mean require_roles?`},
	{"policy with an unknown key of all roles", "policies: {staff: {require_all_role: [a]}}\n",
		`d.yaml:1:20: unknown key "require_all_role" in policies.staff; did you mean require_all_roles?`},
	{"policy with an unknown age", "policies: {staff: {max_device_ages: 1h}}\n",
		`d.yaml:1:20: unknown key "max_device_ages" in policies.staff; did you mean max_device_age?`},
	{"policy with an unknown network", "policies: {staff: {allowed_network: [10.0.0.0/8]}}\n",
		`d.yaml:1:20: unknown key "allowed_network" in policies.staff; did you mean allowed_networks?`},
	{"policy with an unknown country", "policies: {staff: {deny_contry: [AT]}}\n",
		`d.yaml:1:20: unknown key "deny_contry" in policies.staff; did you mean deny_country?`},
	{"policy with a key in capitals", "policies: {staff: {Mode: report}}\n",
		`d.yaml:1:20: unknown key "Mode" in policies.staff; did you mean mode?`},
	{"policy with a key of nowhere", "policies: {staff: {frobnicate: 1}}\n",
		`d.yaml:1:20: unknown key "frobnicate" in policies.staff; it can hold require_roles, require_all_roles, min_device_age, max_device_age, allowed_networks, require_country, deny_country, anonymous, cors_preflight, authorization, mode`},
	{"policy with a key twice", "policies:\n  staff: {mode: enforce, mode: report}\n",
		`d.yaml:2:26: policies.staff: duplicate key "mode"; it stands in line 2 already`},

	{"age without a unit", "policies: {staff: {min_device_age: 60}}\n",
		`d.yaml:1:36: policies.staff.min_device_age: "60" is not a duration; write a number with d, h, m or s, such as 90s, 15m or 1d12h`},
	{"age out of range", "policies: {staff: {max_device_age: 3651d}}\n",
		"d.yaml:1:36: policies.staff.max_device_age: 3651d is out of range; 0s to 3650d is allowed"},
	{"ages the wrong way round", "policies:\n  staff:\n    max_device_age: 1h\n    min_device_age: 1d12h\n",
		"d.yaml:4:21: policies.staff.max_device_age is 1h, not over min_device_age, which is 1d12h; no device could pass"},
	{"ages of one moment", "policies:\n  staff:\n    min_device_age: 1h\n    max_device_age: 60m\n",
		"d.yaml:4:21: policies.staff.max_device_age is 1h, not over min_device_age, which is 1h; no device could pass"},

	{"clients by host bits", "policies: {staff: {allowed_networks: [192.0.2.0/24, 10.1.2.3/8]}}\n",
		"d.yaml:1:53: policies.staff.allowed_networks: 10.1.2.3/8 has bits set behind the prefix; write 10.0.0.0/8, or 10.1.2.3 for the single address"},
	{"clients from everywhere", "policies: {staff: {allowed_networks: [0.0.0.0/0]}}\n",
		"d.yaml:1:39: policies.staff.allowed_networks: 0.0.0.0/0 is every address; leave the key out if clients may come from anywhere"},
	{"clients from everywhere by IPv6", "policies: {staff: {allowed_networks: [\"::/0\"]}}\n",
		"d.yaml:1:39: policies.staff.allowed_networks: ::/0 is every address; leave the key out if clients may come from anywhere"},
	{"clients from everywhere by mapped addresses", "policies: {staff: {allowed_networks: [\"::ffff:0:0/96\"]}}\n",
		"d.yaml:1:39: policies.staff.allowed_networks: ::ffff:0:0/96 is every address; leave the key out if clients may come from anywhere"},
	{"clients by host bits of a mapped address", "policies: {staff: {allowed_networks: [\"::ffff:10.1.2.3/104\"]}}\n",
		"d.yaml:1:39: policies.staff.allowed_networks: ::ffff:10.1.2.3/104 has bits set behind the prefix; write 10.0.0.0/8, or 10.1.2.3 for the single address"},
	{"clients by name", "policies: {staff: {allowed_networks: [office.example]}}\n",
		`d.yaml:1:39: policies.staff.allowed_networks: "office.example" is not a network; write a CIDR such as 10.0.0.0/8 or a single address`},
	{"too many networks", "policies: {staff: {allowed_networks: [" + many(1001, "192.0.2.1") + "]}}\n",
		"d.yaml:1:38: policies.staff.allowed_networks: 1001 of them; at most 1000 are allowed"},

	{"country in small letters", "geo: {mmdb_file: a}\npolicies: {staff: {require_country: [AT, ch]}}\n",
		`d.yaml:2:42: policies.staff.require_country: "ch" is not a country; write its ISO 3166-1 code of two capital letters, such as AT`},
	{"country of three letters", "geo: {mmdb_file: a}\npolicies: {staff: {deny_country: [DEU]}}\n",
		`d.yaml:2:35: policies.staff.deny_country: "DEU" is not a country; write its ISO 3166-1 code of two capital letters, such as AT`},
	{"country of digits", "geo: {mmdb_file: a}\npolicies: {staff: {deny_country: [\"04\"]}}\n",
		`d.yaml:2:35: policies.staff.deny_country: "04" is not a country; write its ISO 3166-1 code of two capital letters, such as AT`},
	{"country of one letter in two bytes", "geo: {mmdb_file: a}\npolicies: {staff: {require_country: [\u00c4]}}\n",
		"d.yaml:2:38: policies.staff.require_country: \"\u00c4\" is not a country; write its ISO 3166-1 code of two capital letters, such as AT"},
	{"country that YAML takes for a boolean", "geo: {mmdb_file: a}\npolicies: {staff: {deny_country: [true]}}\n",
		`d.yaml:2:35: policies.staff.deny_country: "true" is not text; put it in quotes`},
	{"country by another code", "geo: {mmdb_file: a}\npolicies: {staff: {deny_country: [UK]}}\n",
		"d.yaml:2:35: policies.staff.deny_country: no address is in UK; the ISO 3166-1 code of the United Kingdom is GB"},
	{"country in both lists", "geo: {mmdb_file: a}\npolicies:\n  staff:\n    deny_country: [DE, AT]\n    require_country: [CH, AT]\n",
		"d.yaml:5:22: policies.staff: AT is in require_country and in deny_country; leave it out of one"},
	{"too many countries", "geo: {mmdb_file: a}\npolicies: {staff: {require_country: [" + many(1001, "AT") + "]}}\n",
		"d.yaml:2:37: policies.staff.require_country: 1001 of them; at most 1000 are allowed"},
	{"too many countries denied", "geo: {mmdb_file: a}\npolicies: {staff: {deny_country: [" + many(1001, "AT") + "]}}\n",
		"d.yaml:2:34: policies.staff.deny_country: 1001 of them; at most 1000 are allowed"},
	{"country without a file of places", "policies: {staff: {require_country: [AT]}}\n",
		"d.yaml:1:37: policies.staff.require_country needs geo.mmdb_file, where the place of an address is looked up; a provider (geo.http_url) is too slow for a check"},
	{"denied country with a provider alone", "policies: {staff: {deny_country: [AT]}}\ngeo:\n  http_url: https://geo.example/{ip}\n",
		"d.yaml:1:34: policies.staff.deny_country needs geo.mmdb_file, where the place of an address is looked up; a provider (geo.http_url) is too slow for a check"},
	{"country with an empty file of places", "policies: {staff: {deny_country: [AT]}}\ngeo:\n  mmdb_file: \"\"\n",
		"d.yaml:3:14: policies.staff.deny_country needs geo.mmdb_file, where the place of an address is looked up; a provider (geo.http_url) is too slow for a check"},

	{"anonymous by another word", "policies: {staff: {anonymous: yes}}\n",
		`d.yaml:1:31: policies.staff.anonymous: "yes" is not known; write one of deny, allow`},
	{"anonymous as a switch", "policies: {staff: {anonymous: true}}\n",
		`d.yaml:1:31: policies.staff.anonymous: "true" is not text; put it in quotes`},
	{"preflight by another word", "policies: {staff: {cors_preflight: Allow}}\n",
		`d.yaml:1:36: policies.staff.cors_preflight: "Allow" is not known; write one of deny, allow`},
	{"authorization by another word", "policies: {staff: {authorization: drop}}\n",
		`d.yaml:1:35: policies.staff.authorization: "drop" is not known; write one of keep, remove`},
	{"mode by another word", "policies: {staff: {mode: off}}\n",
		`d.yaml:1:26: policies.staff.mode: "off" is not known; write one of enforce, report`},
	{"mode by no word", "policies: {staff: {mode: \"\"}}\n",
		`d.yaml:1:26: policies.staff.mode: "" is not known; write one of enforce, report`},
	{"default policy with a fault", "policies:\n  default:\n    mode: log\n",
		`d.yaml:3:11: policies.default.mode: "log" is not known; write one of enforce, report`},
}

// many writes n elements of a list, each with its number where word has a place for it.
func many(n int, word string) string {
	words := make([]string, n)
	for i := range words {
		words[i] = strings.ReplaceAll(word, "%d", fmt.Sprint(i))
	}
	return strings.Join(words, ", ")
}

// policies loads the policies of a text that is expected to be valid.
func policies(t *testing.T, text string) map[string]config.Policy {
	t.Helper()
	return mustLoad(t, config.Source{File: write(t, text)}).Policies
}

func TestPolicies(t *testing.T) {
	got := mustLoad(t, config.Source{File: "testdata/policies.yaml", FileRequired: true}).Policies
	old := config.NewPolicy()
	old.MaxDeviceAge = 1
	want := map[string]config.Policy{
		"all": {
			RequireRoles: []string{"staff", "admin"}, RequireAllRoles: []string{"team.blue", "mfa"},
			MinDeviceAge: time.Hour, MaxDeviceAge: 720 * time.Hour,
			AllowedNetworks: []netip.Prefix{
				netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.7/32"),
				netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("10.0.0.0/8"),
			},
			RequireCountry: []string{"AT", "CH"}, DenyCountry: []string{"DE"},
			Anonymous: config.PolicyAllow, CORSPreflight: config.PolicyAllow, Authorization: config.PolicyRemove, Mode: config.PolicyReport,
		},
		"none": config.NewPolicy(), "empty": config.NewPolicy(), "words": config.NewPolicy(), "default": config.NewPolicy(), "old": old,
	}
	if diff := cmp.Diff(want, got, comparePrefixes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCommentedPolicy: the policy that the description of all keys shows in comments holds what a policy of
// no keys does, but for its roles.
func TestCommentedPolicy(t *testing.T) {
	const commented = `
policies:                             # the proxy names one per route; "default" always exists
  default: {}                         # any live device of an enabled user
  # staff:
  #   require_roles: [staff, admin]   # one of them
  #   require_all_roles: []
  #   min_device_age: 0s
  #   max_device_age: 0s              # 0s = no limit
  #   allowed_networks: []
  #   require_country: []             # ISO 3166-1 alpha-2; unknown place = refused
  #   deny_country: []
  #   anonymous: deny                 # deny | allow (no token at all: passes, identity removed; a bad token is still refused)
  #   cors_preflight: deny            # deny | allow
  #   authorization: keep             # keep | remove, towards the backend
  #   mode: enforce                   # enforce | report (200 without identity, logs what it would have done)
`
	staff := config.NewPolicy()
	staff.RequireRoles = []string{"staff", "admin"}
	want := map[string]config.Policy{"default": config.NewPolicy(), "staff": staff}
	if diff := cmp.Diff(want, policies(t, strings.ReplaceAll(commented, "\n  # ", "\n  ")), comparePrefixes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNullInPolicy: a key of which only the name is left is no key that demands nothing.
func TestNullInPolicy(t *testing.T) {
	for _, key := range config.PolicyPaths() {
		for _, null := range []string{"", " null", " ~", "\n      # - staff"} {
			got := lines(t, config.Source{File: write(t, "policies:\n  staff:\n    "+key+":"+null+"\n")})
			want := fmt.Sprintf(": policies.staff.%s: nothing is written here; write a value, or leave the key out", key)
			if len(got) != 1 || !strings.HasPrefix(got[0], "d.yaml:3:") || !strings.HasSuffix(got[0], want) {
				t.Errorf("%s:%s: faults %q, want one%s", key, null, got, want)
			}
		}
	}
}

// TestPolicyBounds: each bound is accepted, and the value beside it is not.
func TestPolicyBounds(t *testing.T) {
	for _, c := range []struct{ key, low, high, under, over string }{
		{"require_roles", "[r]", "[" + many(32, "r%d") + "]", "[]", "[" + many(33, "r%d") + "]"},
		{"require_all_roles", "[]", "[" + many(32, "r%d") + "]", "[\"\"]", "[" + many(33, "r%d") + "]"},
		{"min_device_age", "0s", "3650d", "-1s", "3650d1s"},
		{"max_device_age", "0s", "3650d", "-1s", "3650d1s"},
		{"allowed_networks", "[]", "[" + many(1000, "192.0.2.1") + "]", "[\"\"]", "[" + many(1001, "192.0.2.1") + "]"},
		{"allowed_networks", "[128.0.0.0/1]", "[\"8000::/1\"]", "[128.0.0.0/0]", "[\"::/1\"]"},
		{"require_country", "[]", "[AA, ZZ]", "[\"@A\"]", "[\"A[\"]"},
		{"require_country", "[AT]", "[" + many(1000, "AT") + "]", "[A]", "[" + many(1001, "AT") + "]"},
		{"deny_country", "[]", "[" + many(1000, "AT") + "]", "[\"\"]", "[" + many(1001, "AT") + "]"},
	} {
		for value, want := range map[string]int{c.low: 0, c.high: 0, c.under: 1, c.over: 1} {
			text := "geo: {mmdb_file: a}\npolicies: {staff: {" + c.key + ": " + value + "}}\n"
			if got := lines(t, config.Source{File: write(t, text)}); len(got) != want {
				t.Errorf("%.60s: faults %q, want %d", c.key+": "+value, got, want)
			}
		}
	}
}

// TestPolicyRulesTogether: what the rules across keys leave alone.
func TestPolicyRulesTogether(t *testing.T) {
	for _, text := range []string{
		"policies: {staff: {min_device_age: 1h, max_device_age: 3601s}}\n",
		"policies: {staff: {min_device_age: 1h, max_device_age: 0s}}\n",
		"policies: {staff: {min_device_age: 1h}, guests: {max_device_age: 1m}}\n",
		"policies: {staff: {require_country: [], deny_country: []}}\n",
		"policies: {staff: {require_country: [AT]}, guests: {deny_country: [AT]}}\ngeo: {mmdb_file: a}\n",
		"policies: {staff: {require_country: [AT]}}\ngeo:\n  mmdb_file: a\n  http_url: https://geo.example/{ip}\n",
	} {
		if got := lines(t, config.Source{File: write(t, text)}); got != nil {
			t.Errorf("%s%q", text, got)
		}
	}
	src := config.Source{
		File:    write(t, "policies: {staff: {deny_country: [AT]}}\n"),
		Environ: []string{"DEVICEGATE_GEO_MMDB_FILE=/data/country.mmdb"},
	}
	if got := lines(t, src); got != nil {
		t.Errorf("with the file in the environment: %q", got)
	}
}

// TestEveryCountryNeedsTheFile: the faults stand in one order, whatever the order of maps.
func TestEveryCountryNeedsTheFile(t *testing.T) {
	const why = " needs geo.mmdb_file, where the place of an address is looked up; a provider (geo.http_url) is too slow for a check"
	src := config.Source{
		File:    write(t, "policies: {b: {deny_country: [DE], require_country: [AT]}, a: {deny_country: [DE]}, c: {deny_country: [de]}}\n"),
		Environ: []string{"DEVICEGATE_GEO_MMDB_FILE="},
	}
	want := []string{
		`d.yaml:1:104: policies.c.deny_country: "de" is not a country; write its ISO 3166-1 code of two capital letters, such as AT`,
		"DEVICEGATE_GEO_MMDB_FILE: policies.a.deny_country" + why,
		"DEVICEGATE_GEO_MMDB_FILE: policies.b.require_country" + why,
		"DEVICEGATE_GEO_MMDB_FILE: policies.b.deny_country" + why,
	}
	for range 20 {
		if diff := cmp.Diff(want, lines(t, src)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

// TestPolicyWarnings: a policy that lets pass more than its demands say is worth a sentence.
func TestPolicyWarnings(t *testing.T) {
	const (
		nobody = "policies.p lets pass whoever sends no token (anonymous: allow), so that its demands of roles and device ages hold only for those who send one"
		report = "policies.p only reports (mode: report): every request passes, without an identity; nothing behind it is protected"
	)
	for _, c := range []struct {
		policy string
		want   []string
	}{
		{"", nil},
		{"require_roles: [staff]", nil},
		{"anonymous: deny, require_roles: [staff]", nil},
		{"anonymous: allow", nil},
		{"anonymous: allow, require_all_roles: [], min_device_age: 0s", nil},
		{"anonymous: allow, allowed_networks: [10.0.0.0/8], deny_country: [DE], require_country: [AT]", nil}, // these hold for all
		{"anonymous: allow, require_roles: [staff]", []string{nobody}},
		{"anonymous: allow, require_all_roles: [staff]", []string{nobody}},
		{"anonymous: allow, min_device_age: 1h", []string{nobody}},
		{"anonymous: allow, max_device_age: 1h", []string{nobody}},
		{"cors_preflight: allow, authorization: remove, require_roles: [staff]", nil},
		{"mode: enforce", nil},
		{"mode: report", []string{report}},
		{"mode: report, anonymous: allow, require_roles: [staff]", []string{nobody, report}},
	} {
		got := mustLoad(t, config.Source{File: write(t, "geo: {mmdb_file: a}\npolicies: {p: {"+c.policy+"}, q: {}}\n")})
		if diff := cmp.Diff(c.want, got.Warnings); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", c.policy, diff)
		}
	}
	got := mustLoad(t, config.Source{File: write(t, "policies: {p: {mode: report}, default: {mode: report}}\n")})
	want := []string{strings.Replace(report, "policies.p ", "policies.default ", 1), report}
	if diff := cmp.Diff(want, got.Warnings); diff != "" {
		t.Errorf("two of them (-want +got):\n%s", diff)
	}
}

// TestPoliciesAreTheirOwn: no two policies share a list, and the demands of one are not the next one's.
func TestPoliciesAreTheirOwn(t *testing.T) {
	got := policies(t, "policies: {a: {require_roles: [staff], min_device_age: 1h, mode: report}, b: {require_all_roles: [x]}, c: {}}\n")
	if diff := cmp.Diff(config.NewPolicy(), got["c"], comparePrefixes); diff != "" {
		t.Errorf("a policy behind others (-want +got):\n%s", diff)
	}
	got["b"].RequireAllRoles[0] = "y"
	if again := policies(t, "policies: {b: {require_all_roles: [x]}}\n"); again["b"].RequireAllRoles[0] != "x" {
		t.Error("a list of one configuration is that of another")
	}
}
