package e2e_test

func envoyDangers(product string) []danger {
	file := product + ".yaml"
	allow := literal{file, "failure_mode_allow: false", "failure_mode_allow: true"}
	keepNames := []literal{
		{file, "- remove: remote-user\n", "- remove: x-nothing\n"},
		{file, "- remove: remote-groups\n", "- remove: x-nothing\n"},
		{file, "- remove: remote-device\n", "- remove: x-nothing\n"},
		{file, `regex: "[a-z0-9:-]*[^a-z0-9:-].*"`, `regex: "nothing"`},
	}
	underscores := literal{file, "headers_with_underscores_action: DROP_HEADER", "headers_with_underscores_action: ALLOW"}
	filter := func(more string) []literal {
		return []literal{{file, "transport_api_version: V3", "transport_api_version: V3\n                      " + more}}
	}
	underscore := testCase{headers: []string{"Remote_User: evil", asAlice}}
	all := []danger{
		{weakening: weakening{title: "failure_mode_allow: the gate is down", changes: []literal{allow}, fault: down, through: reached}, what: "everybody"},
		{weakening: weakening{title: "failure_mode_allow: the gate hangs", changes: []literal{allow}, fault: hanging, through: reached}, what: "everybody, after `timeout`"},
		{weakening: weakening{title: "failure_mode_allow: the gate breaks", changes: []literal{allow}, fault: broken, through: reached},
			what: "everybody (5xx over HTTP, an error over gRPC)"},
		{weakening: weakening{title: "failure_mode_allow: the gate refuses", changes: []literal{allow}, request: testCase{want: only(refused("no_token"), product)}, through: reached},
			safe: true, what: "nobody: a refusal is not a failure"},
		{weakening: weakening{title: "failure_mode_allow without header_mutation", request: evilToken, fault: down, through: believed,
			changes: append([]literal{allow}, keepNames...)}, what: "everybody, with the client's `Remote-User`"},
		{weakening: weakening{title: "ext_authz disabled on a route", through: reached,
			changes: []literal{{file, "- match: {prefix: /}\n                          route: {cluster: backend}",
				"- match: {prefix: /}\n                          route: {cluster: backend}\n                          typed_per_filter_config: *open"}}},
			what: "everybody, on that route"},
		{weakening: weakening{title: "filter_enabled of 0 %", through: reached, changes: filter("filter_enabled: {default_value: {numerator: 0}}")},
			what: "everybody"},
		{weakening: weakening{title: "shadow_mode", through: reached, changes: filter("shadow_mode: true")}, what: "everybody: refusals are counted and not carried out"},
		{weakening: weakening{title: "status_on_error: 200", fault: down, through: reached, changes: []literal{{file, "{code: ServiceUnavailable}", "{code: OK}"}}},
			safe: true, what: "nobody, but clients are told that all is well"},
		{weakening: weakening{title: "no header_mutation: an alias", changes: keepNames, request: aliasToken, through: believed},
			what: "`Remote~User: evil` beside the true `remote-user`"},
		{weakening: weakening{title: "no header_mutation: the name itself, on an open route", changes: keepNames, request: evilOnOpen, through: believed},
			what: "the client's `Remote-User`"},
		{weakening: weakening{title: "no header_mutation: the name itself, on a protected route", changes: keepNames, request: evilToken, through: believed},
			safe: true, what: "nobody: the gate's answer overwrites or removes it"},
		{weakening: weakening{title: "headers_with_underscores_action: ALLOW", changes: []literal{underscores}, request: underscore, through: believed},
			safe: true, what: "nobody: `remove_on_match` takes `_` too"},
		{weakening: weakening{title: "headers_with_underscores_action: ALLOW, no header_mutation", changes: append([]literal{underscores}, keepNames...), request: underscore, through: believed},
			what: "`Remote_User: evil` beside the true `remote-user`"},
		{weakening: weakening{title: "path options left at their defaults", request: path("/open/../{id}"), through: escaped,
			changes: []literal{{file, "normalize_path: true", ""}, {file, "merge_slashes: true", ""}, {file, "path_with_escaped_slashes_action: REJECT_REQUEST", ""}}},
			what: "`/open/../x`, open to Envoy and `/x` to the backend"},
		{weakening: weakening{title: "no refusal of %25, %00, %3b and ..;", request: path("/open/%252e%252e/{id}"), through: escaped,
			changes: []literal{{file, "regex: '(?i).*(", "regex: '(?i)nothing("}}}, what: "`/open/%252e%252e/x`, open to Envoy and `/x` to a backend that decodes twice"},
		{weakening: weakening{title: "use_remote_address: false", changes: []literal{{file, "use_remote_address: true", "use_remote_address: false"}},
			request: testCase{headers: []string{"X-Forwarded-For: 203.0.113.9"}, want: only(refused("no_token"), product)}, through: elsewhere},
			safe: product == "envoy_grpc", what: map[bool]string{true: "nothing at the gate, which reads the peer's address; the backend is sent the client's `X-Forwarded-For` alone",
				false: "a gate that believes the client's `X-Forwarded-For`"}[product == "envoy_grpc"]},
	}
	if product == "envoy_grpc" {
		return all
	}
	return append(all, envoyHTTPDangers(keepNames)...)
}

func envoyHTTPDangers(keepNames []literal) []danger {
	const file = "envoy_http.yaml"
	appending := literal{file, "allowed_upstream_headers:\n", "allowed_upstream_headers_to_append:\n"}
	return []danger{
		{weakening: weakening{title: "allowed_upstream_headers_to_append", changes: []literal{appending}, request: evilToken, through: believed},
			safe: true, what: "nobody: nothing of the client's is left to append to"},
		{weakening: weakening{title: "allowed_upstream_headers_to_append without header_mutation", changes: append([]literal{appending}, keepNames...), request: evilToken, through: believed},
			what: "`evil,alice`, of which many backends read the first"},
		{weakening: weakening{title: "an identity name missing from allowed_upstream_headers, without header_mutation", request: evilToken, through: believed,
			changes: append([]literal{{file, "{exact: remote-user}, ", ""}}, keepNames...)}, what: "the client's `Remote-User`, as if the gate had said it"},
		{weakening: weakening{title: "no allowed_client_headers", through: func(_ *bench, x exchange) bool { return x.header.Get("X-Inner") != "" },
			changes: []literal{{file, "allowed_client_headers:", "allowed_client_headers_on_success:"}}}, answer: says("403 Forbidden", "X-Inner: detail"),
			what: "every header of the gate's refusals, to the client"},
		{weakening: weakening{title: "path_prefix without a policy", request: testCase{headers: []string{asAlice}}, through: reached,
			changes: []literal{{file, "path_prefix: /auth/envoy/default", "path_prefix: /auth/envoy"}}},
			closed: true, what: "nobody on honest paths, not even with a token: the first segment of the path is then the policy"},
	}
}
