package e2e_test

// A sight says how devicegate doctor comes to know of a danger. Exactly one of code and why is set.
type sight struct {
	code string // of a finding of --via
	path string // of --via; /idoctor by default, which the policy "default" is for
	why  string // --via sees nothing of it
	// read: the files say it, which is the other half of doctor. Otherwise nothing gets through.
	read bool
}

func seen(code string) sight         { return sight{code: code} }
func seenAt(path, code string) sight { return sight{code: code, path: path} }
func onlyRead(why string) sight      { return sight{why: why, read: true} }
func harmless(why string) sight      { return sight{why: why} }

// sights says it of every danger of every product, by title.
func sights(product string) map[string]sight {
	switch product {
	case "nginx":
		return nginxSights
	case "traefik":
		return traefikSights
	case "caddy":
		return caddySights
	case "haproxy":
		return haproxySights
	}
	all := map[string]sight{}
	for title, s := range envoySights {
		all[title] = s
	}
	if product == "envoy_http" {
		for title, s := range envoyHTTPSights {
			all[title] = s
		}
	}
	return all
}

// Why --via sees nothing of a setting.
const (
	gateUp   = "it shows while the gate is down, slow or broken, and --via does not touch the gate"
	gateSays = "it shows when a gate says what this one never does"
)

var nginxSights = map[string]sight{
	"satisfy any":                                                          seen("open-without-token"),
	"return in a protected location":                                       seen("answered-unchecked"),
	"if OPTIONS return 204":                                                seen("answered-unchecked"),
	"a header of its own in a nested location":                             seen("identity-from-client"),
	"proxy_intercept_errors with error_page in the check":                  seen("open-without-token"),
	"X-Accel-Redirect obeyed":                                              onlyRead(gateSays),
	"underscores_in_headers on":                                            seen("identity-alias"),
	"ignore_invalid_headers off":                                           seen("identity-alias"),
	"no proxy_read_timeout":                                                onlyRead(gateUp),
	"no Content-Length \"\" in the check":                                  onlyRead("neither client nor backend is sent anything else"),
	"proxy_cache by path, against Cache-Control":                           seen("decision-kept"),
	"any upgrade passed on":                                                seenAt("/ws/doctor", "upgrade-h2c"),
	"mirror":                                                               seen("identity-from-client"),
	"auth_request with a name that no location has":                        seen("good-token-refused"),
	"the same without location /_devicegate/":                              seen("open-without-token"),
	"a policy in auth_request's own query, without location /_devicegate/": seen("open-without-token"),
	"proxy_pass_request_headers off in the check":                          seen("token-not-shown"),
	"proxy_pass_request_headers off in the protected location":             harmless("the identity stays"),
}

var traefikSights = map[string]sight{
	"authResponseHeaders instead of the expression":             harmless("the entry point deletes aliases"),
	"authResponseHeaders, and aliases kept":                     seen("identity-alias"),
	"underscoreHeadersStrategy instead of aliasHeadersStrategy": seen("identity-alias-on-open"),
	"an entry point that trusts everybody: the host":            seen("forwarded-from-client"),
	"an entry point that trusts everybody: the method":          seen("forwarded-from-client"),
	"an entry point that trusts everybody: the address":         seen("forwarded-from-client"),
	"trustForwardHeader: false behind such an entry point":      seen("forwarded-from-client"),
	"trustForwardHeader: false alone":                           harmless("the entry point trusts nobody"),
	"the endpoint of another proxy":                             seen("wrong-endpoint"),
	"a router without a middleware":                             seen("open-without-token"),
	"a misspelt middleware on the staff router":                 seenAt("/staff", "policy-not-applied"),
	"authRequestHeaders without Authorization":                  seen("token-not-shown"),
}

var envoySights = map[string]sight{
	"failure_mode_allow: the gate is down":                       onlyRead(gateUp),
	"failure_mode_allow: the gate hangs":                         onlyRead(gateUp),
	"failure_mode_allow: the gate breaks":                        onlyRead(gateUp),
	"failure_mode_allow: the gate refuses":                       harmless("a refusal is not a failure"),
	"failure_mode_allow without header_mutation":                 seen("identity-alias"),
	"ext_authz disabled on a route":                              seen("open-without-token"),
	"filter_enabled of 0 %":                                      seen("open-without-token"),
	"shadow_mode":                                                seen("open-without-token"),
	"status_on_error: 200":                                       onlyRead(gateUp),
	"no header_mutation: an alias":                               seen("identity-alias"),
	"no header_mutation: the name itself, on an open route":      seen("identity-from-client-on-open"),
	"no header_mutation: the name itself, on a protected route":  harmless("the gate's answer overwrites or removes it"),
	"headers_with_underscores_action: ALLOW":                     harmless("remove_on_match takes underscores too"),
	"headers_with_underscores_action: ALLOW, no header_mutation": seen("identity-alias"),
	"path options left at their defaults":                        seen("path-escapes-open"),
	"no refusal of %25, %00, %3b and ..;":                        seen("path-escapes-open"),
	"use_remote_address: false":                                  seen("forwarded-from-client"),
}

var envoyHTTPSights = map[string]sight{
	"use_remote_address: false":                                                       seen("client-address-from-client"),
	"allowed_upstream_headers_to_append":                                              harmless("nothing of the client's is left to append to"),
	"allowed_upstream_headers_to_append without header_mutation":                      seen("identity-from-client"),
	"an identity name missing from allowed_upstream_headers, without header_mutation": seen("identity-from-client"),
	"no allowed_client_headers":                                                       onlyRead(gateSays),
	"path_prefix without a policy":                                                    seen("policy-unknown"),
}

var caddySights = map[string]sight{
	"route, not handle":                   seenAt("/staff", "identity-missing"),
	"identity removed on open routes":     seen("identity-from-client-on-open"),
	"aliases removed on open routes":      seen("identity-alias-on-open"),
	"aliases removed before the check":    seen("identity-alias"),
	"the gate's own name alone":           seen("identity-from-client"),
	"copy_headers":                        seen("identity-missing"),
	"Connection":                          seen("connection-drops-identity"),
	"Connection of a handshake":           seen("connection-drops-identity"),
	"Connection, with WebSockets in mind": harmless("nothing gets through, and handshakes do not either"),
	"Upgrade":                             seen("upgrade-h2c"),
	"the question mark":                   seenAt("/staff", "policy-not-applied"),
	"response_header_timeout":             onlyRead(gateUp),
	"the client's X-Forwarded-Uri":        seen("forwarded-from-client"),
	"the client's X-Forwarded-Method":     seen("forwarded-from-client"),
	"the client's X-Forwarded-Prefix":     seen("forwarded-from-client"),
	"the client's X-Forwarded-Port":       seen("forwarded-from-client"),
	"dot segments":                        seen("path-escapes-open"),
	"dot segments below the open route":   seen("path-escapes-open"),
	"dot segments with a parameter":       seen("path-escapes-open"),
	"encoded slash":                       seen("path-escapes-open"),
	"encoded backslash":                   seen("path-escapes-open"),
	"encoded percent":                     seen("path-escapes-open"),
	"the open route as it is written":     seen("open-route-too-wide"),
	"the strict route without a slash":    seenAt("/staff", "policy-by-spelling"),
	"the policy of a route":               seenAt("/staff", "policy-not-applied"),
	"the last check":                      seen("open-without-token"),
	"trust in nobody":                     seen("forwarded-from-client"),
}

var haproxySights = map[string]sight{
	"identity removed on open routes":                          seen("identity-from-client-on-open"),
	"odd header names on open routes":                          seen("identity-alias-on-open"),
	"odd header names on protected routes":                     seen("identity-alias"),
	"identity set by the script":                               seen("identity-missing"),
	"identity removed by the script too":                       seen("identity-from-client"),
	"Connection":                                               seen("connection-names-identity"),
	"Connection of a handshake":                                seen("connection-names-identity"),
	"Upgrade":                                                  seen("upgrade-h2c"),
	"the client's address":                                     seen("client-address-from-client"),
	"the client's X-Forwarded-Host":                            seen("wrong-endpoint"),
	"the client's X-Forwarded-Prefix":                          seen("forwarded-from-client"),
	"the client's X-Forwarded-Port":                            seen("forwarded-from-client"),
	"the open route as it is written":                          seen("open-route-too-wide"),
	"the strict route, decoded":                                seenAt("/staff", "policy-by-spelling"),
	"the strict route, with doubled slashes":                   seenAt("/staff", "policy-by-spelling"),
	"a broken escape, which cannot be decoded":                 seenAt("/staff", "policy-by-spelling"),
	"the policy of a route":                                    seenAt("/staff", "policy-not-applied"),
	"the last deny, the gate broken":                           onlyRead(gateUp),
	"the last deny, the gate hanging":                          onlyRead(gateUp),
	"the last deny, the script failing":                        seen("open-without-token"),
	"status 200 alone allows":                                  seen("open-without-token"),
	"a gate's refusal ends the request":                        seen("open-without-token"),
	"the time limit":                                           onlyRead(gateUp),
	"dot segments":                                             seen("path-escapes-open"),
	"dot segments with a parameter":                            seen("path-escapes-open"),
	"encoded dots":                                             seen("path-escapes-open"),
	"encoded slash":                                            seen("path-escapes-open"),
	"encoded backslash":                                        seen("path-escapes-open"),
	"encoded percent":                                          seen("path-escapes-open"),
	"dot segments refused, and not cleaned in the wrong order": seen("path-escapes-open"),
}
