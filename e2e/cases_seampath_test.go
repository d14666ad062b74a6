package e2e_test

import (
	"slices"
	"strings"
	"testing"
)

// forwardedLies are the X-Forwarded-* of a client that would like to be elsewhere.
var forwardedLies = []string{"X-Forwarded-Uri: /open/{id}", "X-Forwarded-Method: OPTIONS", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: gopher",
	"X-Forwarded-Prefix: /open", "X-Forwarded-For: 203.0.113.9"}

func trustForward(value string) map[string][]literal {
	return map[string][]literal{"traefik": {{"dynamic.yaml", "trustForwardHeader: true", value}}}
}

func seamMetadataRows() []seamRow {
	lying := testCase{headers: append(slices.Clone(forwardedLies), asAlice)}
	preflight := []string{"Origin: https://app.example", "Access-Control-Request-Method: PUT", "Remote-User: evil"}
	absolute := testCase{line: "GET http://app.example/{id}", headers: []string{"Host: evil.example"}}
	return slices.Concat(
		rows("32",
			testCase{title: "the client's X-Forwarded-*, with trustForwardHeader: false", send: with(lying, trustForward("trustForwardHeader: false")),
				want: only(passes(), "traefik"), check: rebuiltEverywhere},
			testCase{title: "the client's X-Forwarded-*, with trustForwardHeader left out", send: with(lying, trustForward("")),
				want: only(passes(), "traefik"), check: rebuiltEverywhere},
			testCase{title: "the client's X-Forwarded-*, with trustForwardHeader: true", headers: lying.headers, want: only(passes(), "traefik"), check: rebuiltEverywhere}),
		rows("53", testCase{title: "an absolute request line with another Host", line: absolute.line, headers: absolute.headers,
			want: everywhere(refused("no_token")).except(byProxy(400), "haproxy"), check: func(t *testing.T, b *bench, x exchange) {
				if x.decision != nil {
					gateSawTruth(t, b, x)
				}
			}}),
		rows("54", testCase{title: "StripPrefix before the check: the gate is told the stripped path",
			send: with(testCase{line: "GET /shop/{id}", headers: []string{"X-Forwarded-Prefix: /open"}}, map[string][]literal{"traefik": {
				{"dynamic.yaml", "middlewares: [check-default]", "middlewares: [shop, check-default]"},
				{"dynamic.yaml", "    strip-identity:\n", "    shop:\n      stripPrefix: {prefixes: [/shop]}\n    strip-identity:\n"}}}),
			want: only(refused("no_token"), "traefik"), check: gateSawTruth},
			testCase{title: "a prefix taken away before the check: the gate is told the path that is left",
				send: with(testCase{line: "GET /shop/{id}"}, map[string][]literal{"haproxy": {
					{"haproxy.cfg", "http-request set-header X-Forwarded-Uri", "http-request replace-path /shop(/.*) \\1\n    http-request set-header X-Forwarded-Uri"}},
					"caddy": {{"Caddyfile", "\t\timport check default", "\t\turi strip_prefix /shop\n\t\timport check default"}}}),
				want: only(refused("no_token"), "haproxy", "caddy"), check: gateSawTruth}),
		rows("55",
			testCase{title: "a preflight without a token", line: "OPTIONS /{id}", headers: preflight, want: everywhere(refused("no_token"))},
			testCase{title: "a preflight where the policy lets them pass", send: with(testCase{line: "OPTIONS /{id}", headers: preflight}, policyChange("preflight")),
				want: everywhere(isOpen()), check: asPreflight},
			testCase{title: "OPTIONS without an origin where the policy lets preflights pass",
				send: with(testCase{line: "OPTIONS /{id}", headers: preflight[1:]}, policyChange("preflight")), want: everywhere(refused("no_token"))},
			testCase{title: "a GET that says it is a preflight where the policy lets them pass",
				send: with(testCase{headers: append(slices.Clone(preflight), "X-Forwarded-Method: OPTIONS", "X-Original-Method: OPTIONS")}, policyChange("preflight")),
				want: everywhere(refused("no_token"))}),
		rows("B6", connectionRows()...),
		rows("B17", testCase{title: "a method in small letters, without a token", line: "get /{id}", want: everywhere(byProxy(400)).except(refused("no_token"), "traefik", "caddy", "haproxy")}),
		rows("B24", testCase{title: "the client's x-envoy-*, without a token", want: everywhere(refused("no_token")), check: gateSawTruth,
			headers: []string{"X-Envoy-Original-Path: /open/x", "X-Envoy-External-Address: 203.0.113.9", "X-Envoy-Internal: true", "X-Envoy-Original-Method: OPTIONS",
				"X-Envoy-Auth-Headers-To-Remove: authorization", "X-Envoy-Auth-Partial-Body: true", "X-Envoy-Decorator-Operation: x"}}),
	)
}

// connectionRows name headers in Connection, which a proxy may then drop before or after the check.
func connectionRows() []testCase {
	const names = "x-forwarded-for, x-forwarded-uri, x-forwarded-host, x-forwarded-method, x-forwarded-proto, x-original-url, x-original-method, remote-user, remote-groups, remote-device"
	return []testCase{
		{title: "Connection names the metadata and the identity, with a token", headers: []string{"Connection: close, " + names, asAlice},
			want: everywhere(passes()).except(byProxy(400), envoys...), check: func(t *testing.T, b *bench, x exchange) {
				if x.decision != nil {
					gateSawTruth(t, b, x)
					seesAlice(t, b, x)
				}
			}},
		{title: "Connection names the metadata and the identity, without a token", headers: []string{"Connection: keep-alive, " + names},
			want: everywhere(refused("no_token")).except(byProxy(400), envoys...)},
	}
}

// asPreflight: the gate let it pass for what it is, and the backend was told of nobody.
func asPreflight(t *testing.T, b *bench, x exchange) {
	seesNobody(t, b, x)
	if d := b.gate.waitDecision(t, x.id); d.Reason != "cors_preflight" {
		t.Errorf("the gate says %s, want cors_preflight", d.Reason)
	}
}

// rebuiltEverywhere: gate and backend were told the truth.
func rebuiltEverywhere(t *testing.T, b *bench, x exchange) {
	if x.decision != nil {
		gateSawTruth(t, b, x)
	}
	rebuilt(t, b, x)
	if got := strings.Join(x.seen[0].values("X-Forwarded-For"), ","); strings.Contains(got, "203.0.113.9") {
		t.Errorf("the backend was sent the client's X-Forwarded-For: %s", got)
	}
}

func seamPathRows() []seamRow {
	var hosts, spellings []testCase
	for _, host := range []string{"APP.Example:8443", "app.example.", "[::1]:8080", "evil.example"} {
		hosts = append(hosts,
			testCase{title: "Host: " + host + ", without a token", headers: []string{"Host: " + host}, want: everywhere(refused("no_token"))},
			testCase{title: "Host: " + host + ", on the staff route without the role", line: "GET /staff/{id}", headers: []string{"Host: " + host, asAlice},
				want: everywhere(refused("role_missing"))})
	}
	for _, spelling := range []struct {
		path string
		want answers
	}{
		{"/%zz/{id}", everywhere(byProxy(400)).except(refused("no_token"), "envoy_grpc")},
		{"/\x80{id}", everywhere(refused("no_token")).except(byProxy(400), envoys...)},
		{"/open/%zz/../../{id}", everywhere(byProxy(400)).except(refused("no_token"), envoys...)},
		{"{id}", everywhere(byProxy(400))},
	} {
		spellings = append(spellings, testCase{title: "path " + strings.ReplaceAll(spelling.path, "\x80", "<80>"), line: "GET " + spelling.path, want: spelling.want, check: staysOpen})
	}
	return slices.Concat(
		rows("48",
			testCase{title: "an encoded question mark belongs to the path", line: "GET /{id}%3Fpolicy=staff", headers: []string{asAlice}, want: everywhere(passes()).except(byProxy(400), "traefik"), check: pathIs("%3Fpolicy=staff")},
			testCase{title: "an encoded number sign belongs to the path", line: "GET /{id}%23open", headers: []string{asAlice}, want: everywhere(passes()).except(byProxy(400), "traefik"), check: pathIs("%23open")},
			testCase{title: "an encoded question mark does not end the open route's path", line: "GET /open%3F/{id}", want: everywhere(refused("no_token")).except(byProxy(400), "traefik")}),
		rows("49", testCase{title: "a query does not change the policy of a path", line: "GET /staff/{id}?foo=/open/", headers: []string{asAlice}, want: everywhere(refused("role_missing"))}),
		rows("51", hosts...),
		rows("B9", spellings...),
		rows("B9", badURLs()...),
	)
}

// pathIs: what the gate was told has no query, and all of the path.
func pathIs(end string) func(*testing.T, *bench, exchange) {
	return func(t *testing.T, b *bench, x exchange) {
		if x.decision != nil && x.decision.Path != "/"+x.id+end {
			t.Errorf("the gate logged the path %s, want /%s%s", x.decision.Path, x.id, end)
		}
	}
}

// badURLs are what a proxy never writes into the header that names the target: without a token none
// of them is anything but a refusal, and none is a panic.
func badURLs() []testCase {
	var all []testCase
	for _, target := range []string{"/%zz", "*", "http://[", "//open/x", "http://app.example/%00", "\x80", "open"} {
		all = append(all, testCase{title: "asked directly, a target that is none: " + strings.ReplaceAll(target, "\x80", "<80>"),
			want: only(refused("no_token"), "nginx", "traefik", "caddy", "haproxy"),
			send: func(t *testing.T, b *bench, id string) exchange {
				var lines []string
				for _, line := range complete[b.name] {
					name, _, _ := strings.Cut(line, ":")
					switch name {
					case "X-Original-URL", "X-Forwarded-Uri":
						line = name + ": " + target
					case "Authorization":
						continue
					}
					lines = append(lines, line)
				}
				return b.ask(t, proxyIP, id, lines)
			}})
	}
	return all
}
