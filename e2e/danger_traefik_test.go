package e2e_test

import "strings"

func traefikDangers() []danger {
	const entry, routes = "traefik.yaml", "dynamic.yaml"
	const regex = "authResponseHeadersRegex: (?i)^remote[^a-z0-9]*(user|groups|device)$"
	const list = "authResponseHeaders: [Remote-User, Remote-Groups, Remote-Device]"
	trusting := literal{entry, "    http:\n", "    forwardedHeaders: {insecure: true}\n    http:\n"}
	alias := literal{entry, "aliasHeadersStrategy: delete", "aliasHeadersStrategy: keep"}
	lying := testCase{headers: append([]string{asAlice}, forwardedLies...), want: only(passes(), "traefik")}
	return []danger{
		{weakening: weakening{title: "authResponseHeaders instead of the expression", changes: []literal{{routes, regex, list}}, request: aliasToken, through: believed},
			safe: true, what: "nobody, as long as the entry point deletes aliases"},
		{weakening: weakening{title: "authResponseHeaders, and aliases kept", changes: []literal{{routes, regex, list}, alias}, request: aliasToken, through: believed},
			what: "`Remote~User: evil` beside the true `Remote-User`"},
		{weakening: weakening{title: "underscoreHeadersStrategy instead of aliasHeadersStrategy", request: aliasOnOpen, through: believed,
			changes: []literal{{entry, "aliasHeadersStrategy: delete", "underscoreHeadersStrategy: delete"}}},
			what: "`Remote~User` and twelve more; only `Remote_User` is gone"},
		{weakening: weakening{title: "an entry point that trusts everybody: the host", changes: []literal{trusting}, request: lying, through: misled},
			what: "a gate that believes the client's `X-Forwarded-Host`"},
		{weakening: weakening{title: "an entry point that trusts everybody: the method", changes: []literal{trusting}, request: lying,
			through: func(_ *bench, x exchange) bool { return x.decision.Method == "OPTIONS" }},
			what: "a gate that believes the client's `X-Forwarded-Method`: where a policy lets preflights pass, any request is one"},
		{weakening: weakening{title: "an entry point that trusts everybody: the address", changes: []literal{trusting}, request: lying, through: elsewhere},
			safe: true, what: "nothing: Traefik appends the true address, and the gate walks from the right. The backend is sent both"},
		{weakening: weakening{title: "trustForwardHeader: false behind such an entry point", request: lying, through: backendMisled,
			changes: []literal{trusting, {routes, "trustForwardHeader: true", "trustForwardHeader: false"}}},
			what: "the client's `X-Forwarded-Uri` and `-Host`, to the backend: only the question to the gate is cleaned"},
		{weakening: weakening{title: "trustForwardHeader: false alone", request: lying, through: func(b *bench, x exchange) bool { return misled(b, x) || backendMisled(b, x) },
			changes: []literal{{routes, "trustForwardHeader: true", "trustForwardHeader: false"}}},
			safe: true, what: "nobody: the entry point trusts nobody"},
		{weakening: weakening{title: "the endpoint of another proxy", request: testCase{want: only(refused("no_token"), "traefik"),
			headers: []string{"X-Original-URL: http://evil.example/{id}", "X-Original-Method: GET"}}, through: misled,
			changes: []literal{{routes, "/auth/traefik?policy=default", "/auth/nginx?policy=default"}}},
			what: "a gate that believes the client's `X-Original-URL`, which Traefik neither writes nor removes"},
		{weakening: weakening{title: "a router without a middleware", request: testCase{}, through: reached,
			changes: []literal{{routes, "      middlewares: [check-default]\n", ""}}},
			what: "everybody: a Traefik router is open unless it says otherwise"},
		{weakening: weakening{title: "a misspelt middleware on the staff router", request: staffRoute, through: reached,
			changes: []literal{{routes, "middlewares: [check-staff]", "middlewares: [check-stafff]"}}},
			what: "every live device: Traefik leaves the router out, and the one for `/` takes its requests, with the policy `default`"},
		{weakening: weakening{title: "authRequestHeaders without Authorization", request: evilToken, through: reached,
			changes: []literal{{routes, "trustForwardHeader: true", "trustForwardHeader: true\n        authRequestHeaders: [Accept]"}}},
			closed: true, what: "nobody, not even with a token: the gate is not shown it"},
	}
}

// backendMisled: the backend was sent what the client says of host or path.
func backendMisled(_ *bench, x exchange) bool {
	for _, r := range x.seen {
		if strings.Contains(strings.Join(r.values("X-Forwarded-Host"), " "), "evil") ||
			strings.Contains(strings.Join(r.values("X-Forwarded-Uri"), " "), "open") {
			return true
		}
	}
	return false
}
